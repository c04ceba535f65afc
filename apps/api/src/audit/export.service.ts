import { Injectable } from '@nestjs/common'
import type { EventItem, SearchQuery } from './search.dto.js'
import { SearchService } from './search.service.js'

export type ExportFormat = 'jsonl' | 'csv'

const pageSize = 1000

/** Events as a file, of any length: a page at a time, and the next one only when the last was taken. */
@Injectable()
export class ExportService {
  constructor(private readonly events: SearchService) {}

  /**
   * Lines with their newlines. JSON lines end with `{"end":true,"events":N}`; of both forms, a transfer that breaks off ends
   * without its last chunk.
   * @throws {Problem} what searches throw, before the first line
   */
  async lines(query: SearchQuery, format: ExportFormat): Promise<AsyncIterable<string>> {
    const first = await this.events.search({ ...query, limit: pageSize })
    return this.#lines(query, format, first)
  }

  async *#lines(query: SearchQuery, format: ExportFormat, first: { readonly items: readonly EventItem[]; readonly next?: string }): AsyncGenerator<string> {
    let count = 0
    if (format === 'csv') yield csvLine(csvColumns.map(([name]) => name))
    for (let page = first; ; page = await this.events.search({ ...query, limit: pageSize, cursor: page.next })) {
      count += page.items.length
      yield page.items.map((item) => (format === 'csv' ? csvLine(csvColumns.map(([, value]) => value(item))) : `${JSON.stringify(item)}\n`)).join('')
      if (page.next === undefined) break
    }
    if (format === 'jsonl') yield `${JSON.stringify({ end: true, events: count })}\n`
  }
}

const csvColumns: readonly (readonly [string, (item: EventItem) => string])[] = [
  ['position', (item) => item.position],
  ['time', (item) => item.time],
  ['kind', (item) => item.kind],
  ['who', (item) => item.who ?? ''],
  ['target', (item) => item.target ?? ''],
  ['session', (item) => item.session ?? ''],
  ['command', (item) => String(item.command ?? '')],
  ['decision', (item) => item.decision ?? ''],
  ['rule', (item) => item.rule ?? ''],
  ['actions', (item) => item.actions.join(' ')],
  ['objects', (item) => item.objects.join(' ')],
  ['text', (item) => textOf(item.event)],
  ['hash', (item) => item.hash],
]

function textOf(event: unknown): string {
  return typeof event === 'object' && event !== null && 'text' in event && typeof event.text === 'string' ? event.text : ''
}

/** RFC 4180. What a spreadsheet would take for a formula gets an apostrophe in front: a command's text is anybody's. */
function csvLine(values: readonly string[]): string {
  return `${values.map((value) => `"${(/^[=+\-@\t\r]/.test(value) ? `'${value}` : value).replaceAll('"', '""')}"`).join(',')}\r\n`
}
