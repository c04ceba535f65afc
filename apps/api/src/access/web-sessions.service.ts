import { randomBytes } from 'node:crypto'
import { Injectable } from '@nestjs/common'
import type { Request, Response } from 'express'
import { v7 as uuid } from 'uuid'
import { AccountsRepository, type SessionWithAccount } from '../accounts/accounts.repository.js'
import type { Transaction } from '../audit/audit.repository.js'
import { EventsService } from '../audit/events.service.js'
import { HttpConfig } from '../config/http.config.js'
import type { Account } from '../generated/prisma/client.js'
import { forbidden } from '../problem/problem.js'
import { AccessConfig } from './access.config.js'
import { DirectoryService } from './directory.service.js'
import type { Principal } from './principal.js'
import { cookieName, hashOf, makeSecret, parseSession, readCookie, sameHash, setCookie } from './session-cookie.js'

/** Requests that were under way when the secret changed. */
const graceMs = 60_000
export const csrfHeader = 'x-sallyport-csrf'
const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Browsers of people who signed in: made, recognised, ended. */
@Injectable()
export class WebSessionsService {
  constructor(
    private readonly accounts: AccountsRepository,
    private readonly directory: DirectoryService,
    private readonly events: EventsService,
    private readonly config: AccessConfig,
    private readonly http: HttpConfig,
  ) {}

  /** Makes a session in the caller's transaction. Returns the cookie's header. */
  async create(tx: Transaction, account: Account, atProvider: { readonly sid: string | null; readonly idToken: Uint8Array<ArrayBuffer> | null }, now: Date): Promise<string> {
    const id = uuid()
    const { secret, hash } = makeSecret()
    await this.accounts.createSession(tx, {
      id, accountId: account.id, user: account.name, secretHash: new Uint8Array(hash), rotatedAt: now, csrf: randomBytes(32).toString('base64url'), ...atProvider,
      createdAt: now, seenAt: now, expiresAt: new Date(now.getTime() + this.config.life * 1000),
    })
    return this.#cookie(id, secret, this.config.life)
  }

  /** Takes the cookie away. */
  get cleared(): string {
    return this.#cookie('', '', 0)
  }

  /**
   * Who a request's cookie speaks for; undefined when it proves nothing. Rotates the secret now and then.
   * @throws {Problem} 403 when the request could come from another site
   */
  async authenticate(request: Request, response: Response): Promise<Principal | undefined> {
    const given = parseSession(readCookie(request.headers.cookie, this.#name))
    if (!given) return undefined
    const session = await this.accounts.session(given.id)
    const now = new Date()
    if (!session || !this.#isLive(session, now)) return undefined
    const hash = hashOf(given.secret)
    const current = sameHash(hash, session.secretHash)
    if (!current && !(await this.#isRecent(session, hash, now))) return undefined
    const person = await this.directory.find(session.user)
    if (!person || person.disabled) return undefined
    if (!safeMethods.has(request.method)) this.#sameSite(request, session.csrf)
    if (current) await this.#keep(session, hash, now, response)
    return { user: person.name, roles: person.roles, groups: person.groups, proof: { kind: 'session', id: session.id, csrf: session.csrf } }
  }

  /** For connections that stay open. */
  async isLive(id: string): Promise<boolean> {
    const session = await this.accounts.session(id)
    return session !== null && this.#isLive(session, new Date())
  }

  #isLive({ endedAt, expiresAt, seenAt, account }: SessionWithAccount, now: Date): boolean {
    const since = (at: Date): number => (now.getTime() - at.getTime()) / 1000
    if (endedAt || expiresAt <= now || since(seenAt) > this.config.idle || account.goneAt) return false
    // A provider that can't be asked may have forgotten the person: fail closed after a while.
    return account.refresh === null || since(account.refreshedAt) <= this.config.refresh + this.config.stale
  }

  /** The secret before the present one: right after the change it is a request that was under way, later somebody has copied it. */
  async #isRecent(session: SessionWithAccount, hash: Buffer, now: Date): Promise<boolean> {
    if (!session.previousHash || !sameHash(hash, session.previousHash)) return false
    if (now.getTime() - session.rotatedAt.getTime() <= graceMs) return true
    await this.accounts.transaction(async (tx) => {
      const ended = await this.accounts.end(tx, { id: session.id }, 'an old cookie came back', now)
      if (ended.length === 0) return
      await this.events.appendWithin(tx, [
        { kind: 'alert', code: 'COOKIE_REUSED', message: 'a cookie that had been replaced came back: somebody has a copy; the sign-in was ended', identity: { kind: 'user', name: session.user } },
        { kind: 'user.signed_out', user: session.user, web_session: session.id, reason: 'an old cookie came back' },
      ])
    })
    return false
  }

  async #keep(session: SessionWithAccount, hash: Buffer, now: Date, response: Response): Promise<void> {
    if (now.getTime() - session.rotatedAt.getTime() < this.config.rotate * 1000) {
      if (now.getTime() - session.seenAt.getTime() > graceMs) await this.accounts.seen(session.id, now)
      return
    }
    const next = makeSecret()
    if (!(await this.accounts.rotate(session.id, hash, next.hash, now))) return
    response.append('set-cookie', this.#cookie(session.id, next.secret, Math.ceil((session.expiresAt.getTime() - now.getTime()) / 1000)))
  }

  /**
   * Lets through only what this origin's own pages sent: browsers say so in headers that scripts can't set (Fetch Metadata; Origin), and the session's
   * token shows that the page could read an answer.
   * @throws {Problem} 403
   */
  #sameSite(request: Request, csrf: string): void {
    const site = request.headers['sec-fetch-site']
    const origin = request.headers.origin
    const isOwn = site === undefined ? origin === new URL(this.http.publicUrl).origin : site === 'same-origin'
    const token = request.headers[csrfHeader]
    if (isOwn && typeof token === 'string' && sameHash(hashOf(token), hashOf(csrf))) return
    throw forbidden('CSRF', 'This request did not come from the console.', `Send the header ${csrfHeader} with the csrf of GET /v1/whoami, from the same origin; programs use an API token.`)
  }

  get #name(): string {
    return cookieName(this.#secure, 'session')
  }

  get #secure(): boolean {
    return this.http.publicUrl.startsWith('https:')
  }

  #cookie(id: string, secret: string, maxAgeSeconds: number): string {
    return setCookie(this.#name, id === '' ? '' : `${id}.${secret}`, { secure: this.#secure, maxAgeSeconds })
  }
}
