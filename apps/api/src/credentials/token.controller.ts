import { Body, Controller, Logger, Post, Req, Res } from '@nestjs/common'
import { ApiConsumes, ApiOperation, ApiTags } from '@nestjs/swagger'
import type { Request, Response } from 'express'
import { Permission } from '../access/permission.js'
import { AuthFailures } from '../identity/auth-failures.js'
import { IdentityError } from '../identity/identity.errors.js'
import { IdentityService } from '../identity/identity.service.js'
import { exchangeSchema, issuedTokenType } from './credentials.dto.js'
import { CredentialError } from './credentials.errors.js'
import { CredentialsService } from './credentials.service.js'
import { ApiBodyOf } from '../openapi/schema.js'
import { RateLimit } from '../limits/rate-limit.js'
import { issuedView } from './views.js'
import { ApiReply } from '../openapi/reply.js'
import { issuedReply } from './credentials.replies.js'

/** RFC 6749, section 5.2: this endpoint's clients are OAuth clients, and read these two members. */
interface OAuthError {
  readonly error: 'invalid_request' | 'invalid_grant' | 'invalid_target' | 'access_denied' | 'temporarily_unavailable'
  readonly error_description: string
}

/** Token exchange (RFC 8693): a CI job's OIDC token for a just-in-time credential. The token itself is the proof. */
@ApiTags('credentials')
@Controller('v1/token')
export class TokenController {
  readonly #log = new Logger(TokenController.name)
  readonly #limit = new RateLimit(60, 10)

  constructor(
    private readonly identities: IdentityService,
    private readonly credentials: CredentialsService,
    private readonly failures: AuthFailures,
  ) {}

  @Post()
  @Permission('public')
  @ApiConsumes('application/x-www-form-urlencoded', 'application/json')
  @ApiBodyOf(exchangeSchema)
  @ApiOperation({
    summary: 'Exchange an OIDC token for a JIT credential (RFC 8693)',
    description: 'With `public_key` a credential for an SSH target is bound to that key (the answer has `key_fingerprint`): only a proof of the key logs in, and the access_token does nothing but revoke.',
  })
  @ApiReply(200, issuedReply)
  async exchange(@Body() body: unknown, @Req() request: Request, @Res({ passthrough: true }) response: Response): Promise<unknown> {
    response.setHeader('cache-control', 'no-store')
    const address = request.socket.remoteAddress ?? 'unknown'
    const refuse = (status: number, error: OAuthError['error'], error_description: string): OAuthError => {
      response.status(status)
      return { error, error_description }
    }
    if (!this.#limit.take(address)) {
      response.setHeader('retry-after', '1')
      return refuse(429, 'temporarily_unavailable', 'too many token exchanges from this address: wait a second')
    }
    const parsed = exchangeSchema.safeParse(body ?? {})
    if (!parsed.success) return refuse(400, 'invalid_request', parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; '))
    const { subject_token: token, audience: target, ttl_seconds: ttlSeconds, single_use: singleUse, public_key: publicKey } = parsed.data
    try {
      const proven = await this.identities.ofToken(token)
      if (singleUse && proven.tokenId === undefined) {
        return refuse(400, 'invalid_grant', 'single_use needs a token with an id (claim jti), which this one lacks')
      }
      const onceOf = singleUse && proven.tokenId !== undefined ? { issuer: proven.issuer, tokenId: proven.tokenId, expiresAt: proven.expiresAt } : undefined
      const issued = await this.credentials.issue({ identity: proven.identity, target, ttlSeconds, singleUse, publicKey, ...(onceOf ? { onceOf } : {}) })
      response.status(200)
      return { ...issuedView(issued), issued_token_type: issuedTokenType, token_type: 'N_A' }
    } catch (error) {
      if (!(error instanceof IdentityError) && !(error instanceof CredentialError)) {
        this.#log.error({ message: 'a token exchange failed', error: error instanceof Error ? error.name : '' })
        return refuse(503, 'temporarily_unavailable', 'the control plane can not issue credentials now: try again')
      }
      await this.failures.record({ method: 'oidc_token', target, client_address: address, code: error.code, reason: error.message })
      return refuse(400, errorCodeOf(error), `${error.message}. ${error.hint}`)
    }
  }
}

function errorCodeOf(error: IdentityError | CredentialError): OAuthError['error'] {
  if (error.code === 'TARGET_UNKNOWN') return 'invalid_target'
  if (error.code === 'PUBLIC_KEY_REFUSED') return 'invalid_request'
  return error.code === 'POLICY_DENIED' || error.code === 'TARGET_LOCKED' || error.code === 'IDENTITY_LOCKED' ? 'access_denied' : 'invalid_grant'
}
