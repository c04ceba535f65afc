/** Words longer than this get no suggestion: the distance costs length², and nobody mistypes that much. */
const maxWord = 64

/**
 * The word of `known` that `word` was most likely meant to be: the same without regard to case, or at most a third of
 * its letters away. Undefined when none is near.
 */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  if (word.length > maxWord) return undefined
  const lower = word.toLowerCase()
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1
  for (const candidate of known) {
    if (candidate === word || Math.abs(candidate.length - word.length) >= bestDistance) continue
    const distance = editDistance(lower, candidate.toLowerCase())
    if (distance < bestDistance) {
      bestDistance = distance
      best = candidate
    }
  }
  return best
}

/** Optimal string alignment: insertions, deletions, replacements and swaps of neighbours each count one. */
export function editDistance(a: string, b: string): number {
  let previous: number[] = []
  let current = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const next = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1]
      let cost = Math.min((current[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1, (current[column - 1] ?? 0) + (same ? 0 : 1))
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        cost = Math.min(cost, (previous[column - 2] ?? 0) + 1)
      }
      next.push(cost)
    }
    previous = current
    current = next
  }
  return current[b.length] ?? 0
}
