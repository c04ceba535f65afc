import { Injectable } from '@nestjs/common'
import { PrismaService } from '../database/prisma.service.js'
import { Prisma, type Lock } from '../generated/prisma/client.js'

export type LockRow = Lock
export type Transaction = Prisma.TransactionClient

export const lockKinds = ['user', 'workload', 'target', 'agent'] as const
export type LockKind = (typeof lockKinds)[number]

export interface Locked {
  readonly kind: LockKind
  readonly name: string
}

const standing = (now: Date): Prisma.LockWhereInput => ({ releasedAt: null, OR: [{ expiresAt: null }, { expiresAt: { gt: now } }] })

/** Read from the database every time: a lock must hold on every replica from the moment it is committed. */
@Injectable()
export class LocksRepository {
  constructor(private readonly prisma: PrismaService) {}

  transaction<T>(run: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.prisma.$transaction(run, { maxWait: 15_000, timeout: 30_000 })
  }

  async isLocked({ kind, name }: Locked, now = new Date()): Promise<boolean> {
    return (await this.prisma.lock.findFirst({ where: { kind, name, ...standing(now) }, select: { id: true } })) !== null
  }

  /** Names of this kind that are locked. */
  async names(kind: LockKind, now = new Date()): Promise<ReadonlySet<string>> {
    const rows = await this.prisma.lock.findMany({ where: { kind, ...standing(now) }, select: { name: true } })
    return new Set(rows.map(({ name }) => name))
  }

  /** Newest first. */
  list(filter: { readonly kind?: LockKind | undefined; readonly name?: string | undefined; readonly standing: boolean }, limit: number, after: string | undefined, now: Date): Promise<LockRow[]> {
    const { kind, name } = filter
    return this.prisma.lock.findMany({
      where: {
        ...(kind === undefined ? {} : { kind }),
        ...(name === undefined ? {} : { name }),
        ...(after === undefined ? {} : { id: { lt: after } }),
        ...(filter.standing ? standing(now) : {}),
      },
      orderBy: { id: 'desc' },
      take: limit,
    })
  }

  find(id: string): Promise<LockRow | null> {
    return this.prisma.lock.findUnique({ where: { id } })
  }

  async create(tx: Transaction, row: Prisma.LockCreateInput): Promise<void> {
    await tx.lock.create({ data: row })
  }

  /** False when it was released already. */
  async release(tx: Transaction, id: string, by: string, now: Date): Promise<boolean> {
    const released = await tx.lock.updateMany({ where: { id, releasedAt: null }, data: { releasedBy: by, releasedAt: now } })
    return released.count === 1
  }
}
