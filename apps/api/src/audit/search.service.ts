import { Injectable } from '@nestjs/common'
import { Prisma } from '../generated/prisma/client.js'
import { Problem } from '../problem/problem.js'
import { protocols } from '../protocols.js'
import { AuditRepository, type EventRow } from './audit.repository.js'
import type { EventItem, EventPage, SearchQuery } from './search.dto.js'

const searchTimeoutMs = 10_000
const defaultLimit = 100

const escapeLike = (text: string): string => text.replaceAll(/[\\%_]/g, (c) => '\\' + c)

/** Searches the audit chain. Keyset pagination by position: a page never shifts while events arrive. */
@Injectable()
export class SearchService {
  constructor(private readonly repository: AuditRepository) {}

  /** @throws {Problem} SEARCH_TOO_BROAD when it takes longer than ten seconds */
  async search(query: SearchQuery): Promise<EventPage> {
    const limit = query.limit ?? defaultLimit
    const order = query.order ?? 'desc'
    let rows: EventRow[]
    try {
      rows = await this.repository.search(conditions(query, order), order, limit + 1, searchTimeoutMs)
    } catch (error) {
      if (!isStatementTimeout(error)) throw error
      throw new Problem(400, 'SEARCH_TOO_BROAD', 'The search took too long and was stopped.', {
        hint: 'Narrow it: give since and until, who, target or session besides text.',
      })
    }
    const items = rows.slice(0, limit).map(toItem)
    const last = items.at(-1)
    return rows.length > limit && last ? { items, next: last.position } : { items }
  }

  /** The events of one session in order, oldest first. */
  ofSession(session: string, page: { readonly limit?: number | undefined; readonly cursor?: string | undefined } = {}): Promise<EventPage> {
    return this.search({ session, order: 'asc', ...(page.limit ? { limit: page.limit } : {}), ...(page.cursor ? { cursor: page.cursor } : {}) })
  }
}

function conditions(query: SearchQuery, order: 'asc' | 'desc'): Prisma.Sql {
  const all: Prisma.Sql[] = [Prisma.sql`true`]
  if (query.cursor !== undefined) {
    const cursor = BigInt(query.cursor)
    all.push(order === 'asc' ? Prisma.sql`"position" > ${cursor}` : Prisma.sql`"position" < ${cursor}`)
  }
  if (query.who !== undefined) all.push(Prisma.sql`identity = ${query.who}`)
  if (query.target !== undefined) all.push(Prisma.sql`target = ${query.target}`)
  if (query.decision !== undefined) all.push(Prisma.sql`decision = ${query.decision}`)
  if (query.session !== undefined) all.push(Prisma.sql`session_id = ${query.session}::uuid`)
  if (query.since !== undefined) all.push(Prisma.sql`"time" >= ${query.since}::timestamptz`)
  if (query.until !== undefined) all.push(Prisma.sql`"time" < ${query.until}::timestamptz`)
  if (query.kind !== undefined) all.push(Prisma.sql`(kind = ${query.kind} OR kind LIKE ${escapeLike(query.kind) + '.%'})`)
  if (query.action !== undefined) all.push(Prisma.sql`actions && ${actionsBelow(query.action)}::text[]`)
  if (query.object !== undefined) all.push(objectCondition(query.object))
  if (query.text !== undefined) {
    // The body is JSON text, so what is looked for is written the way JSON writes it.
    const needle = escapeLike(JSON.stringify(query.text).slice(1, -1))
    all.push(Prisma.sql`body ILIKE ${'%' + needle + '%'}`)
  }
  return Prisma.join(all, ' AND ')
}

function objectCondition(object: string): Prisma.Sql {
  if (!object.includes('*')) return Prisma.sql`objects @> ${[object]}::text[]`
  const pattern = object.split('*').map(escapeLike).join('%')
  return Prisma.sql`EXISTS (SELECT 1 FROM unnest(objects) AS o WHERE o LIKE ${pattern})`
}

/** Every concrete action that a name covers in any protocol's tree, so that the array index can serve the search. */
export function actionsBelow(name: string): string[] {
  const found = new Set<string>([name])
  const visit = (covering: string): void => {
    for (const { actions } of protocols) {
      for (const action of Object.keys(actions.actions)) {
        if (action === covering || action.startsWith(covering + '.')) found.add(action)
      }
      for (const member of actions.aliases[covering] ?? []) {
        if (!found.has(member)) {
          found.add(member)
          visit(member)
        }
      }
    }
  }
  visit(name)
  return [...found]
}

function isStatementTimeout(error: unknown): boolean {
  // Prisma wraps the driver's error (P2010 or a driver adapter error); SQLSTATE 57014 is query_canceled.
  return error instanceof Error && (error.message.includes('57014') || JSON.stringify(error).includes('57014'))
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
