import { visible } from './visible.js'

export interface Column<T> {
  readonly title: string
  readonly value: (row: T) => string
}

/** Columns side by side, each as wide as its longest cell; cells are one line and made visible. Ends without a line end. */
export function table<T>(columns: readonly Column<T>[], rows: readonly T[], width = Number.POSITIVE_INFINITY): string {
  const cells = [columns.map((column) => column.title), ...rows.map((row) => columns.map((column) => visible(column.value(row))))]
  const widths = columns.map((_, index) => Math.max(...cells.map((row) => displayWidth(row[index] ?? ''))))
  return cells
    .map((row) => shorten(row.map((cell, index) => (index === row.length - 1 ? cell : cell + ' '.repeat((widths[index] ?? 0) - displayWidth(cell)))).join('  ').trimEnd(), width))
    .join('\n')
}

/** `name   value` lines. Empty values are left out. */
export function fields(entries: readonly (readonly [string, string])[]): string {
  const shown = entries.filter(([, value]) => value !== '')
  const width = Math.max(0, ...shown.map(([name]) => name.length))
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${visible(value)}`).join('\n')
}

/** Cells of a terminal: East Asian wide characters and emoji take two. */
export function displayWidth(text: string): number {
  let width = 0
  for (const character of text) width += /\p{Mn}/u.test(character) ? 0 : wide.test(character) ? 2 : 1
  return width
}

const wide = /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u

function shorten(line: string, width: number): string {
  if (displayWidth(line) <= width) return line
  let kept = ''
  for (const character of line) {
    if (displayWidth(kept + character) > width - 1) break
    kept += character
  }
  return kept + '…'
}
