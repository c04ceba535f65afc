import { Injectable } from '@nestjs/common'
import { PrismaService } from '../database/prisma.service.js'
import { Prisma } from '../generated/prisma/client.js'
import { Frontier, genesis, leafHash, type Tombstone } from '@sallyport/audit-log'
import type { EventColumns } from './body.js'
import type { SessionEnded, SessionFacts } from './prepare.js'

export interface ChainHead {
  readonly position: bigint
  readonly hash: Uint8Array
  /** Right edge of the hash tree over so many records. */
  readonly edge: Uint8Array
}

export interface ChainedEvent {
  readonly columns: EventColumns
  readonly body: string
  readonly position: bigint
  readonly prevHash: Buffer
  readonly hash: Buffer
}

/** A row as stored, times as `YYYY-MM-DDTHH:MM:SS.ffffffZ`. */
export interface EventRow extends EventColumns {
  readonly position: bigint
  readonly body: string
  readonly prevHash: Uint8Array
  readonly hash: Uint8Array
}

export type Transaction = Prisma.TransactionClient

/** Columns of {@link EventRow}, for whoever adds the conditions. */
export const selectRow = Prisma.sql`
  SELECT "position", id::text AS id,
    to_char("time" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "time",
    to_char(received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "receivedAt",
    source, source_seq AS "sourceSeq", kind, session_id::text AS "sessionId", command, identity, target, actions, objects,
    decision, rule, words, body, prev_hash AS "prevHash", hash
  FROM event`

/** How an agent tells the end of a session that a kill ended: by its own order, by the gateway's, or for want of a lease. */
const endsByKill = ['killed', 'connection_lost', 'lease_expired']

/** The chain in the database. Raw SQL: Prisma's own inserts cost about a millisecond a row. */
@Injectable()
export class AuditRepository {
  constructor(private readonly prisma: PrismaService) {}

  transaction<T>(run: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.prisma.$transaction(run, { maxWait: 15_000, timeout: 30_000 })
  }

  /** Locks the end of the chain until the transaction ends: appending is serial over all replicas. */
  async lockHead(tx: Transaction): Promise<ChainHead> {
    const locked = await this.readHead(tx, true)
    if (locked) return locked.position > 0n && locked.edge.length === 0 ? { ...locked, edge: await this.#edgeOf(tx, locked.position) } : locked
    await tx.$executeRaw`INSERT INTO audit_head (id, "position", hash) VALUES (1, 0, ${new Uint8Array(genesis)}) ON CONFLICT DO NOTHING`
    const made = await this.readHead(tx, true)
    if (!made) throw new Error('the audit head is missing')
    return made
  }

  /** For a log from before there was a tree: its records' hashes are all that it takes. */
  async #edgeOf(tx: Transaction, size: bigint): Promise<Uint8Array> {
    const edge = Frontier.empty()
    while (edge.size < size) {
      const rows = await tx.$queryRaw<{ hash: Uint8Array }[]>`SELECT hash FROM event WHERE "position" > ${edge.size} AND "position" <= ${size} ORDER BY "position" LIMIT 10000`
      if (rows.length === 0) break
      for (const { hash } of rows) edge.append(leafHash(hash))
    }
    return edge.bytes()
  }

  private async readHead(tx: Transaction, lock: boolean): Promise<ChainHead | undefined> {
    const rows = await tx.$queryRaw<ChainHead[]>`
      SELECT "position", hash, edge FROM audit_head WHERE id = 1 ${lock ? Prisma.sql`FOR UPDATE` : Prisma.empty}`
    return rows[0]
  }

  async insert(tx: Transaction, events: readonly ChainedEvent[]): Promise<void> {
    const rows = events.map(({ columns, ...event }) => ({
      position: String(event.position),
      id: columns.id,
      time: columns.time,
      received_at: columns.receivedAt,
      source: columns.source,
      source_seq: columns.sourceSeq === null ? null : String(columns.sourceSeq),
      kind: columns.kind,
      session_id: columns.sessionId,
      command: columns.command,
      identity: columns.identity,
      target: columns.target,
      actions: columns.actions,
      objects: columns.objects,
      decision: columns.decision,
      rule: columns.rule,
      words: columns.words,
      body: event.body,
      prev_hash: event.prevHash.toString('hex'),
      hash: event.hash.toString('hex'),
    }))
    await tx.$executeRaw`
      INSERT INTO event ("position", id, "time", received_at, source, source_seq, kind, session_id, command, identity, target,
        actions, objects, decision, rule, words, body, prev_hash, hash)
      SELECT "position", id, "time", received_at, source, source_seq, kind, session_id, command, identity, target,
        actions, objects, decision, rule, words, body, decode(prev_hash, 'hex'), decode(hash, 'hex')
      FROM jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) AS r("position" bigint, id uuid, "time" timestamptz,
        received_at timestamptz, source text, source_seq bigint, kind text, session_id uuid, command int, identity text,
        target text, actions text[], objects text[], decision text, rule text, words text, body text, prev_hash text, hash text)`
  }

