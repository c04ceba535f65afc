import { Injectable } from '@nestjs/common'
import type { StoredEvent } from '@sallyport/sinks'
import { PrismaService } from '../database/prisma.service.js'
import { PseudonymsService } from '../privacy/pseudonyms.service.js'
import { Problem } from '../problem/problem.js'
import { RecordingPartsService } from '../recordings/recording-parts.service.js'
import { Prisma, type SinkDeadLetter, type SinkState } from '../generated/prisma/client.js'

/** A piece of the chain behind a cursor. */
export interface Slice {
  /** Of the last row that was looked at; rows of other kinds are skipped without being read. */
  readonly upTo: bigint
  readonly events: readonly StoredEvent[]
  /** More lies behind it, or the bounds were reached. */
  readonly full: boolean
  /** When the first of the events was stored. */
  readonly oldest?: Date
}

export interface Lag {
  readonly records: bigint
  /** Age of the oldest event that wasn't sent. */
  readonly seconds: number
}

export interface Refused {
  readonly position: bigint
  readonly code: string
  readonly reason: string
}

interface Row {
  readonly position: bigint
  readonly body: string | null
  readonly receivedAt: Date
  readonly protocol: string | null
  readonly clientAddress: string | null
}

/** Cursors, leases and dead letters, and the chain as sinks read it. Times are the database's: replicas' clocks differ. */
@Injectable()
export class SinksRepository {
  constructor(
    private readonly prisma: PrismaService,
    private readonly parts: RecordingPartsService,
    private readonly pseudonyms: PseudonymsService,
  ) {}

  /** Makes the row of a new sink. `now` begins behind what is stored by then. */
  async ensure(name: string, from: 'beginning' | 'now'): Promise<void> {
    const start = from === 'now' ? Prisma.sql`(SELECT coalesce(max("position"), 0) FROM event)` : Prisma.sql`0`
    await this.prisma.$executeRaw`INSERT INTO sink_state (name, "position", created_at) VALUES (${name}, ${start}, now()) ON CONFLICT DO NOTHING`
  }

  /** Takes or keeps the lease. Undefined when another process has it. */
  async own(name: string, owner: string, seconds: number): Promise<SinkState | undefined> {
    const taken = await this.prisma.$executeRaw`
      UPDATE sink_state SET owner = ${owner}, owned_until = now() + make_interval(secs => ${seconds})
      WHERE name = ${name} AND (owner IS NULL OR owner = ${owner} OR owned_until < now())`
    if (taken === 0) return undefined
    return (await this.state(name)) ?? undefined
  }

  async release(name: string, owner: string): Promise<void> {
    await this.prisma.$executeRaw`UPDATE sink_state SET owner = NULL, owned_until = NULL WHERE name = ${name} AND owner = ${owner}`
  }

  state(name: string): Promise<SinkState | null> {
    return this.prisma.sinkState.findUnique({ where: { name } })
  }

  /**
   * Events behind the cursor, in order: at most `records` rows and about `bytes` of text, at least one row.
   * Positions become visible in order, because whoever appends holds the head's lock: none is skipped.
   */
  async read(after: bigint, kinds: readonly string[] | undefined, records: number, bytes: number): Promise<Slice> {
    const wanted = kinds === undefined ? Prisma.sql`e.kind <> 'recording'` : Prisma.sql`(e.kind = ANY(${[...kinds]}) OR e.kind LIKE ANY(${kinds.map((kind) => kind.replaceAll('_', '\\_') + '.%')}))`
    const rows = await this.prisma.$queryRaw<Row[]>`
      SELECT t."position", CASE WHEN t.wanted THEN t.body END AS body, t.received_at AS "receivedAt", s.protocol, s.client_address AS "clientAddress"
      FROM (
        SELECT w.*, sum(CASE WHEN w.wanted THEN octet_length(w.body) ELSE 0 END) OVER (ORDER BY w."position") AS total, row_number() OVER (ORDER BY w."position") AS place
        FROM (SELECT e."position", e.body, e.received_at, e.session_id, ${wanted} AS wanted FROM event e WHERE e."position" > ${after} ORDER BY e."position" LIMIT ${records}) w
      ) t LEFT JOIN session s ON s.id = t.session_id
      WHERE t.total <= ${bytes} OR t.place = 1
      ORDER BY t."position"`
    const events = await this.#stored(rows)
    const oldest = rows.find((row) => row.body !== null)?.receivedAt
    const upTo = rows.at(-1)?.position ?? after
    const size = events.reduce((sum, event) => sum + event.body.length, 0)
    return { upTo, events, full: rows.length >= records || size >= bytes / 2, ...(oldest ? { oldest } : {}) }
  }

  /** The events at these places that are still there. */
  async at(positions: readonly bigint[]): Promise<StoredEvent[]> {
    const rows = await this.prisma.$queryRaw<Row[]>`
      SELECT e."position", e.body, e.received_at AS "receivedAt", s.protocol, s.client_address AS "clientAddress"
      FROM event e LEFT JOIN session s ON s.id = e.session_id WHERE e."position" = ANY(${[...positions]}::bigint[]) ORDER BY e."position"`
    return this.#stored(rows)
  }

