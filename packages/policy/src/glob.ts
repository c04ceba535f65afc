/**
 * A glob with `*` for any run of characters, matched in one pass: prefix, suffix, then each middle piece at its leftmost
 * place. Leftmost is enough because `*` is the only wildcard, so there is no backtracking to attack.
 */
export class Glob {
  readonly #pieces: readonly string[]
  /** No wildcard at all. */
  readonly literal: boolean
  /** Nothing but `*`. */
  readonly any: boolean

  constructor(pattern: string, literal = false) {
    this.#pieces = literal ? [pattern] : pattern.split(/\*+/)
    this.literal = this.#pieces.length === 1
    this.any = !this.literal && this.#pieces.every((piece) => piece === '')
  }

  test(text: string): boolean {
    const pieces = this.#pieces
    const first = pieces[0] ?? ''
    if (pieces.length === 1) return text === first
    const last = pieces[pieces.length - 1] ?? ''
    if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false
    let position = first.length
    const end = text.length - last.length
    for (let index = 1; index < pieces.length - 1; index++) {
      const piece = pieces[index] ?? ''
      const found = text.indexOf(piece, position)
      if (found < 0 || found + piece.length > end) return false
      position = found + piece.length
    }
    return position <= end
  }
}

/**
 * Glob over a claim or a label: `*` stops at `/`, `**` doesn't. The narrow star keeps `acme/*` from covering
 * `acme/x/../other`, and `refs/heads/*` from covering what somebody nested below it. Walks a set of states, so the
 * time is pattern × text whatever they hold.
 */
export function matchPathGlob(pattern: string, text: string): boolean {
  const steps = pathSteps(pattern)
  let states = new Set<number>()
  enter(0, steps, states)
  for (const character of text) {
    const next = new Set<number>()
    for (const state of states) {
      const step = steps[state]
      if (step === undefined) continue
      if (step === '**' || (step === '*' && character !== '/')) enter(state, steps, next)
      else if (step === character) enter(state + 1, steps, next)
    }
    if (next.size === 0) return false
    states = next
  }
  return states.has(steps.length)
}

/** A wildcard may match nothing: standing before it is standing behind it, too. */
function enter(state: number, steps: readonly string[], states: Set<number>): void {
  states.add(state)
  for (let at = state; steps[at] === '*' || steps[at] === '**'; at++) states.add(at + 1)
}

function pathSteps(pattern: string): string[] {
  const steps: string[] = []
  for (const part of pattern.split(/(\*+)/)) {
    if (part === '') continue
    if (part.startsWith('*')) steps.push(part.length > 1 ? '**' : '*')
    else steps.push(...part)
  }
  return steps
}
