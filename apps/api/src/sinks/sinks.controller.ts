import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common'
import { ApiBearerAuth, ApiOperation, ApiTags } from '@nestjs/swagger'
import { CurrentUser, Permission } from '../access/permission.js'
import type { Principal } from '../access/principal.js'
import { pageFrom } from '../openapi/paging.js'
import { ApiBodyOf, ApiQueryOf } from '../openapi/schema.js'
import { ZodPipe } from '../problem/zod.pipe.js'
import { lettersQuerySchema, listQuerySchema, retrySchema, type LettersQuery, type ListQuery, type RetryRequest, type TestReply } from './sinks.dto.js'
import { SinksService } from './sinks.service.js'
import { ApiReply, pageOf } from '../openapi/reply.js'
import { deadLetterReply, retryReply, sinkReply, sinkTestReply } from './sinks.replies.js'

@ApiTags('sinks')
@ApiBearerAuth()
@Controller('v1/sinks')
export class SinksController {
  constructor(private readonly sinks: SinksService) {}

  @Get()
  @Permission('auditor')
  @ApiOperation({ summary: 'Sinks: state, cursor, lag, last error' })
  @ApiReply(200, pageOf(sinkReply))
  @ApiQueryOf(listQuerySchema)
  async list(@Query(new ZodPipe(listQuerySchema)) query: ListQuery) {
    const { state } = query
    return pageFrom((await this.sinks.list()).filter((sink) => state === undefined || sink.state === state), ({ name }) => name, query)
  }

  @Get(':name/dead-letters')
  @Permission('auditor')
  @ApiOperation({ summary: 'Events that the receiver refused, oldest first' })
  @ApiQueryOf(lettersQuerySchema)
  @ApiReply(200, pageOf(deadLetterReply))
  letters(@Param('name') name: string, @Query(new ZodPipe(lettersQuerySchema)) query: LettersQuery) {
    return this.sinks.letters(name, BigInt(query.cursor ?? '0'), query.limit)
  }

  @Post(':name/dead-letters/retry')
  @Permission('operator')
  @HttpCode(202)
  @ApiBodyOf(retrySchema)
  @ApiOperation({ summary: 'Send dead letters again' })
  @ApiReply(202, retryReply)
  async retry(@Param('name') name: string, @Body(new ZodPipe(retrySchema)) body: RetryRequest, @CurrentUser() user: Principal) {
    return { retrying: await this.sinks.retry(name, body.positions?.map(BigInt), user.user) }
  }

  @Post(':name/test')
  @Permission('operator')
  @HttpCode(200)
  @ApiOperation({ summary: 'Send a made-up event; the cursor stays' })
  @ApiReply(200, sinkTestReply)
  test(@Param('name') name: string, @CurrentUser() user: Principal): Promise<TestReply> {
    return this.sinks.test(name, user.user)
  }
}
