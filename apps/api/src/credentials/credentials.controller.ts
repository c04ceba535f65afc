import { Body, Controller, Delete, Get, HttpCode, Param, ParseUUIDPipe, Post, Query, Req } from '@nestjs/common'
import { ApiOperation, ApiTags } from '@nestjs/swagger'
import type { Request } from 'express'
import { AccessService } from '../access/access.service.js'
import { CurrentUser, Permission } from '../access/permission.js'
import type { Principal } from '../access/principal.js'
import { IdentityError } from '../identity/identity.errors.js'
import { IdentityService } from '../identity/identity.service.js'
import { Idempotent } from '../idempotency/idempotent.js'
import { ApiBodyOf, ApiQueryOf } from '../openapi/schema.js'
import { forbidden, notFound, Problem } from '../problem/problem.js'
import { ZodPipe } from '../problem/zod.pipe.js'
import { issuedTokenType, issueSchema, listSchema, type IssueBody, type ListQuery } from './credentials.dto.js'
import { CredentialError } from './credentials.errors.js'
import { CredentialsRepository } from './credentials.repository.js'
import { CredentialsService } from './credentials.service.js'
import { RateLimit } from '../limits/rate-limit.js'
import { credentialView, issuedView } from './views.js'
import { ApiReply, pageOf } from '../openapi/reply.js'
import { credentialReply, issuedReply } from './credentials.replies.js'

@ApiTags('credentials')
@Controller('v1/credentials')
export class CredentialsController {
  /** Proving a secret costs a PBKDF2 run. */
  readonly #limit = new RateLimit(60, 10)

  constructor(
    private readonly credentials: CredentialsService,
    private readonly repository: CredentialsRepository,
    private readonly identities: IdentityService,
    private readonly access: AccessService,
  ) {}

  @Post()
  @Idempotent()
  @Permission('signed-in')
  @ApiBodyOf(issueSchema)
  @ApiOperation({ summary: 'Mint a JIT credential for yourself' })
  @ApiReply(201, issuedReply)
  async issue(@Body(new ZodPipe(issueSchema)) body: IssueBody, @CurrentUser() user: Principal) {
    try {
      const identity = await this.identities.ofUser(user.user)
      const issued = await this.credentials.issue({ identity, target: body.target, ttlSeconds: body.ttl_seconds, singleUse: body.single_use, publicKey: body.public_key })
      return { ...issuedView(issued), issued_token_type: issuedTokenType, token_type: 'N_A' }
    } catch (error) {
      if (error instanceof CredentialError || error instanceof IdentityError) {
        throw new Problem(error.code === 'TARGET_UNKNOWN' ? 404 : 403, error.code, error.message, { hint: error.hint })
      }
      throw error
    }
  }

  @Get()
  @Permission('signed-in')
  @ApiQueryOf(listSchema)
  @ApiOperation({ summary: 'List credentials: your own; all of them for auditors and admins' })
  @ApiReply(200, pageOf(credentialReply))
  async list(@Query(new ZodPipe(listSchema)) query: ListQuery, @CurrentUser() user: Principal) {
    const now = new Date()
    const owner = seesAll(user) ? { identity: query.identity } : { identity: user.user, identityKind: 'user' }
    const rows = await this.repository.list({ ...owner, target: query.target, state: query.state }, query.limit + 1, query.cursor, now)
    const items = rows.slice(0, query.limit)
    const last = items.at(-1)
    return { items: items.map((row) => credentialView(row, now)), ...(rows.length > items.length && last ? { next: last.id } : {}) }
  }

  /** Public, because a credential's own secret is proof enough: `sallyport exec` revokes what it got when its child ends. */
  @Delete(':id')
  @Permission('public')
  @HttpCode(204)
  @ApiOperation({ summary: "Revoke: admins, the owner, or whoever holds the credential's secret. Kills its sessions." })
  @ApiReply(204)
  async revoke(@Param('id', ParseUUIDPipe) id: string, @Req() request: Request): Promise<void> {
    if (!this.#limit.take(request.socket.remoteAddress ?? 'unknown')) throw new Problem(429, 'TOO_MANY_REQUESTS', 'Too many requests from this address: wait a second.')
    const header = request.headers.authorization
    const secret = /^Bearer (spc_[\w-]{1,100})$/.exec(header ?? '')?.[1]
    const row = await this.credentials.find(id)
    if (secret !== undefined) {
      if (!row || !this.credentials.holdsSecret(row, secret)) throw unauthenticated()
      return this.credentials.revoke(row, `credential:${row.id}`, 'revoked by its holder')
    }
    const user = await this.access.authenticate(header)
    if (!user) throw unauthenticated()
    const isOwner = row?.identityKind === 'user' && row.identity === user.user
    if (!isOwner && !user.roles.includes('admin')) throw forbidden('FORBIDDEN', 'You may revoke your own credentials only.')
    if (!row) throw notFound('such credential')
    return this.credentials.revoke(row, user.user)
  }
}

const seesAll = (user: Principal): boolean => user.roles.includes('admin') || user.roles.includes('auditor')

const unauthenticated = (): Problem =>
  new Problem(401, 'UNAUTHENTICATED', "An API token, or the credential's own secret, is needed.", { hint: 'Send Authorization: Bearer …' })
