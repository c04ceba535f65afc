import { Injectable } from '@nestjs/common'
import { PrismaService } from '../database/prisma.service.js'
import { Prisma, type Credential } from '../generated/prisma/client.js'

export type CredentialRow = Credential
export type Transaction = Prisma.TransactionClient
export type CredentialState = 'live' | 'used' | 'revoked' | 'expired'

export interface CredentialFilter {
  readonly identity?: string | undefined
  readonly identityKind?: string | undefined
  readonly target?: string | undefined
  readonly state?: CredentialState | undefined
}

@Injectable()
export class CredentialsRepository {
  constructor(private readonly prisma: PrismaService) {}

  transaction<T>(run: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.prisma.$transaction(run, { maxWait: 15_000, timeout: 30_000 })
  }

  async create(tx: Transaction, row: Prisma.CredentialCreateInput): Promise<void> {
    await tx.credential.create({ data: row })
  }

  byUsername(username: string): Promise<CredentialRow | null> {
    return this.prisma.credential.findUnique({ where: { username } })
  }

  /** Those that are bound to a key, for this target or for any. Newest first. */
  byKey(keyFingerprint: string, target?: string): Promise<CredentialRow[]> {
    return this.prisma.credential.findMany({ where: { keyFingerprint, ...(target === undefined ? {} : { target }) }, orderBy: { id: 'desc' }, take: 20 })
  }

  bySerial(serial: bigint): Promise<CredentialRow | null> {
    return this.prisma.credential.findUnique({ where: { serial } })
  }

  byId(id: string): Promise<CredentialRow | null> {
    return this.prisma.credential.findUnique({ where: { id } })
  }

  /**
   * Takes the credential for one session, in one statement, so that of two clients at once only one gets a single-use
   * one, and none gets one that was revoked a moment ago.
   */
  async take(tx: Transaction, id: string, now: Date): Promise<boolean> {
    const taken = await tx.credential.updateMany({
      where: { id, revokedAt: null, expiresAt: { gt: now }, OR: [{ usedAt: null }, { singleUse: false }] },
      data: { usedAt: now },
    })
    return taken.count === 1
  }

  async revoke(tx: Transaction, id: string, by: string, now: Date): Promise<boolean> {
    const revoked = await tx.credential.updateMany({ where: { id, revokedAt: null }, data: { revokedAt: now, revokedBy: by } })
    return revoked.count === 1
  }

  /** Newest first. */
  list(filter: CredentialFilter, limit: number, after: string | undefined, now: Date): Promise<CredentialRow[]> {
    return this.prisma.credential.findMany({
      where: {
        ...(filter.identity === undefined ? {} : { identity: filter.identity }),
        ...(filter.identityKind === undefined ? {} : { identityKind: filter.identityKind }),
        ...(filter.target === undefined ? {} : { target: filter.target }),
        ...(after === undefined ? {} : { id: { lt: after } }),
        ...stateCondition(filter.state, now),
      },
      orderBy: { id: 'desc' },
      take: limit,
    })
  }

  /** Remembers a token's id until the token expires; false when it is known already (a replay). */
  async rememberToken(tx: Transaction, key: string, expiresAt: Date): Promise<boolean> {
    const made = await tx.usedToken.createMany({ data: [{ key, expiresAt }], skipDuplicates: true })
    return made.count === 1
  }

  /** What has expired long ago is told by events alone. */
  async prune(now: Date, keepDays: number): Promise<void> {
    await this.prisma.usedToken.deleteMany({ where: { expiresAt: { lt: now } } })
    await this.prisma.credential.deleteMany({ where: { expiresAt: { lt: new Date(now.getTime() - keepDays * 86_400_000) } } })
  }
}

export function stateOf(row: CredentialRow, now: Date): CredentialState {
  if (row.revokedAt) return 'revoked'
  if (row.singleUse && row.usedAt) return 'used'
  return row.expiresAt.getTime() <= now.getTime() ? 'expired' : 'live'
}

function stateCondition(state: CredentialState | undefined, now: Date): Prisma.CredentialWhereInput {
  const unused: Prisma.CredentialWhereInput = { OR: [{ singleUse: false }, { usedAt: null }] }
  switch (state) {
    case undefined:
      return {}
    case 'revoked':
      return { revokedAt: { not: null } }
    case 'used':
      return { revokedAt: null, singleUse: true, usedAt: { not: null } }
    case 'expired':
      return { revokedAt: null, expiresAt: { lte: now }, ...unused }
    case 'live':
      return { revokedAt: null, expiresAt: { gt: now }, ...unused }
  }
}
