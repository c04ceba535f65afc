/** Everything that a screen hides or reorders by: controls, bidi and zero-width characters, odd spaces, unassigned points. */
const deceptive = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}\p{Cs}\u115f\u1160\u3164\uffa0\u00a0\u2000-\u200a\u202f\u205f\u3000]/gu

/**
 * A text as a reviewer must see it: characters that hide or reorder text (U+202E turns it around, U+200B splits a word,
 * ESC drives a terminal) are spelt as `\u202e`. Line feeds and tabs stay.
 */
export function visibleText(text: string): string {
  return text.replaceAll(deceptive, (char) => {
    if (char === '\n' || char === '\t') return char
    const point = char.codePointAt(0) ?? 0
    return point > 0xffff ? `\\u{${point.toString(16)}}` : '\\u' + point.toString(16).padStart(4, '0')
  })
}
