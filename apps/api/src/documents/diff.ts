type Step = { readonly sign: ' ' | '-' | '+'; readonly line: string }

const context = 3
/** Larger edits are shown as a replacement: the comparison takes quadratic time. */
const maxEdits = 2000

/**
 * Unified diff of two texts (as `diff -u` writes it, three lines of context). Empty when they are equal.
 * @param before,after undefined: the document did not, or will not exist
 */
export function unifiedDiff(name: string, before: string | undefined, after: string | undefined): string {
  if (before === after) return ''
  const steps = compare(linesOf(before), linesOf(after))
  const head = `--- ${before === undefined ? '/dev/null' : `a/${name}`}\n+++ ${after === undefined ? '/dev/null' : `b/${name}`}\n`
  return head + hunks(steps).join('')
}

function linesOf(text: string | undefined): string[] {
  if (text === undefined || text === '') return []
  return (text.endsWith('\n') ? text.slice(0, -1) : text).split('\n')
}

function hunks(steps: readonly Step[]): string[] {
  const found: string[] = []
  let oldLine = 1
  let newLine = 1
  let start = 0
  const flush = (from: number, to: number, oldAt: number, newAt: number): void => {
    const part = steps.slice(from, to)
    const oldCount = part.filter((step) => step.sign !== '+').length
    const newCount = part.filter((step) => step.sign !== '-').length
    const range = (at: number, count: number): string => `${count === 0 ? at - 1 : at}${count === 1 ? '' : `,${count}`}`
    found.push(`@@ -${range(oldAt, oldCount)} +${range(newAt, newCount)} @@\n` + part.map((step) => `${step.sign}${step.line}\n`).join(''))
  }
  while (start < steps.length) {
    const first = steps.findIndex((step, i) => i >= start && step.sign !== ' ')
    if (first < 0) break
    const from = Math.max(start, first - context)
    let last = first
    for (let i = first; i < steps.length && i <= last + 2 * context; i++) if (steps[i]?.sign !== ' ') last = i
    const to = Math.min(steps.length, last + 1 + context)
    for (let i = start; i < from; i++) {
      oldLine++
      newLine++
    }
    flush(from, to, oldLine, newLine)
    for (let i = from; i < to; i++) {
      if (steps[i]?.sign !== '+') oldLine++
      if (steps[i]?.sign !== '-') newLine++
    }
    start = to
  }
  return found
}

/** Myers' greedy shortest edit script ("An O(ND) Difference Algorithm", 1986). */
function compare(a: readonly string[], b: readonly string[]): Step[] {
  const trace: Map<number, number>[] = []
  let frontier = new Map<number, number>([[1, 0]])
  const limit = Math.min(a.length + b.length, maxEdits)
  for (let d = 0; d <= limit; d++) {
    trace.push(new Map(frontier))
    const next = new Map(frontier)
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && (next.get(k - 1) ?? -1) < (next.get(k + 1) ?? -1))
      let x = down ? (next.get(k + 1) ?? 0) : (next.get(k - 1) ?? 0) + 1
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++
      next.set(k, x)
      if (x >= a.length && x - k >= b.length) return walkBack(a, b, trace)
    }
    frontier = next
  }
  return [...a.map((line): Step => ({ sign: '-', line })), ...b.map((line): Step => ({ sign: '+', line }))]
}

function walkBack(a: readonly string[], b: readonly string[], trace: readonly Map<number, number>[]): Step[] {
  const steps: Step[] = []
  let x = a.length
  let y = b.length
  for (let d = trace.length - 1; d >= 0; d--) {
    const frontier = trace[d] ?? new Map<number, number>()
    const k = x - y
    const down = k === -d || (k !== d && (frontier.get(k - 1) ?? -1) < (frontier.get(k + 1) ?? -1))
    const previousX = d === 0 ? 0 : (frontier.get(down ? k + 1 : k - 1) ?? 0)
    const previousY = d === 0 ? 0 : previousX - (down ? k + 1 : k - 1)
    const common = (): boolean => (d === 0 ? x > 0 && y > 0 : x > previousX && y > previousY && !(down ? y === previousY + 1 && x === previousX : x === previousX + 1 && y === previousY))
    while (common() && a[x - 1] === b[y - 1]) {
      steps.push({ sign: ' ', line: a[--x] ?? '' })
      y--
    }
    if (d === 0) break
    if (down) steps.push({ sign: '+', line: b[--y] ?? '' })
    else steps.push({ sign: '-', line: a[--x] ?? '' })
  }
  return steps.reverse()
}
