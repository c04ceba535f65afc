import { Controller, Get, Query } from '@nestjs/common'
import { ApiBearerAuth, ApiOperation, ApiTags } from '@nestjs/swagger'
import { Permission } from '../access/permission.js'
import { ApiQueryOf } from '../openapi/schema.js'
import { ZodPipe } from '../problem/zod.pipe.js'
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
  ) {}

  @Get('events')
  @Permission('auditor')
  @ApiOperation({ summary: 'Search the audit chain, newest first' })
  @ApiQueryOf(searchQuerySchema)
  search(@Query(new ZodPipe(searchQuerySchema)) query: SearchQuery): Promise<EventPage> {
    return this.events.search(query)
  }

  @Get('audit/verify')
  @Permission('auditor')
  @ApiOperation({ summary: 'Verify the whole audit chain; names the first bad record' })
  verify(): Promise<Verification> {
    return this.verifier.verify()
  }
}
