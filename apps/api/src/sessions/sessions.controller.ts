import { Readable } from 'node:stream'
import { Body, Controller, Get, Header, HttpCode, Param, ParseUUIDPipe, Post, Query, StreamableFile } from '@nestjs/common'
import { ApiBearerAuth, ApiOperation, ApiTags } from '@nestjs/swagger'
import { z } from 'zod'
import { CurrentUser, Permission } from '../access/permission.js'
import type { Principal } from '../access/principal.js'
import { BundlesService } from '../audit/bundles.service.js'
import { SearchService } from '../audit/search.service.js'
import { ApiBodyOf, ApiQueryOf } from '../openapi/schema.js'
import { conflict, notFound } from '../problem/problem.js'
import { ZodPipe } from '../problem/zod.pipe.js'
import { RecordingsService } from './recording/recordings.service.js'
import { ViewsService } from './recording/views.service.js'
import { WatchService } from './recording/watch.service.js'
import { SessionsRepository } from './sessions.repository.js'
import { SessionsService, type SessionRow } from './sessions.service.js'
import { ApiReply, pageOf } from '../openapi/reply.js'
import { eventReply } from '../audit/audit.replies.js'
import { sessionReply, watchedReply } from './sessions.replies.js'

const listSchema = z.strictObject({
  identity: z.string().max(253).optional(),
  target: z.string().max(253).optional(),
  state: z.enum(['live', 'ended']).optional(),
  since: z.iso.datetime({ offset: true }).transform((text) => new Date(text)).optional(),
  limit: z.coerce.number().int().min(1).max(500).default(100),
  cursor: z.uuid().optional(),
})
const eventsSchema = z.strictObject({
  limit: z.coerce.number().int().min(1).max(1000).optional(),
  cursor: z.string().max(200).optional(),
  recordings: z.enum(['true', 'false']).optional(),
})
const recordingSchema = z.strictObject({
  command: z.coerce.number().int().min(1).max(0x7fffffff).optional(),
  raw: z.enum(['true', 'false']).optional(),
})
const watchSchema = z.strictObject({ cursor: z.string().regex(/^\d{1,18}$/).optional() })
const killSchema = z.strictObject({ reason: z.string().min(1).max(300) })

@ApiTags('sessions')
@ApiBearerAuth()
@Controller('v1/sessions')
export class SessionsController {
  constructor(
    private readonly sessions: SessionsService,
    private readonly repository: SessionsRepository,
    private readonly search: SearchService,
    private readonly recordings: RecordingsService,
    private readonly watches: WatchService,
    private readonly views: ViewsService,
    private readonly bundles: BundlesService,
  ) {}

  @Get()
  @Permission('signed-in')
  @ApiQueryOf(listSchema)
  @ApiOperation({ summary: 'Sessions, newest first: your own; all of them for operators, auditors and admins' })
  @ApiReply(200, pageOf(sessionReply))
  async list(@Query(new ZodPipe(listSchema)) query: z.infer<typeof listSchema>, @CurrentUser() user: Principal) {
    const owner = seesAll(user) ? { identity: query.identity } : { identity: user.user, identityKind: 'user' }
    const now = new Date()
    const rows = await this.repository.list({ ...owner, target: query.target, state: query.state, since: query.since }, query.limit + 1, query.cursor, now)
    const items = rows.slice(0, query.limit)
    const last = items.at(-1)
    return { items: items.map((row) => sessionView(row, now)), ...(rows.length > items.length && last ? { next: last.id } : {}) }
  }

