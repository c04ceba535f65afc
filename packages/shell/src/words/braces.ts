/** A character of a word, and whether quoting took its special meaning away. */
export interface Glyph {
  readonly char: string
  readonly quoted: boolean
}

const maxAlternatives = 64

/**
 * bash's brace expansion for the shape that can't be misread: no nesting, no ranges. Undefined when the word has braces of
 * another shape; the word itself when it has none that expand.
 */
export function expandBraces(word: readonly Glyph[]): readonly (readonly Glyph[])[] | undefined {
  const open = word.findIndex((glyph) => bare(glyph, '{'))
  if (open === -1) return [word]
  const close = word.findIndex((glyph, index) => index > open && bare(glyph, '}'))
  // Without its partner a brace is literal, but a later one may close it in ways that aren't worth following.
  if (close === -1) return word.some((glyph) => bare(glyph, ',')) ? undefined : [word]
  const inner = word.slice(open + 1, close)
  const rest = expandBraces(word.slice(close + 1))
  if (rest === undefined || inner.some((glyph) => bare(glyph, '{')) || inner.some((glyph, index) => bare(glyph, '.') && glyphIs(inner[index + 1], '.'))) return undefined
  const alternatives = split(inner)
  const middle = alternatives.length === 1 ? [word.slice(open, close + 1)] : alternatives
  if (middle.length * rest.length > maxAlternatives) return undefined
  return middle.flatMap((alternative) => rest.map((tail) => [...word.slice(0, open), ...alternative, ...tail]))
}

function split(inner: readonly Glyph[]): readonly (readonly Glyph[])[] {
  const alternatives: Glyph[][] = [[]]
  for (const glyph of inner) {
    if (bare(glyph, ',')) alternatives.push([])
    else alternatives.at(-1)?.push(glyph)
  }
  return alternatives
}

function bare(glyph: Glyph, char: string): boolean {
  return !glyph.quoted && glyph.char === char
}

function glyphIs(glyph: Glyph | undefined, char: string): boolean {
  return glyph !== undefined && bare(glyph, char)
}
