import { Injectable } from '@nestjs/common'
import { PseudonymsService } from '../privacy/pseudonyms.service.js'
import { Problem } from '../problem/problem.js'
import { RecordingPartsService } from '../recordings/recording-parts.service.js'
import type { EventRow } from './audit.repository.js'
import { isStatementTimeout, SearchRepository } from './search.repository.js'
import type { EventItem, EventPage, SearchQuery } from './search.dto.js'

const searchTimeoutMs = 10_000
const defaultLimit = 100
/** Rows whose payloads are fetched at the same time. */
const readAtOnce = 8

export type SessionPage = Partial<Pick<SearchQuery, 'limit' | 'cursor' | 'recordings'>>

/** Searches the audit chain. Keyset pagination by position: a page never shifts while events arrive. */
@Injectable()
export class SearchService {
  constructor(
    private readonly repository: SearchRepository,
    private readonly parts: RecordingPartsService,
    private readonly pseudonyms: PseudonymsService,
  ) {}

  /** @throws {Problem} SEARCH_TOO_BROAD when it takes longer than ten seconds; RECORDING_BROKEN for a recording that isn't what was recorded */
  async search(query: SearchQuery): Promise<EventPage> {
    const limit = query.limit ?? defaultLimit
    const order = query.order ?? 'desc'
    let rows: EventRow[]
    try {
      rows = await this.repository.search(query, await this.#named(query), order, limit + 1, searchTimeoutMs)
    } catch (error) {
      if (!isStatementTimeout(error)) throw error
      throw new Problem(400, 'SEARCH_TOO_BROAD', 'The search took too long and was stopped.', {
        hint: 'Narrow it: give since and until, who, target or session besides text.',
      })
    }
    await this.pseudonyms.prefetch(rows.map(({ body }) => body))
    const reader = this.parts.reader()
    const items: EventItem[] = []
    for (let at = 0; at < Math.min(rows.length, limit); at += readAtOnce) {
      const some = rows.slice(at, Math.min(at + readAtOnce, limit))
      // All are awaited, so that of several broken ones the first is the one that is named.
      const read = await Promise.allSettled(some.map(async (row) => toItem(await this.#opened({ ...row, body: await reader.whole(row.position, row.body) }))))
      for (const one of read) {
        if (one.status === 'rejected') throw one.reason
        items.push(one.value)
      }
    }
    const last = items.at(-1)
    return rows.length > limit && last ? { items, next: last.position } : { items }
  }

  /** What stands in the log for the names that are asked for. */
  #named({ who, text }: SearchQuery): Promise<ReadonlyMap<string, string>> {
    return this.pseudonyms.known([who, text].filter((name) => name !== undefined))
  }

  async #opened(row: EventRow): Promise<EventRow> {
    return { ...row, body: await this.pseudonyms.openBody(row.body), identity: row.identity === null ? null : this.pseudonyms.open(row.identity) }
  }

  /** The events of one session in order, oldest first. */
  ofSession(session: string, page: SessionPage = {}): Promise<EventPage> {
    return this.search({ session, order: 'asc', ...(page.recordings ? { recordings: page.recordings } : {}), ...(page.limit ? { limit: page.limit } : {}), ...(page.cursor ? { cursor: page.cursor } : {}) })
  }
}

interface StoredBody {
  readonly event?: unknown
  readonly claims?: unknown
  readonly identity?: unknown
}

function toItem(row: EventRow): EventItem {
  const body: StoredBody = parseBody(row.body)
  return {
    position: String(row.position),
    id: row.id,
    time: row.time,
    received_at: row.receivedAt,
    source: row.source,
    ...(row.sourceSeq === null ? {} : { seq: String(row.sourceSeq) }),
    kind: row.kind,
    ...(row.sessionId === null ? {} : { session: row.sessionId }),
    ...(row.command === null ? {} : { command: row.command }),
    ...(row.identity === null ? {} : { who: row.identity }),
    ...(row.target === null ? {} : { target: row.target }),
    actions: row.actions,
    objects: row.objects,
    ...(row.decision === null ? {} : { decision: row.decision }),
    ...(row.rule === null ? {} : { rule: row.rule }),
    hash: Buffer.from(row.hash).toString('hex'),
    event: body.event,
    ...(body.claims === undefined ? {} : { claims: body.claims }),
    ...(body.identity === undefined ? {} : { identity: body.identity }),
  }
}

/** A body that someone broke in the database must not break the search; verify names it. */
function parseBody(text: string): StoredBody {
  try {
    const body: unknown = JSON.parse(text)
    return typeof body === 'object' && body !== null ? body : {}
  } catch {
    return { event: text }
  }
}