  /** With what their sessions showed; without it where that can't be read or was changed: a sink doesn't stop for it, and verify names it. */
  async #stored(rows: readonly Row[]): Promise<StoredEvent[]> {
    const reader = this.parts.reader()
    const events: StoredEvent[] = []
    await this.pseudonyms.prefetch(rows.flatMap(({ body }) => body ?? []))
    for (const event of rows.flatMap(toStored)) {
      const body = await reader.whole(event.position, event.body).catch((error: unknown) => {
        if (error instanceof Problem) return event.body
        throw error
      })
      events.push({ ...event, body: await this.pseudonyms.openBody(body) })
    }
    return events
  }

  /**
   * Moves the cursor and files what was refused, in one transaction.
   * @returns false when the lease has gone to another process, which then sends the same events again
   */
  async advance(name: string, owner: string, position: bigint, sent: number, refused: readonly Refused[]): Promise<boolean> {
    return this.prisma.$transaction(async (tx) => {
      const moved = await tx.$executeRaw`
        UPDATE sink_state SET "position" = greatest("position", ${position}), sent = sent + ${sent},
          last_sent_at = CASE WHEN ${sent} > 0 THEN now() ELSE last_sent_at END
        WHERE name = ${name} AND owner = ${owner}`
      if (moved === 0) return false
      for (const { position: place, code, reason } of refused) {
        await tx.$executeRaw`
          INSERT INTO sink_dead_letter (sink, "position", code, reason, created_at, tried_at) VALUES (${name}, ${place}, ${code}, ${reason}, now(), now())
          ON CONFLICT (sink, "position") DO UPDATE SET code = excluded.code, reason = excluded.reason, attempts = sink_dead_letter.attempts + 1, tried_at = now(), retry_asked_at = NULL`
      }
      return true
    })
  }

  async failed(name: string, owner: string, error: string): Promise<SinkState | null> {
    await this.prisma.$executeRaw`
      UPDATE sink_state SET failures = failures + 1, failing_since = coalesce(failing_since, now()), last_error = ${error}, last_error_at = now()
      WHERE name = ${name} AND owner = ${owner}`
    return this.state(name)
  }

  async recovered(name: string, owner: string): Promise<void> {
    await this.prisma.$executeRaw`UPDATE sink_state SET failures = 0, failing_since = NULL, failing_told_at = NULL WHERE name = ${name} AND owner = ${owner}`
  }

  async told(name: string): Promise<void> {
    await this.prisma.$executeRaw`UPDATE sink_state SET failing_told_at = now() WHERE name = ${name}`
  }

  /** How far a cursor is behind. Counts positions, not only those of the sink's kinds. */
  async lag(position: bigint): Promise<Lag> {
    const [row] = await this.prisma.$queryRaw<{ records: bigint; seconds: number }[]>`
      SELECT coalesce((SELECT max("position") FROM event), 0) - ${position}::bigint AS records,
        coalesce(extract(epoch FROM now() - (SELECT received_at FROM event WHERE "position" > ${position} ORDER BY "position" LIMIT 1)), 0)::float8 AS seconds`
    return { records: row && row.records > 0n ? row.records : 0n, seconds: Math.max(0, row?.seconds ?? 0) }
  }

  letters(name: string, after: bigint, limit: number): Promise<SinkDeadLetter[]> {
    return this.prisma.sinkDeadLetter.findMany({ where: { sink: name, position: { gt: after } }, orderBy: { position: 'asc' }, take: limit })
  }

  countLetters(name: string): Promise<number> {
    return this.prisma.sinkDeadLetter.count({ where: { sink: name } })
  }

  /** Marks dead letters to be tried again; all of the sink's, or those named. Returns how many. */
  async askRetry(name: string, positions: readonly bigint[] | undefined): Promise<number> {
    const { count } = await this.prisma.sinkDeadLetter.updateMany({
      where: { sink: name, ...(positions === undefined ? {} : { position: { in: [...positions] } }) },
      data: { retryAskedAt: new Date() },
    })
    return count
  }

  async lettersToRetry(name: string, limit: number): Promise<bigint[]> {
    const rows = await this.prisma.sinkDeadLetter.findMany({ where: { sink: name, retryAskedAt: { not: null } }, orderBy: { position: 'asc' }, take: limit, select: { position: true } })
    return rows.map((row) => row.position)
  }

  async removeLetter(name: string, position: bigint): Promise<void> {
    await this.prisma.sinkDeadLetter.deleteMany({ where: { sink: name, position } })
  }
}

function toStored(row: Row): StoredEvent[] {
  if (row.body === null) return []
  return [{ position: row.position, body: row.body, ...(row.protocol === null || row.clientAddress === null ? {} : { session: { protocol: row.protocol, clientAddress: row.clientAddress } }) }]
}
