import { Body, Controller, Delete, Get, HttpCode, Param, ParseUUIDPipe, Post, Query, Req, Res } from '@nestjs/common'
import { ApiBearerAuth, ApiConsumes, ApiOperation, ApiTags } from '@nestjs/swagger'
import type { Request, Response } from 'express'
import { z } from 'zod'
import { CurrentUser, Permission } from '../access/permission.js'
import type { Principal } from '../access/principal.js'
import { cookieName, readCookie, setCookie } from '../access/session-cookie.js'
import { WebSessionsService } from '../access/web-sessions.service.js'
import { AccountsRepository } from '../accounts/accounts.repository.js'
import { EventsService } from '../audit/events.service.js'
import { HttpConfig } from '../config/http.config.js'
import { AuthFailures } from '../identity/auth-failures.js'
import { KeySets } from '../identity/key-sets.js'
import { KeysService } from '../keys/keys.service.js'
import { RateLimit } from '../limits/rate-limit.js'
import { pageFrom, pageQuery } from '../openapi/paging.js'
import { ApiReply, instantField, pageOf } from '../openapi/reply.js'
import { ApiBodyOf, ApiQueryOf } from '../openapi/schema.js'
import { notFound, Problem } from '../problem/problem.js'
import { ZodPipe } from '../problem/zod.pipe.js'
import { attemptSeconds, packed, safeReturn, unpacked, type Attempt } from './attempt.js'
import { verifyLogoutToken } from './logout-token.js'
import { OidcService } from './oidc.service.js'
import { SigninError } from './signin.errors.js'
import { failurePage } from './signin.page.js'
import { SigninService } from './signin.service.js'
import { UsedTokensRepository } from './used-tokens.repository.js'

const providerReply = z.object({ name: z.string(), display_name: z.string() }).meta({ id: 'SigninProvider' })
const signedOutReply = z.object({ location: z.string().optional().meta({ description: 'Go there to sign out at the provider, too.' }) }).meta({ id: 'SignedOut' })
const webSessionReply = z
  .object({ id: z.uuid(), user: z.string(), provider: z.string(), created_at: instantField, seen_at: instantField, expires_at: instantField, current: z.boolean() })
  .meta({ id: 'WebSession' })
const logoutSchema = z.object({ logout_token: z.string().min(1).max(16_384) })

/** Signing in and out with OpenID Connect. */
@ApiTags('sign-in')
@Controller()
export class SigninController {
  readonly #limit = new RateLimit(60, 5)
  readonly #keySets = new KeySets()

  constructor(
    private readonly oidc: OidcService,
    private readonly signin: SigninService,
    private readonly sessions: WebSessionsService,
    private readonly accounts: AccountsRepository,
    private readonly used: UsedTokensRepository,
    private readonly events: EventsService,
    private readonly failures: AuthFailures,
    private readonly keys: KeysService,
    private readonly http: HttpConfig,
  ) {}

  @Get('v1/auth/providers')
  @Permission('public')
  @ApiOperation({ summary: 'Where people can sign in: GET /auth/signin/NAME?return=/path begins' })
  @ApiReply(200, pageOf(providerReply))
  async providers(): Promise<{ items: { name: string; display_name: string }[] }> {
    return { items: (await this.oidc.providers()).map(({ name, spec }) => ({ name, display_name: spec.signIn.displayName ?? name })) }
  }

