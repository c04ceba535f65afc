import { Controller, Get, Query } from '@nestjs/common'
import { ApiBearerAuth, ApiOperation, ApiTags } from '@nestjs/swagger'
import { CurrentUser, Permission } from '../access/permission.js'
import type { Principal } from '../access/principal.js'
import { ApiQueryOf } from '../openapi/schema.js'
import { ZodPipe } from '../problem/zod.pipe.js'
import { EventsService } from './events.service.js'
import { searchQuerySchema, type EventPage, type SearchQuery } from './search.dto.js'
import { SearchService } from './search.service.js'
import { VerifyService, type Verification } from './verify.service.js'

@ApiTags('audit')
@ApiBearerAuth()
@Controller('v1')
export class AuditController {
  constructor(
    private readonly events: SearchService,
    private readonly verifier: VerifyService,
    private readonly record: EventsService,
  ) {}

  @Get('events')
  @Permission('auditor')
  @ApiOperation({ summary: 'Search the audit chain, newest first' })
  @ApiQueryOf(searchQuerySchema)
  async search(@Query(new ZodPipe(searchQuerySchema)) query: SearchQuery, @CurrentUser() user: Principal): Promise<EventPage> {
    const shows = query.kind === undefined ? query.recordings === 'true' : query.kind === 'recording'
    if (shows) await this.record.append({ kind: 'session.viewed', ...(query.session === undefined ? {} : { session: query.session }), by: user.user, how: 'search' })
    return this.events.search(query)
  }

  @Get('audit/keys')
  @Permission('signed-in')
  @ApiOperation({ summary: 'The public keys (JWK) with which the control plane signs statements: hand them out with bundles, by another way' })
  async keys(): Promise<{ keys: readonly object[] }> {
    return { keys: await this.verifier.publicKeys() }
  }

  @Get('audit/verify')
  @Permission('auditor')
  @ApiOperation({ summary: 'Verify the whole audit chain; names the first bad record' })
  verify(): Promise<Verification> {
    return this.verifier.verify()
  }
}
