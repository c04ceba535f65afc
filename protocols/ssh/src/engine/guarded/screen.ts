const wide = /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f680}-\u{1f6ff}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]/u
const tabWidth = 4

/** Columns that a character takes; a tab stands as four spaces. */
export function widthOf(character: string): number {
  if (character === '\t') return tabWidth
  if (/\p{M}/u.test(character)) return 0
  return wide.test(character) ? 2 : 1
}

/** A character as it is shown. */
export function shownAs(character: string): string {
  return character === '\t' ? ' '.repeat(tabWidth) : character
}

export interface Position {
  readonly row: number
  readonly column: number
}

/** Where the cursor stands after these characters, beginning at `from`, on a terminal that wraps at `columns`. */
export function positionAfter(characters: Iterable<string>, columns: number, from: Position = { row: 0, column: 0 }): Position {
  let { row, column } = from
  for (const character of characters) {
    const width = widthOf(character)
    if (column + width > columns) {
      row += 1
      column = 0
    }
    column += width
    if (column >= columns) {
      row += 1
      column = 0
    }
  }
  return { row, column }
}
