import { Body, Controller, Get, HttpCode, Param, ParseUUIDPipe, Post, Query } from '@nestjs/common'
import { ApiBearerAuth, ApiOperation, ApiTags } from '@nestjs/swagger'
import { v7 as uuid } from 'uuid'
import { z } from 'zod'
import { CurrentUser, Permission } from '../access/permission.js'
import type { Principal } from '../access/principal.js'
import { EventsService } from '../audit/events.service.js'
import { Idempotent } from '../idempotency/idempotent.js'
import { pageFrom, pageQuery } from '../openapi/paging.js'
import { ApiBodyOf, ApiQueryOf } from '../openapi/schema.js'
import { PseudonymsService } from '../privacy/pseudonyms.service.js'
import { notFound } from '../problem/problem.js'
import { ZodPipe } from '../problem/zod.pipe.js'
import { RetentionRepository } from './retention.repository.js'
import { RetentionService, type RetentionReport } from './retention.service.js'
import { ApiReply, pageOf } from '../openapi/reply.js'
import { legalHoldReply, newHoldReply, retentionReportReply } from './retention.replies.js'

const text = z.string().min(1).max(253)
const moment = z.iso.datetime({ offset: true }).transform((given) => new Date(given))
const holdSchema = z
  .strictObject({ reason: z.string().min(3).max(2000), session: z.uuid().optional(), identity: text.optional(), target: text.optional(), from: moment.optional(), to: moment.optional() })
  .refine(({ session, identity, target, from, to }) => [session, identity, target, from, to].some((value) => value !== undefined), {
    error: 'say what is held: session, identity, target, from or to',
  })
const holdsSchema = pageQuery.extend({ released: z.enum(['true', 'false']).optional() })
const releaseSchema = z.strictObject({ reason: z.string().min(3).max(2000) })

@ApiTags('audit')
@ApiBearerAuth()
@Controller('v1/audit')
export class RetentionController {
  constructor(
    private readonly retention: RetentionService,
    private readonly repository: RetentionRepository,
    private readonly events: EventsService,
    private readonly pseudonyms: PseudonymsService,
  ) {}

  @Get('retention')
  @Permission('auditor')
  @ApiOperation({ summary: 'What retention would delete now' })
  @ApiReply(200, pageOf(retentionReportReply))
  async preview(): Promise<{ items: RetentionReport[] }> {
    return { items: await this.retention.preview() }
  }

  @Post('retention/run')
  @Permission('admin')
  @HttpCode(200)
  @ApiOperation({ summary: 'Delete what Retention documents no longer keep, now; otherwise it happens every hour' })
  @ApiReply(200, pageOf(retentionReportReply))
  async run(): Promise<{ items: RetentionReport[] }> {
    return { items: await this.retention.run() }
  }

  @Get('holds')
  @Permission('auditor')
  @ApiOperation({ summary: 'Legal holds, also released ones, newest first' })
  @ApiReply(200, pageOf(legalHoldReply))
  @ApiQueryOf(holdsSchema)
  async holds(@Query(new ZodPipe(holdsSchema)) query: z.infer<typeof holdsSchema>) {
    const rows = (await this.repository.holds()).filter((row) => query.released === undefined || String(row.releasedAt !== null) === query.released)
    await this.pseudonyms.prefetch(rows.map(({ identity }) => identity ?? ''))
    return pageFrom(
      rows.map((row) => ({
        id: row.id,
        reason: row.reason,
        session: row.sessionId,
        identity: row.identity === null ? null : this.pseudonyms.open(row.identity),
        target: row.target,
        from: row.fromTime?.toISOString() ?? null,
        to: row.toTime?.toISOString() ?? null,
        created_by: row.createdBy,
        created_at: row.createdAt.toISOString(),
        released_by: row.releasedBy,
        released_at: row.releasedAt?.toISOString() ?? null,
      })),
      ({ created_at: createdAt, id }) => `${createdAt}~${id}`,
      query,
      'descending',
    )
  }

  @Post('holds')
  @Idempotent()
  @Permission('admin')
  @ApiBodyOf(holdSchema)
  @ApiOperation({ summary: 'Hold events: whatever fits all that is given is not deleted until the hold is released' })
  @ApiReply(201, newHoldReply)
  async hold(@Body(new ZodPipe(holdSchema)) { reason, session, identity, target, from, to }: z.infer<typeof holdSchema>, @CurrentUser() user: Principal): Promise<{ id: string }> {
    const id = uuid()
    // What stands in the log for a person.
    const names = await this.pseudonyms.known(identity === undefined ? [] : [identity])
    await this.repository.transaction(async (tx) => {
      await this.repository.addHold(tx, {
        id,
        reason,
        sessionId: session ?? null,
        identity: identity === undefined ? null : (names.get(identity) ?? identity),
        target: target ?? null,
        fromTime: from ?? null,
        toTime: to ?? null,
        createdBy: user.user,
        createdAt: new Date(),
      })
      const held = { ...(session === undefined ? {} : { held_session: session }), ...(identity === undefined ? {} : { held_identity: identity }), ...(target === undefined ? {} : { held_target: target }) }
      await this.events.appendWithin(tx, [{ kind: 'hold.created', hold: id, by: user.user, reason, ...held, ...(from === undefined ? {} : { from: from.toISOString() }), ...(to === undefined ? {} : { to: to.toISOString() }) }])
    })
    return { id }
  }

  @Post('holds/:id/release')
  @Permission('admin')
  @HttpCode(204)
  @ApiBodyOf(releaseSchema)
  @ApiOperation({ summary: 'Release a legal hold' })
  @ApiReply(204)
  async release(@Param('id', ParseUUIDPipe) id: string, @Body(new ZodPipe(releaseSchema)) { reason }: z.infer<typeof releaseSchema>, @CurrentUser() user: Principal): Promise<void> {
    await this.repository.transaction(async (tx) => {
      if (!(await this.repository.releaseHold(tx, id, user.user, new Date()))) throw notFound('legal hold with this id that is not released')
      await this.events.appendWithin(tx, [{ kind: 'hold.released', hold: id, by: user.user, reason }])
    })
  }
}