  async setHead(tx: Transaction, head: ChainHead): Promise<void> {
    await tx.$executeRaw`UPDATE audit_head SET "position" = ${head.position}, hash = ${new Uint8Array(head.hash)}, edge = ${new Uint8Array(head.edge)} WHERE id = 1`
  }

  /** Highest acknowledged seq of each node, locked until the transaction ends. */
  async lockAcked(tx: Transaction, nodes: readonly string[]): Promise<Map<string, bigint>> {
    const rows = await tx.$queryRaw<{ id: string; acked: bigint }[]>`
      SELECT id::text AS id, acked_seq AS acked FROM node WHERE id = ANY(${[...nodes]}::uuid[]) ORDER BY id FOR UPDATE`
    return new Map(rows.map((row) => [row.id, row.acked]))
  }

  async setAcked(tx: Transaction, node: string, seq: bigint): Promise<void> {
    await tx.$executeRaw`UPDATE node SET acked_seq = ${seq} WHERE id = ${node}::uuid`
  }

  /**
   * Closes sessions in the same transaction that stores their end. A kill's reason stays when the kill ended the session;
   * one that had ended before the kill reached it (`sallyport exec` revokes as soon as its client is gone) keeps its own.
   */
  async endSessions(tx: Transaction, ended: readonly SessionEnded[]): Promise<void> {
    // In order of id, so that two replicas can't wait for each other.
    await tx.$queryRaw`SELECT 1 FROM session WHERE id = ANY(${ended.map((end) => end.session)}::uuid[]) ORDER BY id FOR UPDATE`
    await tx.$executeRaw`
      UPDATE session SET commands = greatest(session.commands, r.commands), ended_at = coalesce(session.ended_at, r."time"),
        end_reason = CASE WHEN session.killed_at IS NOT NULL AND session.ended_at IS NULL AND NOT r.reason = ANY(${endsByKill}::text[])
          THEN r.reason ELSE coalesce(session.end_reason, r.reason) END
      FROM jsonb_to_recordset(${JSON.stringify(ended)}::jsonb) AS r(session uuid, reason text, commands int, "time" timestamptz)
      WHERE session.id = r.session`
  }

  async sessionFacts(ids: readonly string[], tx: Transaction = this.prisma): Promise<Map<string, SessionFacts>> {
    const rows = await tx.session.findMany({
      where: { id: { in: [...ids] } },
      select: { id: true, agentId: true, identityKind: true, identity: true, groups: true, claims: true, actor: true, target: true },
    })
    return new Map(rows.map(({ id, ...facts }) => [id, facts]))
  }

  /** Bodies of stored records of one source, by seq. */
  async bodies(source: string, firstSeq: bigint, lastSeq: bigint): Promise<Map<bigint, string>> {
    const rows = await this.prisma.$queryRaw<{ seq: bigint; body: string }[]>`
      SELECT source_seq AS seq, body FROM event WHERE source = ${source} AND source_seq BETWEEN ${firstSeq} AND ${lastSeq}`
    return new Map(rows.map((row) => [row.seq, row.body]))
  }

  acked(node: string): Promise<bigint | undefined> {
    return this.prisma.node.findUnique({ where: { id: node }, select: { ackedSeq: true } }).then((row) => row?.ackedSeq)
  }

  /** Rows behind one, in order of position, at most `limit`; of two at one position, which must not be, both. */
  page({ position, receivedAt }: { readonly position: bigint; readonly receivedAt: string }, limit: number): Promise<EventRow[]> {
    return this.prisma.$queryRaw<EventRow[]>`${selectRow} WHERE ("position", received_at) > (${position}, ${receivedAt}::timestamptz) ORDER BY "position", received_at LIMIT ${limit}`
  }

  /** What stays of deleted records, in order of position, at most `limit`. */
  tombstones(after: bigint, limit: number): Promise<Tombstone[]> {
    return this.prisma.$queryRaw<Tombstone[]>`
      SELECT "position", hash, source, source_seq AS seq, kind, session_id::text AS session, link, head, run::text AS run
      FROM event_tombstone WHERE "position" > ${after} ORDER BY "position" LIMIT ${limit}`
  }

  /** Whether anything of the session, or between these positions, was deleted. */
  async isPartlyDeleted(of: { readonly session: string } | { readonly first: bigint; readonly last: bigint }): Promise<boolean> {
    const where = 'session' in of ? { sessionId: of.session } : { position: { gte: of.first, lte: of.last } }
    return (await this.prisma.eventTombstone.findFirst({ where, select: { position: true } })) !== null
  }