  @Get(':id')
  @Permission('signed-in')
  @ApiReply(200, sessionReply)
  async find(@Param('id', ParseUUIDPipe) id: string, @CurrentUser() user: Principal) {
    return sessionView(await this.#visible(id, user), new Date())
  }

  @Get(':id/events')
  @Permission('signed-in')
  @ApiQueryOf(eventsSchema)
  @ApiOperation({ summary: "The session's events in order: what `sessions replay` prints" })
  @ApiReply(200, pageOf(eventReply))
  async events(@Param('id', ParseUUIDPipe) id: string, @Query(new ZodPipe(eventsSchema)) page: z.infer<typeof eventsSchema>, @CurrentUser() user: Principal) {
    await this.#visible(id, user)
    if (page.recordings === 'true') await this.views.record({ session: id, by: user.user, how: 'replay' })
    return this.search.ofSession(id, page)
  }

  @Get(':id/recording')
  @Permission('signed-in')
  @Header('cache-control', 'no-store')
  @ApiQueryOf(recordingSchema)
  @ApiOperation({
    summary: 'The recording as asciicast v3, of one command or all',
    description: 'What could act on the viewer (clipboard, links, titles, questions to the terminal) is left out; with `raw=true` it stands as it was recorded: play that in nothing but a sandbox.',
  })
  @ApiReply(200, z.string(), { type: 'application/x-asciicast' })
  async recording(@Param('id', ParseUUIDPipe) id: string, @Query(new ZodPipe(recordingSchema)) query: z.infer<typeof recordingSchema>, @CurrentUser() user: Principal) {
    const { command } = query
    const raw = query.raw === 'true'
    const cast = await this.recordings.cast(await this.#visible(id, user), { command, raw })
    await this.views.record({ session: id, by: user.user, how: 'export', ...(command === undefined ? {} : { command_viewed: command }), ...(raw ? { raw } : {}) })
    return new StreamableFile(Readable.from(cast), { type: 'application/x-asciicast', disposition: `attachment; filename="${id}.cast"` })
  }

  @Get(':id/bundle')
  @Permission('auditor')
  @Header('cache-control', 'no-store')
  @ApiOperation({
    summary: "The session's records as a file that proves itself",
    description: "JSON lines (docs/audit.md): the agent's records byte for byte, with its signature over their end, and a statement of the control plane. `sallyport audit verify --offline` checks it with the keys of `GET /v1/audit/keys` alone.",
  })
  @ApiReply(200, z.string(), { type: 'application/jsonl' })
  async bundle(@Param('id', ParseUUIDPipe) id: string, @CurrentUser() user: Principal) {
    const session = await this.#visible(id, user)
    const lines = await this.bundles.ofSession(id, session.agentId)
    await this.views.record({ session: id, by: user.user, how: 'export' })
    return new StreamableFile(Readable.from(lines), { type: 'application/jsonl', disposition: `attachment; filename="${id}.bundle.jsonl"` })
  }

  @Get(':id/watch')
  @Permission('signed-in')
  @Header('cache-control', 'no-store')
  @Header('x-accel-buffering', 'no')
  @ApiQueryOf(watchSchema)
  @ApiOperation({
    summary: 'Server-sent events: what the session shows, while it runs',
    description: "The session's events from its beginning (or after `cursor`, a position), recordings included, and then each as it comes; at last `end` with the reason. A watch ends after five minutes without an `end`: go on with the last `id` as cursor. Who may replay may watch; each watch is recorded.",
  })
  @ApiReply(200, watchedReply, { type: 'text/event-stream' })
  async watch(@Param('id', ParseUUIDPipe) id: string, @Query(new ZodPipe(watchSchema)) query: z.infer<typeof watchSchema>, @CurrentUser() user: Principal) {
    const events = this.watches.watch(await this.#visible(id, user), user.user, BigInt(query.cursor ?? '0'))
    await this.views.record({ session: id, by: user.user, how: 'watch' })
    return new StreamableFile(Readable.from(events), { type: 'text/event-stream' })
  }

  @Post(':id/kill')
  @Permission('operator')
  @HttpCode(204)
  @ApiBodyOf(killSchema)
  @ApiOperation({ summary: 'End a live session now' })
  @ApiReply(204)
  async kill(@Param('id', ParseUUIDPipe) id: string, @Body(new ZodPipe(killSchema)) body: z.infer<typeof killSchema>, @CurrentUser() user: Principal): Promise<void> {
    const session = await this.#visible(id, user)
    if (session.endedAt) throw conflict('SESSION_ENDED', 'The session has ended already.')
    await this.sessions.kill(id, body.reason, user.user)
  }

  /** A session that one may not see looks like one that isn't there. */
  async #visible(id: string, user: Principal): Promise<SessionRow> {
    const session = await this.sessions.get(id)
    if (!session || !(seesAll(user) || (session.identityKind === 'user' && session.identity === user.user))) throw notFound('such session')
    return session
  }
}

const seesAll = (user: Principal): boolean => user.roles.some((role) => role === 'admin' || role === 'auditor' || role === 'operator')

function sessionView(row: SessionRow, now: Date) {
  const isLive = !row.endedAt && !row.killedAt && row.expiresAt > now
  return {
    id: row.id,
    state: isLive ? 'live' : row.endedAt ? 'ended' : row.killedAt ? 'killed' : 'expired',
    identity: { kind: row.identityKind, name: row.identity, groups: row.groups },
    claims: row.claims,
    actor: row.actor,
    credential_id: row.credentialId,
    target: row.target,
    protocol: row.protocol,
    agent_id: row.agentId,
    gateway_id: row.gatewayId,
    client_address: row.clientAddress,
    parameters: row.parameters,
    grant_version: row.grantVersion,
    policy_hash: row.policyHash,
    created_at: row.createdAt,
    expires_at: row.expiresAt,
    lease_until: row.leaseUntil,
    ended_at: row.endedAt,
    killed_at: row.killedAt,
    end_reason: row.endReason,
    commands: row.commands,
  }
}