  @Get('auth/signin/:provider')
  @Permission('public')
  @ApiOperation({ summary: 'Begin to sign in: leads to the provider' })
  @ApiReply(302)
  async begin(@Param('provider') name: string, @Query('return') back: unknown, @Req() request: Request, @Res() response: Response): Promise<void> {
    await this.#page(request, response, 'oidc_signin', async () => {
      const provider = await this.oidc.provider(name)
      const { url, state, nonce, verifier } = await this.oidc.start(provider, this.#redirectUri)
      const sealed = this.keys.sealPart(`signin:${state}`, packed({ provider: name, state, nonce, verifier, return: safeReturn(back) }, Date.now()))
      response.setHeader('set-cookie', setCookie(this.#attemptName, `${state}.${sealed.toString('base64url')}`, { secure: this.#secure, maxAgeSeconds: attemptSeconds }))
      response.redirect(302, url)
    })
  }

  @Get('auth/callback')
  @Permission('public')
  @ApiOperation({ summary: 'Where providers send people back to' })
  @ApiReply(302)
  async callback(@Req() request: Request, @Res() response: Response): Promise<void> {
    await this.#page(request, response, 'oidc_signin', async () => {
      const attempt = await this.#attempt(request)
      const provider = await this.oidc.provider(attempt.provider)
      const told = await this.oidc.finish(provider, new URL(request.originalUrl, this.http.publicUrl), attempt)
      const cookie = await this.signin.signIn(provider, told, addressOf(request))
      response.setHeader('set-cookie', [cookie, this.#noAttempt])
      response.redirect(302, attempt.return)
    })
  }

  @Post('v1/auth/signout')
  @HttpCode(200)
  @Permission('signed-in')
  @ApiBearerAuth()
  @ApiOperation({ summary: 'Sign out here; `location` leads to signing out at the provider' })
  @ApiReply(200, signedOutReply)
  async signOut(@CurrentUser() user: Principal, @Res({ passthrough: true }) response: Response): Promise<{ location?: string }> {
    if (user.proof.kind !== 'session') throw new Problem(400, 'NO_SESSION', 'An API token has nothing to sign out of.', { hint: 'Revoke it: DELETE /v1/tokens/ID.' })
    const session = await this.accounts.session(user.proof.id)
    await this.#end({ id: user.proof.id }, 'signed out')
    response.setHeader('set-cookie', this.sessions.cleared)
    if (!session) return {}
    const provider = (await this.oidc.providers()).find(({ name }) => name === session.account.provider)
    const idToken = session.idToken === null ? null : this.keys.unsealPart(`id-token:${session.accountId}`, session.idToken).toString()
    const location = provider && (await this.oidc.endSessionUrl(provider, idToken, `${this.http.publicUrl}/`))
    return location === undefined ? {} : { location }
  }

  /** OpenID Connect Back-Channel Logout 1.0. */
  @Post('auth/backchannel-logout/:provider')
  @HttpCode(200)
  @Permission('public')
  @ApiConsumes('application/x-www-form-urlencoded')
  @ApiBodyOf(logoutSchema)
  @ApiOperation({ summary: 'A provider tells that somebody signed out there' })
  @ApiReply(200)
  async backchannel(@Param('provider') name: string, @Body() body: unknown, @Req() request: Request, @Res({ passthrough: true }) response: Response): Promise<void> {
    response.setHeader('cache-control', 'no-store')
    if (!this.#limit.take(addressOf(request))) throw new Problem(429, 'TOO_MANY_REQUESTS', 'Too many requests from this address: wait a second.')
    const refused = (): Problem => new Problem(400, 'invalid_request', 'The logout token is not acceptable.')
    const parsed = logoutSchema.safeParse(body)
    if (!parsed.success) throw refused()
    const provider = await this.oidc.provider(name).catch(() => undefined)
    const out = provider && (await verifyLogoutToken(parsed.data.logout_token, provider, this.#keySets).catch(() => undefined))
    if (!provider || !out || !(await this.used.take(`logout:${name}:${out.tokenId}`, out.expiresAt))) {
      await this.failures.record({ method: 'oidc_logout', client_address: addressOf(request), code: 'LOGOUT_TOKEN_REFUSED', reason: 'a logout token was not acceptable' })
      throw refused()
    }
    await this.#end({ account: { provider: name, ...(out.subject === undefined ? {} : { subject: out.subject }) }, ...(out.sid === undefined ? {} : { sid: out.sid }) }, 'signed out at the provider')
  }

  @Get('v1/auth/sessions')
  @Permission('signed-in')
  @ApiBearerAuth()
  @ApiOperation({ summary: 'Browsers that are signed in: your own; all of them for admins' })
  @ApiReply(200, pageOf(webSessionReply))
  @ApiQueryOf(pageQuery)
  async list(@Query(new ZodPipe(pageQuery)) query: z.infer<typeof pageQuery>, @CurrentUser() user: Principal) {
    const rows = await this.accounts.sessionsOf(user.roles.includes('admin') ? undefined : user.user, new Date())
    const items = rows.map((row) => ({
      id: row.id, user: row.user, provider: row.account.provider, created_at: row.createdAt.toISOString(), seen_at: row.seenAt.toISOString(), expires_at: row.expiresAt.toISOString(),
      current: user.proof.kind === 'session' && user.proof.id === row.id,
    }))
    return pageFrom(items, ({ created_at: createdAt, id }) => `${createdAt}~${id}`, query, 'descending')
  }

  @Delete('v1/auth/sessions/:id')
  @HttpCode(204)
  @Permission('signed-in')
  @ApiBearerAuth()
  @ApiOperation({ summary: 'End a sign-in: any for an admin, else your own' })
  @ApiReply(204)
  async end(@Param('id', ParseUUIDPipe) id: string, @CurrentUser() user: Principal): Promise<void> {
    const session = await this.accounts.session(id)
    if (!session || session.endedAt || (session.user !== user.user && !user.roles.includes('admin'))) throw notFound('such sign-in')
    await this.#end({ id }, 'ended', user.user)
  }

  async #end(where: Parameters<AccountsRepository['end']>[1], reason: string, by?: string): Promise<void> {
    await this.accounts.transaction(async (tx) => {
      const ended = await this.accounts.end(tx, where, reason, new Date())
      if (ended.length === 0) return
      await this.events.appendWithin(tx, ended.map(({ id, user }) => ({ kind: 'user.signed_out' as const, user, web_session: id, reason, ...(by === undefined ? {} : { by }) })))
    })
  }

  /** Runs one step of a sign-in; what goes wrong is recorded and told on a page, since a person looks at it. */
  async #page(request: Request, response: Response, method: string, run: () => Promise<void>): Promise<void> {
    response.setHeader('cache-control', 'no-store')
    try {
      if (!this.#limit.take(addressOf(request))) throw new SigninError('SIGNIN_INVALID', 'Too many sign-ins from this address.', 'Wait a second and try again.')
      await run()
    } catch (error) {
      if (!(error instanceof SigninError)) throw error
      await this.failures.record({ method, client_address: addressOf(request), code: error.code, reason: error.message, ...(error.user === undefined ? {} : { user: error.user }) })
      response.setHeader('set-cookie', this.#noAttempt)
      response.status(error.code === 'SIGNIN_PROVIDER_UNAVAILABLE' ? 503 : error.code === 'SIGNIN_UNKNOWN_PROVIDER' ? 404 : 403).type('html').send(failurePage(error))
    }
  }

  /** @throws {SigninError} when this browser began no sign-in, or used it up */
  async #attempt(request: Request): Promise<Attempt> {
    const [state = '', sealed = ''] = (readCookie(request.headers.cookie, this.#attemptName) ?? '').split('.')
    const attempt = tryOpen(() => unpacked(this.keys.unsealPart(`signin:${state}`, Buffer.from(sealed, 'base64url')), Date.now()))
    const once = attempt && (await this.used.take(`signin:${state}`, new Date(Date.now() + attemptSeconds * 2000)))
    if (attempt && once) return attempt
    throw new SigninError('SIGNIN_EXPIRED', 'This sign-in was not begun in this browser, or took too long.', 'Start again from the sign-in page.')
  }

  get #redirectUri(): string {
    return `${this.http.publicUrl}/auth/callback`
  }

  get #secure(): boolean {
    return this.http.publicUrl.startsWith('https:')
  }

  get #attemptName(): string {
    return cookieName(this.#secure, 'signin')
  }

  get #noAttempt(): string {
    return setCookie(this.#attemptName, '', { secure: this.#secure, maxAgeSeconds: 0 })
  }
}

const addressOf = (request: Request): string => request.socket.remoteAddress ?? 'unknown'

function tryOpen<T>(open: () => T): T | undefined {
  try {
    return open()
  } catch {
    return undefined
  }
}
