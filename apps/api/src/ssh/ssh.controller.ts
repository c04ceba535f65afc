import { Body, Controller, Get, Header, HttpCode, Post, Req } from '@nestjs/common'
import { ApiBearerAuth, ApiOperation, ApiTags } from '@nestjs/swagger'
import type { Request } from 'express'
import { z } from 'zod'
import { AccessService } from '../access/access.service.js'
import { Permission } from '../access/permission.js'
import { CredentialError } from '../credentials/credentials.errors.js'
import { issuedView } from '../credentials/views.js'
import { AuthFailures } from '../identity/auth-failures.js'
import { IdentityError } from '../identity/identity.errors.js'
import { IdentityService, type Identity } from '../identity/identity.service.js'
import { RateLimit } from '../limits/rate-limit.js'
import { ApiBodyOf } from '../openapi/schema.js'
import { Problem } from '../problem/problem.js'
import { ZodPipe } from '../problem/zod.pipe.js'
import { certificateSchema } from './ssh.dto.js'
import { SshService } from './ssh.service.js'
import { ApiReply } from '../openapi/reply.js'
import { certificateReply } from './ssh.replies.js'

@ApiTags('ssh')
@Controller('v1/ssh')
export class SshController {
  readonly #limit = new RateLimit(60, 10)

  constructor(
    private readonly ssh: SshService,
    private readonly identities: IdentityService,
    private readonly access: AccessService,
    private readonly failures: AuthFailures,
  ) {}

  /** Public, because the bearer token is checked here: a CI job's OIDC token, or a user's API token. */
  @Post('certificates')
  @Permission('public')
  @HttpCode(200)
  @Header('cache-control', 'no-store')
  @ApiBearerAuth()
  @ApiBodyOf(certificateSchema)
  @ApiOperation({ summary: 'A short-lived OpenSSH user certificate for one target; the bearer is an OIDC token or an API token' })
  @ApiReply(200, certificateReply)
  async certify(@Body(new ZodPipe(certificateSchema)) body: z.output<typeof certificateSchema>, @Req() request: Request) {
    const address = request.socket.remoteAddress ?? 'unknown'
    if (!this.#limit.take(address)) throw new Problem(429, 'TOO_MANY_REQUESTS', 'Too many requests from this address: wait a second.')
    try {
      const identity = await this.#identity(request.headers.authorization)
      const { issued, certificate, serial } = await this.ssh.certify({ identity, target: body.target, publicKey: body.public_key, ttlSeconds: body.ttl_seconds })
      return { ...issuedView(issued), certificate, serial: serial.toString(), expires_at: issued.expiresAt }
    } catch (error) {
      if (!(error instanceof CredentialError) && !(error instanceof IdentityError)) throw error
      await this.failures.record({ method: 'certificate', target: body.target, client_address: address, code: error.code, reason: error.message })
      const status = error instanceof IdentityError ? 401 : error.code === 'TARGET_UNKNOWN' ? 404 : 403
      throw new Problem(status, error.code, error.message, { hint: error.hint })
    }
  }

  @Get('ca')
  @Permission('public')
  @Header('content-type', 'text/plain; charset=utf-8')
  @ApiOperation({ summary: 'The public key of the CA that signs those certificates, as in authorized_keys' })
  @ApiReply(200, z.string(), { type: 'text/plain' })
  async authority(): Promise<string> {
    return `${await this.ssh.authorityLine()}\n`
  }

  @Get('known-hosts')
  @Permission('public')
  @Header('content-type', 'text/plain; charset=utf-8')
  @ApiOperation({ summary: 'The host keys of the gateways, as lines of a known_hosts file' })
  @ApiReply(200, z.string(), { type: 'text/plain' })
  knownHosts(): Promise<string> {
    return this.ssh.knownHosts()
  }

  async #identity(header: string | undefined): Promise<Identity> {
    const user = await this.access.authenticate(header)
    if (user) return this.identities.ofUser(user.user)
    const token = /^Bearer ([\w.~+/-]{1,16384}=*)$/i.exec(header ?? '')?.[1]
    if (token === undefined) throw new Problem(401, 'UNAUTHENTICATED', 'An OIDC token or an API token is needed.', { hint: 'Send Authorization: Bearer …' })
    return (await this.identities.ofToken(token)).identity
  }
}
