import { Injectable } from '@nestjs/common'
import { PrismaService } from '../database/prisma.service.js'
import { Prisma } from '../generated/prisma/client.js'
import type { SessionRow, SessionSelection } from './sessions.service.js'

export type Transaction = Prisma.TransactionClient

export interface SessionFilter {
  readonly identity?: string | undefined
  readonly identityKind?: string | undefined
  readonly target?: string | undefined
  readonly state?: 'live' | 'ended' | undefined
  readonly since?: Date | undefined
}

const live = (now: Date): Prisma.SessionWhereInput => ({ endedAt: null, killedAt: null, expiresAt: { gt: now } })

@Injectable()
export class SessionsRepository {
  constructor(private readonly prisma: PrismaService) {}

  transaction<T>(run: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.prisma.$transaction(run, { maxWait: 15_000, timeout: 30_000 })
  }

  find(id: string): Promise<SessionRow | null> {
    return this.prisma.session.findUnique({ where: { id } })
  }

  async create(tx: Transaction, row: Prisma.SessionCreateInput): Promise<void> {
    await tx.session.create({ data: row })
  }

  list(filter: SessionFilter, limit: number, after: string | undefined, now: Date): Promise<SessionRow[]> {
    const { identity, identityKind, target, state, since } = filter
    return this.prisma.session.findMany({
      where: {
        ...(identity === undefined ? {} : { identity }),
        ...(identityKind === undefined ? {} : { identityKind }),
        ...(target === undefined ? {} : { target }),
        ...(since === undefined ? {} : { createdAt: { gte: since } }),
        ...(after === undefined ? {} : { id: { lt: after } }),
        ...(state === undefined ? {} : state === 'live' ? live(now) : { NOT: live(now) }),
      },
      orderBy: { id: 'desc' },
      take: limit,
    })
  }

  liveSessions(now: Date, selection: SessionSelection = {}): Promise<SessionRow[]> {
    const { credentialId, identity, agentId, target } = selection
    return this.prisma.session.findMany({
      where: {
        ...live(now),
        ...(credentialId === undefined ? {} : { credentialId }),
        ...(identity === undefined ? {} : { identityKind: identity.kind, identity: identity.name }),
        ...(agentId === undefined ? {} : { agentId }),
        ...(selection.gatewayId === undefined ? {} : { gatewayId: selection.gatewayId }),
        ...(target === undefined ? {} : { target }),
      },
    })
  }

  countLive(now: Date): Promise<number> {
    return this.prisma.session.count({ where: live(now) })
  }

  /** False when it was over or killed already. */
  async markKilled(tx: Transaction, id: string, reason: string, now: Date): Promise<boolean> {
    const killed = await tx.session.updateMany({ where: { id, endedAt: null, killedAt: null }, data: { killedAt: now, endReason: reason } })
    return killed.count === 1
  }

  async markEnded(id: string, reason: string, commands: number, now: Date): Promise<void> {
    await this.prisma.session.updateMany({ where: { id, endedAt: null }, data: { endedAt: now, commands } })
    await this.prisma.session.updateMany({ where: { id, endReason: null }, data: { endReason: reason } })
  }

  /** Gives live sessions of an agent a new lease; returns those that got it, with the version of their current grant. */
  async renewLeases(agentId: string, ids: readonly string[], until: Date, now: Date): Promise<Map<string, number>> {
    if (ids.length === 0) return new Map()
    const rows = await this.prisma.$queryRaw<{ id: string; version: number }[]>`
      UPDATE session SET lease_until = ${until}
      WHERE agent_id = ${agentId}::uuid AND id = ANY(${[...ids]}::uuid[]) AND ended_at IS NULL AND killed_at IS NULL AND expires_at > ${now}
      RETURNING id::text AS id, grant_version AS version`
    return new Map(rows.map((row) => [row.id, row.version]))
  }

  /** The gateway says that it is over: unless the agent says otherwise, its lease isn't waited for. */
  async shortenLease(id: string, gatewayId: string, now: Date): Promise<void> {
    await this.prisma.session.updateMany({ where: { id, gatewayId, endedAt: null, leaseUntil: { gt: now } }, data: { leaseUntil: now } })
  }

  /** Closes sessions whose agent is silent since before `silentSince`. Of several replicas each takes others. */
  takeLost(tx: Transaction, silentSince: Date, now: Date, limit: number): Promise<{ id: string; reason: string }[]> {
    return tx.$queryRaw<{ id: string; reason: string }[]>`
      UPDATE session SET ended_at = ${now}, end_reason = coalesce(end_reason, 'lost')
      WHERE id IN (SELECT id FROM session WHERE ended_at IS NULL AND lease_until < ${silentSince} LIMIT ${limit} FOR UPDATE SKIP LOCKED)
      RETURNING id::text AS id, end_reason AS reason`
  }

  /** Takes the next grant version; false when someone else did, or the session is over. */
  async advanceGrant(id: string, version: number, policyHash: string, groups: readonly string[], matchHash: string): Promise<boolean> {
    const advanced = await this.prisma.session.updateMany({
      where: { id, grantVersion: version, endedAt: null, killedAt: null },
      data: { grantVersion: version + 1, policyHash, groups: [...groups], matchHash },
    })
    return advanced.count === 1
  }
}
