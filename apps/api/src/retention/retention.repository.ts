import { Injectable } from '@nestjs/common'
import { chainOf, eventPart, headOf, type Tombstone } from '@sallyport/audit-log'
import { PrismaService } from '../database/prisma.service.js'
import { Prisma, type LegalHold } from '../generated/prisma/client.js'

export type Transaction = Prisma.TransactionClient

/** What may go: kinds of events, received before a moment, up to a position. */
export interface Expired {
  readonly kinds: readonly string[]
  readonly before: Date
  /** Everything up to it is signed, and every sink is past it. */
  readonly ceiling: bigint
}

/** Deletions and new legal holds exclude each other: once a hold is there, nothing of it goes any more. */
const retentionLock = 7_240_514

@Injectable()
export class RetentionRepository {
  constructor(private readonly prisma: PrismaService) {}

  transaction<T>(run: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.prisma.$transaction(
      async (tx) => {
        await tx.$executeRaw`SELECT pg_advisory_xact_lock(${retentionLock})`
        return run(tx)
      },
      { maxWait: 15_000, timeout: 60_000 },
    )
  }

  /** The lowest position that a sink has still to send, or none. A sink that hasn't begun has all of it to send. */
  async behind(sinks: readonly string[]): Promise<bigint | undefined> {
    if (sinks.length === 0) return undefined
    const rows = await this.prisma.sinkState.findMany({ where: { name: { in: [...sinks] } }, select: { position: true } })
    return rows.length < sinks.length ? 0n : rows.reduce((least, { position }) => (position < least ? position : least), rows[0]?.position ?? 0n)
  }

  /** The newest position that is too much when at most so many bytes of events of these kinds are kept; undefined when all fits. */
  async overflow(kinds: readonly string[], bytes: number): Promise<bigint | undefined> {
    const [row] = await this.prisma.$queryRaw<{ position: bigint | null }[]>`
      SELECT max("position") AS "position"
      FROM (SELECT "position", sum(octet_length(body)) OVER (ORDER BY "position" DESC) AS total FROM event WHERE kind = ANY(${[...kinds]}::text[])) AS sized
      WHERE total > ${bytes}`
    return row?.position ?? undefined
  }

  async count(expired: Expired): Promise<{ readonly events: number; readonly bytes: number }> {
    const [row] = await this.prisma.$queryRaw<{ events: bigint; bytes: bigint }[]>`
      SELECT count(*) AS events, coalesce(sum(octet_length(e.body)), 0)::bigint AS bytes FROM event e LEFT JOIN session s ON s.id = e.session_id WHERE ${deletable(expired)}`
    return { events: Number(row?.events ?? 0), bytes: Number(row?.bytes ?? 0) }
  }

  /** The oldest that may go, behind a position. */
  async oldest(tx: Transaction, expired: Expired, after: bigint, limit: number): Promise<(Omit<Tombstone, 'run'> & { readonly bytes: number })[]> {
    const rows = await tx.$queryRaw<{ position: bigint; hash: Uint8Array; source: string; seq: bigint | null; kind: string; session: string | null; body: string }[]>`
      SELECT e."position", e.hash, e.source, e.source_seq AS seq, e.kind, e.session_id::text AS session, e.body FROM event e LEFT JOIN session s ON s.id = e.session_id
      WHERE ${deletable(expired)} AND e."position" > ${after} ORDER BY e."position" LIMIT ${limit}`
    return rows.map(({ body, ...row }) => {
      const record = eventPart(body)
      const link = row.source.startsWith('agent:') && row.session !== null ? chainOf(record) : undefined
      return { ...row, link: link?.n ?? null, head: link === undefined ? null : headOf(record), bytes: Buffer.byteLength(body) }
    })
  }

