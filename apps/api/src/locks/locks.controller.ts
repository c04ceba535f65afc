import { Body, Controller, Get, HttpCode, Param, ParseUUIDPipe, Post, Query } from '@nestjs/common'
import { ApiBearerAuth, ApiOperation, ApiTags } from '@nestjs/swagger'
import { z } from 'zod'
import { CurrentUser, Permission } from '../access/permission.js'
import type { Principal } from '../access/principal.js'
import { Idempotent } from '../idempotency/idempotent.js'
import { ApiReply, instantField, pageOf } from '../openapi/reply.js'
import { ApiBodyOf, ApiQueryOf } from '../openapi/schema.js'
import { ZodPipe } from '../problem/zod.pipe.js'
import { lockKinds, LocksRepository, type LockRow } from './locks.repository.js'
import { kindOf, LocksService } from './locks.service.js'

const reason = z.string().trim().min(3).max(500)
const lockSchema = z.strictObject({
  kind: z.enum(lockKinds),
  name: z.string().min(1).max(253),
  reason: reason.meta({ description: 'For those who see locks; whoever is locked out isn’t told.' }),
  ttl_seconds: z.number().int().min(10).max(366 * 86_400).optional().meta({ description: 'Without it, until it is released.' }),
})
const releaseSchema = z.strictObject({ reason })
const listSchema = z.strictObject({
  kind: z.enum(lockKinds).optional(),
  name: z.string().max(253).optional(),
  state: z.enum(['standing', 'all']).default('standing'),
  limit: z.coerce.number().int().min(1).max(500).default(100),
  cursor: z.uuid().optional(),
})

const lockReply = z
  .object({
    id: z.string(),
    kind: z.enum(lockKinds),
    name: z.string(),
    reason: z.string(),
    state: z.enum(['standing', 'released', 'expired']),
    by: z.string(),
    created_at: instantField,
    expires_at: instantField.nullable(),
    released_by: z.string().nullable(),
    released_at: instantField.nullable(),
  })
  .meta({ id: 'Lock' })

@ApiTags('locks')
@ApiBearerAuth()
@Controller('v1/locks')
export class LocksController {
  constructor(
    private readonly locks: LocksService,
    private readonly repository: LocksRepository,
  ) {}

  @Get()
  @Permission('documents')
  @ApiOperation({ summary: 'Identities, targets and agents that are locked, newest first' })
  @ApiQueryOf(listSchema)
  @ApiReply(200, pageOf(lockReply))
  async list(@Query(new ZodPipe(listSchema)) { kind, name, state, limit, cursor }: z.infer<typeof listSchema>) {
    const now = new Date()
    const rows = await this.repository.list({ kind, name, standing: state === 'standing' }, limit + 1, cursor, now)
    const items = rows.slice(0, limit)
    const last = items.at(-1)
    return { items: items.map((row) => lockView(row, now)), ...(rows.length > items.length && last ? { next: last.id } : {}) }
  }

  @Post()
  @Idempotent()
  @Permission('operator')
  @ApiOperation({ summary: 'Lock an identity, a target or an agent: its live sessions end within two seconds, and it gets no new ones. A locked user can’t use the API and the console either.' })
  @ApiBodyOf(lockSchema)
  @ApiReply(201, lockReply)
  async lock(@Body(new ZodPipe(lockSchema)) { ttl_seconds: ttlSeconds, ...request }: z.infer<typeof lockSchema>, @CurrentUser() user: Principal) {
    return lockView(await this.locks.lock({ ...request, ttlSeconds }, user), new Date())
  }

  @Post(':id/release')
  @Permission('operator')
  @HttpCode(204)
  @ApiOperation({ summary: 'Release a lock' })
  @ApiBodyOf(releaseSchema)
  @ApiReply(204)
  async release(@Param('id', ParseUUIDPipe) id: string, @Body(new ZodPipe(releaseSchema)) body: z.infer<typeof releaseSchema>, @CurrentUser() user: Principal): Promise<void> {
    await this.locks.release(id, body.reason, user)
  }
}

function lockView(row: LockRow, now: Date): z.input<typeof lockReply> {
  return {
    id: row.id,
    kind: kindOf(row),
    name: row.name,
    reason: row.reason,
    state: row.releasedAt ? 'released' : row.expiresAt && row.expiresAt <= now ? 'expired' : 'standing',
    by: row.createdBy,
    created_at: row.createdAt.toISOString(),
    expires_at: row.expiresAt?.toISOString() ?? null,
    released_by: row.releasedBy,
    released_at: row.releasedAt?.toISOString() ?? null,
  }
}
