import type { Request, Response } from 'express'
import { Injectable, Logger } from '@nestjs/common'
import { EventsService } from '../audit/events.service.js'
import { forbidden, notFound } from '../problem/problem.js'
import { DirectoryService } from './directory.service.js'
import type { Principal } from './principal.js'
import { makeToken, parseToken, secretMatches } from './token.js'
import { WebSessionsService } from './web-sessions.service.js'
import { TokensRepository, type TokenRow } from './tokens.repository.js'

const touchEveryMs = 60_000

export interface CreatedToken {
  /** Shown once; only its hash is kept. */
  readonly token: string
  readonly id: string
  readonly expiresAt?: Date
}

/** API tokens of users: who is calling, minting, revoking. */
@Injectable()
export class AccessService {
  readonly #log = new Logger(AccessService.name)
  /** When a refused token was last recorded, so that a client in a loop doesn't fill the audit chain. */
  readonly #refused = new Map<string, number>()

  constructor(
    private readonly tokens: TokensRepository,
    private readonly directory: DirectoryService,
    private readonly events: EventsService,
    private readonly web: WebSessionsService,
  ) {}

  /**
   * Who an `Authorization` header speaks for; undefined when it proves nothing. The caller can't tell an unknown token
   * from a revoked one.
   */
  async authenticate(header: string | undefined): Promise<Principal | undefined> {
    const bearer = /^Bearer ([^\s]{1,200})$/i.exec(header ?? '')?.[1]
    const parsed = bearer === undefined ? undefined : parseToken(bearer)
    if (!parsed) return undefined
    const row = await this.tokens.find(parsed.id)
    if (!row) return undefined
    const now = Date.now()
    if (!secretMatches(parsed.secret, row.secretHash)) return this.#refuse(row, 'wrong secret', now)
    if (row.revokedAt) return this.#refuse(row, 'revoked', now)
    if (row.expiresAt && row.expiresAt.getTime() <= now) return this.#refuse(row, 'expired', now)
    const person = await this.directory.find(row.user)
    if (!person) return this.#refuse(row, 'the user is gone', now)
    if (person.disabled) return this.#refuse(row, person.locked ? 'the user is locked' : 'the user is disabled', now)
    this.#touch(row, now)
    return { user: person.name, roles: person.roles, groups: person.groups, proof: { kind: 'token', id: row.id } }
  }

  /**
   * Who a request speaks for: by its token, else by the cookie of a sign-in.
   * @throws {Problem} 403 when a request with a cookie could come from another site
   */
  async authenticateRequest(request: Request, response: Response): Promise<Principal | undefined> {
    if (request.headers.authorization !== undefined) return this.authenticate(request.headers.authorization)
    return this.web.authenticate(request, response)
  }

  /** Whether a caller who authenticated earlier still would: for connections that stay open. */
  async isStillValid(principal: Principal): Promise<boolean> {
    const person = await this.directory.find(principal.user)
    if (person?.disabled !== false) return false
    if (principal.proof.kind === 'session') return this.web.isLive(principal.proof.id)
    const row = await this.tokens.find(principal.proof.id)
    return row !== null && !row.revokedAt && !(row.expiresAt && row.expiresAt.getTime() <= Date.now())
  }

  /**
   * Mints a token for a user.
   * @throws {Problem} 404 when there is no such user
   */
  async createToken(request: { readonly user: string; readonly name: string; readonly ttlSeconds?: number | undefined }, by: string): Promise<CreatedToken> {
    if (!(await this.directory.find(request.user))) throw notFound(`user ${request.user}`)
    const { id, token, secretHash } = makeToken()
    const createdAt = new Date()
    const expiresAt = request.ttlSeconds === undefined ? null : new Date(createdAt.getTime() + request.ttlSeconds * 1000)
    const expiry = expiresAt ? { expires_at: expiresAt.toISOString() } : {}
    await this.tokens.transaction(async (tx) => {
      await this.tokens.create(tx, { id, user: request.user, name: request.name, secretHash, createdAt, expiresAt })
      await this.events.appendWithin(tx, [{ kind: 'token.created', token: id, user: request.user, name: request.name, by, ...expiry }])
    })
    return { token, id, ...(expiresAt ? { expiresAt } : {}) }
  }

  /** Admins revoke any token, everybody their own. Idempotent. */
  async revokeToken(id: string, by: Principal): Promise<void> {
    const row = await this.tokens.find(id)
    const isAdmin = by.roles.includes('admin')
    if (!row) throw isAdmin ? notFound('such token') : forbidden('FORBIDDEN', 'You may revoke your own tokens only.')
    if (!isAdmin && row.user !== by.user) throw forbidden('FORBIDDEN', 'You may revoke your own tokens only.')
    await this.tokens.transaction(async (tx) => {
      if (!(await this.tokens.revoke(tx, id, new Date()))) return
      await this.events.appendWithin(tx, [{ kind: 'token.revoked', token: id, user: row.user, by: by.user }])
    })
  }

  listTokens(user?: string): Promise<TokenRow[]> {
    return this.tokens.list(user)
  }

  #touch(row: TokenRow, now: number): void {
    if (row.lastUsedAt && row.lastUsedAt.getTime() > now - touchEveryMs) return
    this.tokens.touch(row.id, new Date(now), new Date(now - touchEveryMs)).catch((error: unknown) => {
      this.#log.warn({ message: 'last use of a token could not be noted', token_id: row.id, error: error instanceof Error ? error.name : '' })
    })
  }

  #refuse(row: TokenRow, reason: string, now: number): undefined {
    if (now - (this.#refused.get(row.id) ?? 0) < touchEveryMs) return undefined
    if (this.#refused.size > 10_000) this.#refused.clear()
    this.#refused.set(row.id, now)
    this.events.append({ kind: 'auth.failed', method: 'api_token', user: row.user, code: 'TOKEN_REFUSED', reason }).catch(() => {
      this.#log.warn({ message: 'a refused token could not be recorded', token_id: row.id })
    })
    return undefined
  }
}

