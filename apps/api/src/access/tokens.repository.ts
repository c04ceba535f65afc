import { Injectable } from '@nestjs/common'
import type { Transaction } from '../audit/audit.repository.js'
import { PrismaService } from '../database/prisma.service.js'

export interface TokenRow {
  readonly id: string
  readonly user: string
  readonly name: string
  readonly secretHash: Uint8Array
  readonly createdAt: Date
  readonly expiresAt: Date | null
  readonly revokedAt: Date | null
  readonly lastUsedAt: Date | null
}

@Injectable()
export class TokensRepository {
  constructor(private readonly prisma: PrismaService) {}

  transaction<T>(run: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.prisma.$transaction(run, { timeout: 20_000 })
  }

  find(id: string): Promise<TokenRow | null> {
    return this.prisma.apiToken.findUnique({ where: { id } })
  }

  list(user?: string): Promise<TokenRow[]> {
    return this.prisma.apiToken.findMany({ where: user === undefined ? {} : { user }, orderBy: { createdAt: 'desc' }, take: 1000 })
  }

  async create(tx: Transaction, row: Omit<TokenRow, 'revokedAt' | 'lastUsedAt'>): Promise<void> {
    await tx.apiToken.create({ data: { ...row, secretHash: new Uint8Array(row.secretHash) } })
  }

  /** False when it was revoked before. */
  async revoke(tx: Transaction, id: string, at: Date): Promise<boolean> {
    return (await tx.apiToken.updateMany({ where: { id, revokedAt: null }, data: { revokedAt: at } })).count === 1
  }

  async touch(id: string, at: Date, before: Date): Promise<void> {
    await this.prisma.apiToken.updateMany({ where: { id, OR: [{ lastUsedAt: null }, { lastUsedAt: { lt: before } }] }, data: { lastUsedAt: at } })
  }
}