  /** Puts the tombstones in the events' place. */
  async bury(tx: Transaction, tombstones: readonly Tombstone[]): Promise<void> {
    const rows = tombstones.map(({ position, hash, seq, ...rest }) => ({ ...rest, position: String(position), hash: Buffer.from(hash).toString('hex'), seq: seq === null ? null : String(seq) }))
    await tx.$executeRaw`
      INSERT INTO event_tombstone ("position", hash, source, source_seq, kind, session_id, link, head, run)
      SELECT "position", decode(hash, 'hex'), source, seq, kind, session, link, head, run
      FROM jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) AS r("position" bigint, hash text, source text, seq bigint, kind text, session uuid, link int, head text, run uuid)`
    await tx.$executeRaw`DELETE FROM event WHERE "position" = ANY(${tombstones.map(({ position }) => position)}::bigint[])`
    await this.#forget(tx, [...new Set(tombstones.flatMap(({ session }) => (session === null ? [] : [session])))])
  }

  /** What these sessions showed goes with the events that name it; with the last of them the session's key, and so what lies in other stores and in backups. */
  async #forget(tx: Transaction, sessions: readonly string[]): Promise<void> {
    const named = Prisma.sql`e.kind IN ('recording', 'command.end')`
    await tx.$executeRaw`
      WITH gone AS (
        DELETE FROM recording_part p WHERE p.session_id = ANY(${[...sessions]}::uuid[])
          AND NOT EXISTS (SELECT 1 FROM event e WHERE e.session_id = p.session_id AND ${named} AND e.source_seq BETWEEN p.first_seq AND p.last_seq)
        RETURNING session_id, first_seq, last_seq, sha256, store)
      INSERT INTO recording_leftover (session_id, first_seq, last_seq, sha256, store, due_at)
      SELECT session_id, first_seq, last_seq, sha256, store, now() FROM gone WHERE store <> 'postgres'
      ON CONFLICT (session_id, first_seq, last_seq, sha256) DO UPDATE SET due_at = excluded.due_at`
    await tx.$executeRaw`
      DELETE FROM recording r WHERE r.session_id = ANY(${[...sessions]}::uuid[])
        AND NOT EXISTS (SELECT 1 FROM event e WHERE e.session_id = r.session_id AND ${named})`
  }

  /** Partitions of past months in which nothing is left. Returns their names. */
  async dropEmptyMonths(): Promise<string[]> {
    const months = await this.prisma.$queryRaw<{ name: string }[]>`
      SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE i.inhparent = 'event'::regclass AND c.relname ~ '^event_\\d{4}_\\d{2}$' AND c.relname < 'event_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')`
    const dropped: string[] = []
    for (const { name } of months) {
      const table = Prisma.raw(`"${name}"`)
      const gone = await this.prisma.$transaction(async (tx) => {
        // Whoever writes or searches isn't made to wait: tried again next time.
        await tx.$executeRaw`SET LOCAL lock_timeout = '2s'`
        const rows = await tx.$queryRaw<unknown[]>`SELECT 1 FROM ${table} LIMIT 1`
        if (rows.length > 0) return false
        await tx.$executeRaw`DROP TABLE ${table}`
        return true
      })
      if (gone) dropped.push(name)
    }
    return dropped
  }

  holds(): Promise<LegalHold[]> {
    return this.prisma.legalHold.findMany({ orderBy: { createdAt: 'desc' } })
  }

  async addHold(tx: Transaction, hold: Prisma.LegalHoldCreateInput): Promise<void> {
    await tx.legalHold.create({ data: hold })
  }

  /** False when there is no such hold, or it was released before. */
  async releaseHold(tx: Transaction, id: string, by: string, now: Date): Promise<boolean> {
    const { count } = await tx.legalHold.updateMany({ where: { id, releasedAt: null }, data: { releasedBy: by, releasedAt: now } })
    return count === 1
  }
}

/** Of sessions that are over, and under no hold. */
function deletable({ kinds, before, ceiling }: Expired): Prisma.Sql {
  return Prisma.sql`e.kind = ANY(${[...kinds]}::text[]) AND e.received_at < ${before} AND e."position" <= ${ceiling} AND (s.id IS NULL OR s.ended_at IS NOT NULL)
    AND NOT EXISTS (SELECT 1 FROM legal_hold h WHERE h.released_at IS NULL
      AND (h.session_id IS NULL OR h.session_id = e.session_id) AND (h.identity IS NULL OR h.identity = e.identity) AND (h.target IS NULL OR h.target = e.target)
      AND (h.from_time IS NULL OR e."time" >= h.from_time) AND (h.to_time IS NULL OR e."time" < h.to_time))`
}
