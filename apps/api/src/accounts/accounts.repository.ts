import { Injectable } from '@nestjs/common'
import type { Transaction } from '../audit/audit.repository.js'
import { PrismaService } from '../database/prisma.service.js'
import { Prisma, type Account, type WebSession } from '../generated/prisma/client.js'

export const accountsChannel = 'sallyport_accounts'

export type SessionWithAccount = WebSession & { readonly account: Account }

export interface AccountFacts {
  readonly name: string
  readonly email: string | null
  readonly displayName: string | null
  readonly claims: Readonly<Record<string, unknown>>
  readonly refresh: Uint8Array | null
}

const json = (value: unknown): Prisma.InputJsonValue => JSON.parse(JSON.stringify(value))
const bytes = (value: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(value)

/** Accounts and web sessions in the database. */
@Injectable()
export class AccountsRepository {
  constructor(private readonly prisma: PrismaService) {}

  transaction<T>(run: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.prisma.$transaction(run, { maxWait: 10_000, timeout: 20_000 })
  }

  /** All accounts, without what is sealed. */
  all(): Promise<Omit<Account, 'refresh'>[]> {
    return this.prisma.account.findMany({ omit: { refresh: true }, orderBy: { id: 'asc' } })
  }

  /** Two people of one name must not both be made in the same moment. */
  async lockNames(tx: Transaction): Promise<void> {
    await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended('sallyport:accounts', 0))`
  }

  async save(tx: Transaction, id: string, provider: string, subject: string, facts: AccountFacts, now: Date): Promise<Account> {
    const data = { ...facts, claims: json(facts.claims), refresh: facts.refresh === null ? null : bytes(facts.refresh), signedInAt: now, refreshedAt: now, goneAt: null }
    return tx.account.upsert({ where: { provider_subject: { provider, subject } }, create: { id, provider, subject, ...data }, update: data })
  }

  async refreshed(tx: Transaction, id: string, claims: Readonly<Record<string, unknown>>, refresh: Uint8Array, now: Date): Promise<void> {
    await tx.account.update({ where: { id }, data: { claims: json(claims), refresh: bytes(refresh), refreshedAt: now } })
  }

  async gone(tx: Transaction, id: string, now: Date): Promise<boolean> {
    return (await tx.account.updateMany({ where: { id, goneAt: null }, data: { goneAt: now, refresh: null } })).count === 1
  }

  /** Accounts with live web sessions whose claims are older than this, the oldest first. Locked: one replica refreshes each. */
  async stale(tx: Transaction, before: Date, now: Date): Promise<Account | null> {
    const [row] = await tx.$queryRaw<{ id: string }[]>`
      SELECT a.id::text AS id FROM account a WHERE a.refresh IS NOT NULL AND a.gone_at IS NULL AND a.refreshed_at < ${before}
        AND EXISTS (SELECT 1 FROM web_session w WHERE w.account_id = a.id AND w.ended_at IS NULL AND w.expires_at > ${now})
      ORDER BY a.refreshed_at LIMIT 1 FOR UPDATE SKIP LOCKED`
    return row ? tx.account.findUnique({ where: { id: row.id } }) : null
  }

  /** Told to all replicas when the transaction commits. */
  async tell(tx: Transaction): Promise<void> {
    await tx.$executeRaw`SELECT pg_notify(${accountsChannel}, '')`
  }

  session(id: string): Promise<SessionWithAccount | null> {
    return this.prisma.webSession.findUnique({ where: { id }, include: { account: true } })
  }

  sessionsOf(user: string | undefined, now: Date): Promise<SessionWithAccount[]> {
    return this.prisma.webSession.findMany({ where: { ...(user === undefined ? {} : { user }), endedAt: null, expiresAt: { gt: now } }, include: { account: true }, orderBy: { createdAt: 'desc' }, take: 500 })
  }

  async createSession(tx: Transaction, session: Omit<WebSession, 'previousHash' | 'endedAt' | 'endReason'>): Promise<void> {
    await tx.webSession.create({ data: { ...session, secretHash: bytes(session.secretHash), idToken: session.idToken === null ? null : bytes(session.idToken) } })
  }

  /** False when another request was quicker, or the session is over. */
  async rotate(id: string, from: Uint8Array, to: Uint8Array, now: Date): Promise<boolean> {
    const { count } = await this.prisma.webSession.updateMany({ where: { id, secretHash: bytes(from), endedAt: null }, data: { secretHash: bytes(to), previousHash: bytes(from), rotatedAt: now, seenAt: now } })
    return count === 1
  }

  async seen(id: string, now: Date): Promise<void> {
    await this.prisma.webSession.updateMany({ where: { id, seenAt: { lt: new Date(now.getTime() - 60_000) } }, data: { seenAt: now } })
  }

  /** Those that were live. */
  async end(tx: Transaction, where: Prisma.WebSessionWhereInput, reason: string, now: Date): Promise<{ id: string; user: string }[]> {
    const live = await tx.webSession.findMany({ where: { ...where, endedAt: null }, select: { id: true, user: true } })
    await tx.webSession.updateMany({ where: { id: { in: live.map(({ id }) => id) } }, data: { endedAt: now, endReason: reason, idToken: null } })
    return live
  }
}