  /** Makes the partitions of this month and the next. */
  async makeMonths(): Promise<void> {
    await this.prisma.$executeRaw`SELECT audit_month(now()), audit_month(date_trunc('month', now(), 'UTC') + interval '32 days')`
  }

  /** The head row, each node's acknowledged seq and each source's last seq, in one snapshot. */
  async ends(): Promise<{ head: ChainHead | undefined; sources: { source: string; seq: bigint }[]; nodes: { id: string; acked: bigint }[] }> {
    return this.prisma.$transaction(
      async (tx) => {
        const head = await this.readHead(tx, false)
        const sources = await tx.$queryRaw<{ source: string; seq: bigint }[]>`
          SELECT source, max(seq) AS seq FROM (
            SELECT source, max(source_seq) AS seq FROM event WHERE source_seq IS NOT NULL GROUP BY source
            UNION ALL SELECT source, max(source_seq) FROM event_tombstone WHERE source_seq IS NOT NULL GROUP BY source
          ) AS stored GROUP BY source`
        const nodes = await tx.$queryRaw<{ id: string; acked: bigint }[]>`SELECT id::text AS id, acked_seq AS acked FROM node WHERE acked_seq > 0`
        return { head, sources, nodes }
      },
      { isolationLevel: 'RepeatableRead', timeout: 60_000 },
    )
  }

  head(): Promise<ChainHead | undefined> {
    return this.readHead(this.prisma, false)
  }

  /** Where the record with this hash stands now, if anywhere. A scan: for the report about a broken chain only. */
  async positionOfHash(hash: Uint8Array): Promise<bigint | undefined> {
    const rows = await this.prisma.$queryRaw<{ position: bigint }[]>`SELECT "position" FROM event WHERE hash = ${new Uint8Array(hash)} LIMIT 1`
    return rows[0]?.position
  }

  /** Positions of everything about a session, in order: its records, its agent's signatures, and how the agent's key came into the log. */
  async positionsOf(session: string, agent: string): Promise<bigint[]> {
    const rows = await this.prisma.$queryRaw<{ position: bigint }[]>`
      WITH own AS (SELECT min("position") AS first FROM event WHERE session_id = ${session}::uuid)
      SELECT "position" FROM event WHERE session_id = ${session}::uuid AND kind <> 'alert'
      UNION SELECT "position" FROM event, own WHERE source = ${`agent:${agent}`} AND kind = 'session.signed' AND "position" > own.first AND position(${session} IN body) > 0
      UNION SELECT "position" FROM event WHERE source = 'control-plane' AND kind IN ('node.enrolled', 'node.rekeyed') AND position(${agent} IN body) > 0
      ORDER BY "position"`
    return rows.map((row) => row.position)
  }

  /** First and last position received in a range of time, and one more on either side, within a log of this size; undefined when nothing was. */
  async positionsBetween(from: string, to: string, size: bigint): Promise<{ first: bigint; last: bigint } | undefined> {
    const [row] = await this.prisma.$queryRaw<{ first: bigint | null; last: bigint | null }[]>`
      SELECT min("position") AS first, max("position") AS last FROM event
      WHERE received_at >= ${from}::timestamptz AND received_at < ${to}::timestamptz AND "position" <= ${size}`
    const { first = null, last = null } = row ?? {}
    return first === null || last === null ? undefined : { first: first > 1n ? first - 1n : first, last: last < size ? last + 1n : last }
  }

  /** What is chained at these positions, in order. */
  at(positions: readonly bigint[]): Promise<{ position: bigint; prevHash: Uint8Array; body: string }[]> {
    return this.prisma.$queryRaw<{ position: bigint; prevHash: Uint8Array; body: string }[]>`
      SELECT "position", prev_hash AS "prevHash", body FROM event WHERE "position" = ANY(${[...positions]}::bigint[]) ORDER BY "position"`
  }

  checkpoints(): Promise<{ position: bigint; note: string }[]> {
    return this.prisma.auditCheckpoint.findMany({ orderBy: { position: 'asc' }, select: { position: true, note: true } })
  }

  async newestNote(): Promise<string | undefined> {
    return (await this.prisma.auditCheckpoint.findFirst({ orderBy: { position: 'desc' }, select: { note: true } }))?.note
  }

  async saveCheckpoint(position: bigint, note: string): Promise<void> {
    await this.prisma.auditCheckpoint.createMany({ data: [{ position, note, createdAt: new Date() }], skipDuplicates: true })
  }

  /** Whether anything but checkpoints came to the log since the last one in it. */
  async movedSinceCheckpoint(): Promise<boolean> {
    const rows = await this.prisma.$queryRaw<{ kind: string }[]>`SELECT kind FROM event ORDER BY "position" DESC LIMIT 1`
    return rows[0] !== undefined && rows[0].kind !== 'audit.checkpoint'
  }
}
