import { Injectable } from '@nestjs/common'
import type { HoldRequirement } from '@sallyport/policy'
import type { Transaction } from '../audit/audit.repository.js'
import { PrismaService } from '../database/prisma.service.js'
import { nextEscalation } from './requirements.js'
import { Prisma, type Approval, type ApprovalComment, type RememberedApproval, type Session, type Vote } from '../generated/prisma/client.js'

export type ApprovalWithVotes = Approval & { votes: Vote[]; remembered: RememberedApproval | null }

/** With the votes, in their order, and what it stands for. */
const whole = { votes: { orderBy: { createdAt: 'asc' } }, remembered: true } as const

export interface ApprovalFilter {
  readonly state?: string | undefined
  readonly session?: string | undefined
  readonly before?: string | undefined
  readonly limit: number
  /** Only what one of these groups is asked for, or what this user's own sessions wait for. */
  readonly visibleTo?: { readonly user: string; readonly groups: readonly string[] } | undefined
}

/** A pending approval to be stored. Undefined parameters or facts: there are none. */
export interface NewApproval extends Pick<Approval, 'id' | 'sessionId' | 'agentId' | 'command' | 'digest' | 'text' | 'createdAt' | 'expiresAt'> {
  readonly parameters: unknown
  readonly effects: unknown
  readonly facts: unknown
  readonly requirements: readonly HoldRequirement[]
  readonly forgetParameters: boolean
  /** What takes the command's place when it is decided; undefined: it stays. */
  readonly recorded: { readonly text: string; readonly effects: unknown } | undefined
}

const json = (value: unknown): Prisma.InputJsonValue => JSON.parse(JSON.stringify(value))

@Injectable()
export class ApprovalsRepository {
  constructor(private readonly prisma: PrismaService) {}

  transaction<T>(run: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.prisma.$transaction(run, { maxWait: 10_000, timeout: 20_000 })
  }

  session(id: string, tx: Transaction = this.prisma): Promise<Session | null> {
    return tx.session.findUnique({ where: { id } })
  }

  sessions(ids: readonly string[]): Promise<Session[]> {
    return this.prisma.session.findMany({ where: { id: { in: [...ids] } } })
  }

  /** Document ids of a target and an identity: some grants name them by id. */
  async documentIds(target: string, identityKind: string, identity: string): Promise<{ target?: string; identity?: string }> {
    const kind = identityKind === 'user' ? 'User' : 'Workload'
    const rows = await this.prisma.document.findMany({
      where: { OR: [{ kind: 'Target', name: target }, { kind, name: identity }] },
      select: { id: true, kind: true },
    })
    const of = (wanted: string): string | undefined => rows.find((row) => row.kind === wanted)?.id
    const ids = { target: of('Target'), identity: of(kind) }
    return { ...(ids.target === undefined ? {} : { target: ids.target }), ...(ids.identity === undefined ? {} : { identity: ids.identity }) }
  }

  find(id: string): Promise<ApprovalWithVotes | null> {
    return this.prisma.approval.findUnique({ where: { id }, include: whole })
  }

  findByCommand(sessionId: string, command: string, tx: Transaction = this.prisma): Promise<ApprovalWithVotes | null> {
    return tx.approval.findUnique({ where: { sessionId_command: { sessionId, command } }, include: whole })
  }

  /** What waits now of the sessions that were opened with this credential. */
  pendingOfCredential(credentialId: string): Promise<ApprovalWithVotes[]> {
    return this.prisma.$transaction(async (tx) => {
      const sessions = await tx.session.findMany({ where: { credentialId, endedAt: null }, select: { id: true }, take: 1000 })
      return tx.approval.findMany({ where: { state: 'pending', sessionId: { in: sessions.map(({ id }) => id) } }, include: whole, orderBy: { createdAt: 'asc' } })
    })
  }

  /** Locks an approval until the transaction ends, so that votes, expiry and cancellation happen one after the other. */
  async lock(tx: Transaction, id: string): Promise<ApprovalWithVotes | null> {
    const locked = await tx.$queryRaw<unknown[]>`SELECT 1 FROM approval WHERE id = ${id}::uuid FOR UPDATE`
    if (locked.length === 0) return null
    return tx.approval.findUnique({ where: { id }, include: whole })
  }

