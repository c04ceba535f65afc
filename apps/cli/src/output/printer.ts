import { stringify } from 'yaml'
import type { Fields } from '../http/record.js'
import { table, type Column } from './table.js'
import { visible, visibleJson } from './visible.js'

export type Format = 'table' | 'json' | 'yaml'

/** Where a command's result goes. Text handed to {@link Printer.text} must have been made visible by the one who built it. */
export class Printer {
  readonly #out: NodeJS.WritableStream

  constructor(
    readonly format: Format,
    out: NodeJS.WritableStream = process.stdout,
  ) {
    this.#out = out
  }

  /** Columns of the terminal; unlimited when the output goes to a file or a pipe. */
  get width(): number {
    return 'columns' in this.#out && typeof this.#out.columns === 'number' ? this.#out.columns : Number.POSITIVE_INFINITY
  }

  /** The whole answer for programs, or what `forPeople` makes of it. */
  result(data: unknown, forPeople: () => string): void {
    switch (this.format) {
      case 'json':
        return this.text(visibleJson(JSON.stringify(data, undefined, 2)))
      case 'yaml':
        return this.text(stringify(data, { lineWidth: 0 }).trimEnd().split('\n').map(visible).join('\n'))
      case 'table':
        return this.text(forPeople())
    }
  }

  /** A list of things: a table for people, or `empty` when there are none. */
  list(items: readonly Fields[], columns: readonly Column<Fields>[], empty: string, rows = items): void {
    this.result(items, () => (items.length === 0 ? empty : table(columns, rows, this.width)))
  }

  text(text: string): void {
    this.#out.write(text + '\n')
  }
}

/** `2026-01-05 14:03:22` (UTC) of an RFC 3339 time; other text as it is. */
export function shortTime(time: string): string {
  const match = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)/.exec(time)
  return match === null ? time : `${match[1] ?? ''} ${match[2] ?? ''}`
}
