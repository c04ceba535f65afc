import { Injectable } from '@nestjs/common'
import { Frontier, leafHash, nodeHash, splitOf, type RangeHash, type Subtree } from '@sallyport/audit-log'
import { PrismaService } from '../database/prisma.service.js'
import type { Transaction } from './audit.repository.js'

/** Whole subtrees are kept at every so manyth level; what is below and between is computed. */
export const keptLevels = 8

/** The hash tree over the log's records. */
@Injectable()
export class TreeRepository {
  constructor(private readonly prisma: PrismaService) {}

  async insert(tx: Transaction, subtrees: readonly Subtree[]): Promise<void> {
    if (subtrees.length === 0) return
    const rows = subtrees.map(({ level, index, hash }) => ({ level, index: String(index), hash: hash.toString('hex') }))
    await tx.$executeRaw`
      INSERT INTO audit_tree (level, index, hash)
      SELECT level, index, decode(hash, 'hex') FROM jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) AS r(level smallint, index bigint, hash text)
      ON CONFLICT DO NOTHING`
  }

  /** Stored subtrees of a level, from one on, in order. */
  async subtrees(level: number, index: bigint, count: number, tx: Transaction = this.prisma): Promise<Buffer[]> {
    const rows = await tx.$queryRaw<{ index: bigint; hash: Uint8Array }[]>`
      SELECT index, hash FROM audit_tree WHERE level = ${level}::smallint AND index >= ${index} AND index < ${index + BigInt(count)} ORDER BY index`
    return whole(rows, index, count)
  }

  /**
   * Hash over the leaves `from` to `to`, of a log that holds them all.
   * @throws when stored records or subtrees are missing
   */
  readonly rangeHash: RangeHash = async (from, to) => {
    const count = to - from
    const height = exponentOf(count)
    if (height === undefined || from % count !== 0n) {
      const middle = from + splitOf(count)
      return nodeHash(await this.rangeHash(from, middle), await this.rangeHash(middle, to))
    }
    const level = height - (height % keptLevels)
    const parts = 1 << (height - level)
    const hashes = level === 0 ? await this.#leaves(from, parts) : await this.subtrees(level, from >> BigInt(level), parts)
    const edge = Frontier.empty()
    for (const hash of hashes) edge.append(hash)
    return edge.root()
  }

  async #leaves(from: bigint, count: number): Promise<Buffer[]> {
    const rows = await this.prisma.$queryRaw<{ index: bigint; hash: Uint8Array }[]>`
      SELECT "position" - 1 AS index, hash FROM event WHERE "position" > ${from} AND "position" <= ${from + BigInt(count)}
      UNION ALL SELECT "position" - 1, hash FROM event_tombstone WHERE "position" > ${from} AND "position" <= ${from + BigInt(count)} ORDER BY index`
    return whole(rows, from, count).map(leafHash)
  }
}

function whole(rows: readonly { readonly index: bigint; readonly hash: Uint8Array }[], first: bigint, count: number): Buffer[] {
  const inOrder = rows.length === count && rows.every(({ index }, at) => index === first + BigInt(at))
  if (!inOrder) throw new TreeError(`records of the log, or parts of its hash tree, are missing from ${first + 1n} on`)
  return rows.map(({ hash }) => Buffer.from(hash))
}

/** The stored tree is not whole. */
export class TreeError extends Error {
  override readonly name = 'TreeError'
}

/** log2 of a power of two. */
function exponentOf(value: bigint): number | undefined {
  return value > 0n && (value & (value - 1n)) === 0n ? value.toString(2).length - 1 : undefined
}
