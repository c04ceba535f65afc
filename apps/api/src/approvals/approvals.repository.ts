import { Injectable } from '@nestjs/common'
import type { Transaction } from '../audit/audit.repository.js'
import { PrismaService } from '../database/prisma.service.js'
import { Prisma, type Approval, type Session, type Vote } from '../generated/prisma/client.js'

export type ApprovalWithVotes = Approval & { votes: Vote[] }

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
  readonly requirements: unknown
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
    return this.prisma.approval.findUnique({ where: { id }, include: { votes: { orderBy: { createdAt: 'asc' } } } })
  }

  findByCommand(sessionId: string, command: string, tx: Transaction = this.prisma): Promise<ApprovalWithVotes | null> {
    return tx.approval.findUnique({ where: { sessionId_command: { sessionId, command } }, include: { votes: { orderBy: { createdAt: 'asc' } } } })
  }

  /** What waits now of the sessions that were opened with this credential. */
  pendingOfCredential(credentialId: string): Promise<ApprovalWithVotes[]> {
    return this.prisma.$transaction(async (tx) => {
      const sessions = await tx.session.findMany({ where: { credentialId, endedAt: null }, select: { id: true }, take: 1000 })
      return tx.approval.findMany({ where: { state: 'pending', sessionId: { in: sessions.map(({ id }) => id) } }, include: { votes: { orderBy: { createdAt: 'asc' } } }, orderBy: { createdAt: 'asc' } })
    })
  }

  /** Locks an approval until the transaction ends, so that votes, expiry and cancellation happen one after the other. */
  async lock(tx: Transaction, id: string): Promise<ApprovalWithVotes | null> {
    const locked = await tx.$queryRaw<unknown[]>`SELECT 1 FROM approval WHERE id = ${id}::uuid FOR UPDATE`
    if (locked.length === 0) return null
    return tx.approval.findUnique({ where: { id }, include: { votes: { orderBy: { createdAt: 'asc' } } } })
  }

  /** Serialises the requests of one identity, so that its holds can be counted. */
  async lockIdentity(tx: Transaction, identity: string): Promise<void> {
    await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${'sallyport:holds:' + identity}, 0))`
  }

  async openHolds(tx: Transaction, identity: string): Promise<number> {
    const rows = await tx.$queryRaw<{ count: bigint }[]>`
      SELECT count(*) AS count FROM approval a JOIN session s ON s.id = a.session_id
      WHERE a.state = 'pending' AND s.identity = ${identity}`
    return Number(rows[0]?.count ?? 0n)
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
    }
    await tx.approval.create({ data })
  }

  async addVote(tx: Transaction, data: Prisma.VoteUncheckedCreateInput): Promise<void> {
    await tx.vote.create({ data })
  }

  async decide(tx: Transaction, id: string, state: string, reason: string, at: Date): Promise<void> {
    await tx.approval.update({ where: { id }, data: { state, reason, decidedAt: at } })
    await tx.approval.updateMany({ where: { id, forgetParameters: true }, data: { parameters: Prisma.DbNull } })
    await tx.$executeRaw`UPDATE approval SET text = recorded ->> 'text', effects = recorded -> 'effects', facts = NULL, parameters = NULL WHERE id = ${id}::uuid AND recorded IS NOT NULL`
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
      conditions.push(Prisma.sql`(EXISTS (SELECT 1 FROM jsonb_array_elements(a.requirements) r, jsonb_array_elements_text(r -> 'groups') g
          WHERE g = ANY(${[...groups]}::text[]))
        OR EXISTS (SELECT 1 FROM session s WHERE s.id = a.session_id AND s.identity_kind = 'user' AND s.identity = ${user}))`)
    }
    const ids = await this.prisma.$queryRaw<{ id: string }[]>`
      SELECT a.id::text AS id FROM approval a WHERE ${Prisma.join(conditions, ' AND ')} ORDER BY a.id DESC LIMIT ${filter.limit}`
    return this.prisma.approval.findMany({
      where: { id: { in: ids.map((row) => row.id) } },
      include: { votes: { orderBy: { createdAt: 'asc' } } },
      orderBy: { id: 'desc' },
    })
  }
}
