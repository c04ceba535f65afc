import { Injectable } from '@nestjs/common'
import type { Transaction } from '../audit/audit.repository.js'
import { PrismaService } from '../database/prisma.service.js'
import type { Prisma, RememberedApproval, Session } from '../generated/prisma/client.js'
import type { ApprovalWithVotes } from './approvals.repository.js'

export type RememberedWithApproval = RememberedApproval & { approval: ApprovalWithVotes }

const withApproval = { approval: { include: { votes: { orderBy: { createdAt: 'asc' } }, remembered: true } } } as const

export interface RememberedFilter {
  readonly active: boolean
  readonly before?: string | undefined
  readonly limit: number
  /** Only what one of these groups was asked for, what this user voted on, or what the user's own sessions asked. */
  readonly visibleTo?: { readonly user: string; readonly groups: readonly string[] } | undefined
}

@Injectable()
export class RememberedRepository {
  constructor(private readonly prisma: PrismaService) {}

  transaction<T>(run: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.prisma.$transaction(run, { maxWait: 10_000, timeout: 20_000 })
  }

  async create(tx: Transaction, data: Prisma.RememberedApprovalUncheckedCreateInput): Promise<void> {
    await tx.rememberedApproval.create({ data })
  }

  find(id: string): Promise<RememberedWithApproval | null> {
    return this.prisma.rememberedApproval.findUnique({ where: { approvalId: id }, include: withApproval })
  }

  /** What might cover a command of this session, the newest first. Locked until the transaction ends: a revocation comes before or after. */
  async candidates(tx: Transaction, session: Session, keys: { readonly requirements: string; readonly command: string }, now: Date): Promise<RememberedWithApproval[]> {
    const locked = await tx.$queryRaw<{ id: string }[]>`
      SELECT approval_id::text AS id FROM remembered_approval
      WHERE identity = ${session.identity} AND identity_kind = ${session.identityKind} AND target = ${session.target} AND requirements_key = ${keys.requirements}
        AND ended_at IS NULL AND expires_at > ${now}
        AND ((scope = 'session' AND session_id = ${session.id}::uuid) OR (scope = 'command' AND command_key = ${keys.command}))
      ORDER BY approval_id DESC LIMIT 5 FOR UPDATE`
    return tx.rememberedApproval.findMany({ where: { approvalId: { in: locked.map(({ id }) => id) } }, include: withApproval, orderBy: { approvalId: 'desc' } })
  }

  async used(tx: Transaction, id: string, at: Date): Promise<void> {
    await tx.rememberedApproval.update({ where: { approvalId: id }, data: { uses: { increment: 1 }, usedAt: at } })
  }

  /** Undefined when it had ended already. */
  async end(tx: Transaction, id: string, by: string, reason: string, at: Date): Promise<RememberedApproval | undefined> {
    const { count } = await tx.rememberedApproval.updateMany({ where: { approvalId: id, endedAt: null }, data: { endedAt: at, endedBy: by, endReason: reason } })
    return count === 0 ? undefined : ((await tx.rememberedApproval.findUnique({ where: { approvalId: id } })) ?? undefined)
  }

  /** Those that still count, of all identities or of one session. */
  active(now: Date, limit: number, sessionId?: string): Promise<RememberedWithApproval[]> {
    return this.prisma.rememberedApproval.findMany({
      where: { endedAt: null, expiresAt: { gt: now }, ...(sessionId === undefined ? {} : { sessionId, scope: 'session' }) },
      include: withApproval,
      take: limit,
    })
  }

  /** Whether the credential that the session was opened with has been revoked. */
  async isCredentialRevoked(tx: Transaction, sessionId: string): Promise<boolean> {
    const rows = await tx.$queryRaw<unknown[]>`
      SELECT 1 FROM session s JOIN credential c ON c.id = s.credential_id WHERE s.id = ${sessionId}::uuid AND c.revoked_at IS NOT NULL`
    return rows.length > 0
  }

  list(filter: RememberedFilter, now: Date): Promise<RememberedWithApproval[]> {
    const { active, before, limit, visibleTo } = filter
    return this.prisma.rememberedApproval.findMany({
      where: {
        ...(active ? { endedAt: null, expiresAt: { gt: now } } : {}),
        ...(before === undefined ? {} : { approvalId: { lt: before } }),
        ...(visibleTo === undefined
          ? {}
          : {
              OR: [
                { approval: { askedGroups: { hasSome: [...visibleTo.groups] } } },
                { approval: { votes: { some: { user: visibleTo.user } } } },
                { identityKind: 'user', identity: visibleTo.user },
              ],
            }),
      },
      include: withApproval,
      orderBy: { approvalId: 'desc' },
      take: limit,
    })
  }
}
