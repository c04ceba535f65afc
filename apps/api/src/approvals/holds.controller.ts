import { Controller, Param, ParseUUIDPipe, Req, Sse, type MessageEvent } from '@nestjs/common'
import { ApiOperation, ApiTags } from '@nestjs/swagger'
import type { Request } from 'express'
import type { Observable } from 'rxjs'
import { Permission } from '../access/permission.js'
import { RateLimit } from '../limits/rate-limit.js'
import { Problem } from '../problem/problem.js'
import { HoldsService } from './holds.service.js'
import { ApiReply } from '../openapi/reply.js'
import { holdEventReply } from './approvals.replies.js'

@ApiTags('credentials')
@Controller('v1/credentials')
export class HoldsController {
  /** Proving a secret costs a PBKDF2 run. */
  readonly #limit = new RateLimit(60, 10)

  constructor(private readonly holds: HoldsService) {}

  /** Public, because the credential's own secret is proof enough. */
  @Sse(':id/holds')
  @Permission('public')
  @ApiOperation({ summary: "Server-sent events: `hold` for each command of this credential that waits for approval, or has waited. Send the credential's secret as the bearer token." })
  @ApiReply(200, holdEventReply, { type: 'text/event-stream' })
  async stream(@Param('id', ParseUUIDPipe) id: string, @Req() request: Request): Promise<Observable<MessageEvent>> {
    if (!this.#limit.take(request.socket.remoteAddress ?? 'unknown')) throw new Problem(429, 'TOO_MANY_REQUESTS', 'Too many requests from this address: wait a second.')
    const secret = /^Bearer (spc_[\w-]{1,100})$/.exec(request.headers.authorization ?? '')?.[1]
    if (secret === undefined || !(await this.holds.proves(id, secret))) {
      throw new Problem(401, 'UNAUTHENTICATED', "The credential's own secret is needed.", { hint: 'Send Authorization: Bearer …' })
    }
    return this.holds.stream(id)
  }
}
