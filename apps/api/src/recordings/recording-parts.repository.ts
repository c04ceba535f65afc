import { Injectable } from '@nestjs/common'
import { PrismaService } from '../database/prisma.service.js'
import type { Prisma } from '../generated/prisma/client.js'

/** A stored part, without its bytes. */
export interface PartRow {
  readonly session: string
  readonly first: bigint
  readonly last: bigint
  /** Of the sealed bytes, hexadecimal. */
  readonly sha256: string
  /** `postgres`, `file` or `s3`. */
  readonly store: string
}

/** A sealed part, ready to be told to the database. */
export interface SealedPart extends PartRow {
  /** Null where another store has it already. */
  readonly data: Uint8Array | null
  readonly bytes: number
}

export interface WrappedKey {
  readonly kek: string
  readonly wrapped: Uint8Array
}

/** Keys and parts of recordings in the database. */
@Injectable()
export class RecordingPartsRepository {
  constructor(private readonly prisma: PrismaService) {}

  /** Parts that are there already stay: the same place has the same content. */
  async insert(tx: Prisma.TransactionClient, parts: readonly SealedPart[]): Promise<void> {
    const rows = parts.map(({ session, first, last, sha256, store, data, bytes }) => ({
      session, first: String(first), last: String(last), sha256, store, data: data === null ? null : Buffer.from(data).toString('hex'), bytes,
    }))
    await tx.$executeRaw`
      INSERT INTO recording_part (session_id, first_seq, last_seq, sha256, store, data, bytes, created_at)
      SELECT session, first, last, sha256, store, decode(data, 'hex'), bytes, now()
      FROM jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) AS r(session uuid, first bigint, last bigint, sha256 text, store text, data text, bytes int)
      ON CONFLICT DO NOTHING`
    // Another part may stand in the place already; this one then stays on the list of what is to go.
    if (parts.some(({ data }) => data === null)) {
      await tx.$executeRaw`
        DELETE FROM recording_leftover l USING recording_part p WHERE l.session_id = ANY(${parts.map(({ session }) => session)}::uuid[])
          AND p.session_id = l.session_id AND p.first_seq = l.first_seq AND p.last_seq = l.last_seq AND p.sha256 = l.sha256`
    }
  }

  /** Parts that may hold the payload of a record; more than one where an agent sent records again in other batches. */
  covering(session: string, seq: bigint): Promise<PartRow[]> {
    return this.prisma.$queryRaw<PartRow[]>`
      SELECT session_id::text AS session, first_seq AS first, last_seq AS last, sha256, store FROM recording_part
      WHERE session_id = ${session}::uuid AND first_seq <= ${seq} AND last_seq >= ${seq} ORDER BY first_seq DESC LIMIT 16`
  }

  async data({ session, first, last }: PartRow): Promise<Uint8Array | undefined> {
    const rows = await this.prisma.$queryRaw<{ data: Uint8Array | null }[]>`
      SELECT data FROM recording_part WHERE session_id = ${session}::uuid AND first_seq = ${first} AND last_seq = ${last}`
    return rows[0]?.data ?? undefined
  }

  async key(session: string): Promise<WrappedKey | undefined> {
    const rows = await this.prisma.$queryRaw<WrappedKey[]>`SELECT kek, wrapped_key AS wrapped FROM recording WHERE session_id = ${session}::uuid`
    return rows[0]
  }

  /** Key-encryption keys under which something is stored. */
  async keks(): Promise<string[]> {
    const rows = await this.prisma.$queryRaw<{ kek: string }[]>`SELECT DISTINCT kek FROM recording`
    return rows.map((row) => row.kek)
  }

  /** Keeps the first key that is given for a session, whichever replica gives it. */
  async insertKey(session: string, { kek, wrapped }: WrappedKey): Promise<void> {
    await this.prisma.$executeRaw`
      INSERT INTO recording (session_id, kek, wrapped_key, created_at) VALUES (${session}::uuid, ${kek}, ${new Uint8Array(wrapped)}, now()) ON CONFLICT DO NOTHING`
  }
}
