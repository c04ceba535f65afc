import { Injectable } from '@nestjs/common'
import { PrismaService } from '../database/prisma.service.js'
import { Prisma } from '../generated/prisma/client.js'
import { actionsBelow } from './actions-below.js'
import { selectRow, type EventRow } from './audit.repository.js'
import type { SearchQuery } from './search.dto.js'
import { statementQuery } from './statement-query.js'

const escapeLike = (text: string): string => text.replaceAll(/[\\%_]/g, (c) => '\\' + c)

/** Searches over the chain. */
@Injectable()
export class SearchRepository {
  constructor(private readonly prisma: PrismaService) {}

  /**
   * Rows that match, by position. `pseudonyms` are those of the names in the query. Bounded by a statement timeout, because `text` is a scan.
   * @throws what {@link isStatementTimeout} recognises, when it takes longer than `timeoutMs`
   */
  search(query: SearchQuery, pseudonyms: ReadonlyMap<string, string>, order: 'asc' | 'desc', limit: number, timeoutMs: number): Promise<EventRow[]> {
    const direction = order === 'asc' ? Prisma.sql`ASC` : Prisma.sql`DESC`
    return this.prisma.$transaction(
      async (tx) => {
        await tx.$executeRaw`SELECT set_config('statement_timeout', ${String(timeoutMs)}, true)`
        const rows = (condition: Prisma.Sql): Prisma.Sql => Prisma.sql`(${selectRow} WHERE ${conditions(query, pseudonyms, order)} AND ${condition} ORDER BY "position" ${direction} LIMIT ${limit})`
        if (query.until === undefined) return tx.$queryRaw<EventRow[]>(rows(Prisma.sql`true`))
        // What happened before may have been received long after, from an agent that was cut off: of later months, only
        // what came late is looked at. The same expression as the index event_late_idx has.
        const soon = Prisma.sql`${query.until}::timestamptz + interval '1 day'`
        const inTime = rows(Prisma.sql`received_at < ${soon}`)
        const late = rows(Prisma.sql`received_at >= ${soon} AND received_at - "time" > interval '1 day'`)
        return tx.$queryRaw<EventRow[]>`${inTime} UNION ALL ${late} ORDER BY "position" ${direction} LIMIT ${limit}`
      },
      { maxWait: 15_000, timeout: timeoutMs + 5000 },
    )
  }
}

function conditions(query: SearchQuery, pseudonyms: ReadonlyMap<string, string>, order: 'asc' | 'desc'): Prisma.Sql {
  const all: Prisma.Sql[] = [Prisma.sql`true`]
  if (query.cursor !== undefined) {
    const cursor = BigInt(query.cursor)
    all.push(order === 'asc' ? Prisma.sql`"position" > ${cursor}` : Prisma.sql`"position" < ${cursor}`)
  }
  if (query.who !== undefined) {
    const pseudonym = pseudonyms.get(query.who)
    all.push(pseudonym === undefined ? Prisma.sql`identity = ${query.who}` : Prisma.sql`identity IN (${query.who}, ${pseudonym})`)
  }
  if (query.target !== undefined) all.push(Prisma.sql`target = ${query.target}`)
  if (query.decision !== undefined) all.push(Prisma.sql`decision = ${query.decision}`)
  if (query.session !== undefined) all.push(Prisma.sql`session_id = ${query.session}::uuid`)
  // Received before it happened, by a clock that is a day wrong: months before that needn't be looked at.
  if (query.since !== undefined) all.push(Prisma.sql`"time" >= ${query.since}::timestamptz AND received_at >= ${query.since}::timestamptz - interval '1 day'`)
  if (query.until !== undefined) all.push(Prisma.sql`"time" < ${query.until}::timestamptz`)
  if (query.kind !== undefined) all.push(Prisma.sql`(kind = ${query.kind} OR kind COLLATE "C" >= ${query.kind + '.'} AND kind COLLATE "C" < ${query.kind + '/'})`)
  else if (query.recordings !== 'true') all.push(Prisma.sql`kind <> 'recording'`)
  if (query.action !== undefined) all.push(Prisma.sql`actions && ${actionsBelow(query.action)}::text[]`)
  if (query.object !== undefined) all.push(objectCondition(query.object))
  if (query.statement !== undefined) {
    const words = statementQuery(query.statement)
    all.push(words === undefined ? Prisma.sql`false` : Prisma.sql`to_tsvector('simple'::regconfig, words) @@ to_tsquery('simple'::regconfig, ${words})`)
  }
  if (query.text !== undefined) {
    // The body is JSON text, so what is looked for is written the way JSON writes it.
    const needle = escapeLike(JSON.stringify(query.text).slice(1, -1))
    const pseudonym = pseudonyms.get(query.text)
    const named = pseudonym === undefined ? Prisma.empty : Prisma.sql` OR body LIKE ${`%${pseudonym}%`}`
    all.push(Prisma.sql`(body ILIKE ${'%' + needle + '%'}${named})`)
  }
  return Prisma.join(all, ' AND ')
}

function objectCondition(object: string): Prisma.Sql {
  if (!object.includes('*')) return Prisma.sql`objects @> ${[object]}::text[]`
  const pattern = object.split('*').map(escapeLike).join('%')
  return Prisma.sql`EXISTS (SELECT 1 FROM unnest(objects) AS o WHERE o LIKE ${pattern})`
}

const queryCanceled = '57014'

/** Whether PostgreSQL stopped the statement for its time. Prisma hands the SQLSTATE on in one of these places. */
export function isStatementTimeout(error: unknown): boolean {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth++) {
    const fields: readonly unknown[] = ['code', 'originalCode', 'meta', 'message'].map((name): unknown => Reflect.get(cause, name))
    if (fields.some((field) => (JSON.stringify(field) ?? '').includes(queryCanceled))) return true
  }
  return false
}