  /** Serialises the requests of one identity, so that its holds can be counted. */
  async lockIdentity(tx: Transaction, { identityKind, identity }: Session): Promise<void> {
    await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`sallyport:holds:${identityKind}:${identity}`}, 0))`
  }

  /** Commands that wait: of the identity in all its sessions, and of this session. */
  async openHolds(tx: Transaction, { id, identityKind, identity }: Session): Promise<{ identity: number; session: number }> {
    const rows = await tx.$queryRaw<{ identity: bigint; session: bigint }[]>`
      SELECT count(*) AS identity, count(*) FILTER (WHERE s.id = ${id}::uuid) AS session FROM approval a JOIN session s ON s.id = a.session_id
      WHERE a.state = 'pending' AND s.identity = ${identity} AND s.identity_kind = ${identityKind}`
    return { identity: Number(rows[0]?.identity ?? 0n), session: Number(rows[0]?.session ?? 0n) }
  }

  /** The approval that people decided: this one, or the one that it rests on. */
  async decidedBy(approval: ApprovalWithVotes): Promise<ApprovalWithVotes> {
    return (approval.restsOn === null ? null : await this.find(approval.restsOn)) ?? approval
  }

  /** The session's live state inside the transaction: a session that ended since can't be voted for. */
  async isSessionLive(tx: Transaction, id: string): Promise<boolean> {
    const rows = await tx.$queryRaw<unknown[]>`
      SELECT 1 FROM session WHERE id = ${id}::uuid AND ended_at IS NULL AND killed_at IS NULL AND expires_at > now()`
    return rows.length === 1
  }

  async create(tx: Transaction, { parameters, effects, facts, requirements, recorded, ...rest }: NewApproval): Promise<void> {
    const data = {
      ...rest,
      parameters: parameters === undefined ? Prisma.DbNull : json(parameters),
      effects: json(effects),
      facts: facts === undefined ? Prisma.DbNull : json(facts),
      requirements: json(requirements),
      recorded: recorded === undefined ? Prisma.DbNull : json(recorded),
      state: 'pending',
      askedGroups: [...new Set(requirements.flatMap(({ groups }) => groups))],
      escalateAt: nextEscalation(requirements, rest.createdAt, []),
    }
    await tx.approval.create({ data })
  }

  async addVote(tx: Transaction, data: Prisma.VoteUncheckedCreateInput): Promise<void> {
    await tx.vote.create({ data })
  }

  /** Oldest first. */
  comments(approvalId: string): Promise<ApprovalComment[]> {
    return this.prisma.approvalComment.findMany({ where: { approvalId }, orderBy: { id: 'asc' } })
  }

  countComments(tx: Transaction, approvalId: string): Promise<number> {
    return tx.approvalComment.count({ where: { approvalId } })
  }

  async addComment(tx: Transaction, data: ApprovalComment): Promise<void> {
    await tx.approvalComment.create({ data })
  }

  async decide(tx: Transaction, id: string, state: string, reason: string, at: Date): Promise<void> {
    await tx.approval.update({ where: { id }, data: { state, reason, decidedAt: at } })
    await tx.approval.updateMany({ where: { id, forgetParameters: true }, data: { parameters: Prisma.DbNull } })
    await tx.$executeRaw`UPDATE approval SET text = recorded ->> 'text', effects = recorded -> 'effects', facts = NULL, parameters = NULL WHERE id = ${id}::uuid AND recorded IS NOT NULL`
  }

  /** Pending approvals of which somebody else is to be asked by now. */
  async toEscalate(now: Date, limit: number): Promise<string[]> {
    const rows = await this.prisma.approval.findMany({ where: { state: 'pending', escalateAt: { lte: now } }, orderBy: { escalateAt: 'asc' }, select: { id: true }, take: limit })
    return rows.map((row) => row.id)
  }

  async escalate(tx: Transaction, id: string, escalated: readonly string[], askedGroups: readonly string[], next: Date | null): Promise<void> {
    await tx.approval.update({ where: { id }, data: { escalated: [...escalated], askedGroups: [...askedGroups], escalateAt: next } })
  }

  /** Marks an approval as decided by an earlier one. */
  async rest(tx: Transaction, id: string, on: string): Promise<void> {
    await tx.approval.update({ where: { id }, data: { restsOn: on } })
  }

  async due(now: Date, limit: number): Promise<string[]> {
    const rows = await this.prisma.approval.findMany({
      where: { state: 'pending', expiresAt: { lte: now } },
      orderBy: { createdAt: 'asc' },
      select: { id: true },
      take: limit,
    })
    return rows.map((row) => row.id)
  }

  /** Pending approvals of sessions that are over: left by a crash between the end and the cancellation. */
  async orphaned(limit: number): Promise<string[]> {
    const rows = await this.prisma.$queryRaw<{ id: string }[]>`
      SELECT a.id::text AS id FROM approval a JOIN session s ON s.id = a.session_id
      WHERE a.state = 'pending' AND (s.ended_at IS NOT NULL OR s.killed_at IS NOT NULL OR s.expires_at <= now()) LIMIT ${limit}`
    return rows.map((row) => row.id)
  }

  pendingOf(sessionId: string): Promise<{ id: string }[]> {
    return this.prisma.approval.findMany({ where: { sessionId, state: 'pending' }, select: { id: true } })
  }

  /** Newest first. */
  async list(filter: ApprovalFilter): Promise<ApprovalWithVotes[]> {
    const conditions: Prisma.Sql[] = [Prisma.sql`true`]
    if (filter.state !== undefined) conditions.push(Prisma.sql`a.state = ${filter.state}`)
    if (filter.session !== undefined) conditions.push(Prisma.sql`a.session_id = ${filter.session}::uuid`)
    if (filter.before !== undefined) conditions.push(Prisma.sql`a.id < ${filter.before}::uuid`)
    if (filter.visibleTo !== undefined) {
      const { user, groups } = filter.visibleTo
      conditions.push(Prisma.sql`(a.asked_groups && ${[...groups]}::text[]
        OR EXISTS (SELECT 1 FROM session s WHERE s.id = a.session_id AND s.identity_kind = 'user' AND s.identity = ${user}))`)
    }
    const ids = await this.prisma.$queryRaw<{ id: string }[]>`
      SELECT a.id::text AS id FROM approval a WHERE ${Prisma.join(conditions, ' AND ')} ORDER BY a.id DESC LIMIT ${filter.limit}`
    return this.prisma.approval.findMany({
      where: { id: { in: ids.map((row) => row.id) } },
      include: whole,
      orderBy: { id: 'desc' },
    })
  }
}
