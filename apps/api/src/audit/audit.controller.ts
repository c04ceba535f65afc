import { Readable } from 'node:stream'
import { Controller, Get, Header, Query, StreamableFile } from '@nestjs/common'
import { ApiBearerAuth, ApiOperation, ApiTags } from '@nestjs/swagger'
import { z } from 'zod'
import { CurrentUser, Permission } from '../access/permission.js'
import type { Principal } from '../access/principal.js'
import { KeysService } from '../keys/keys.service.js'
import { ApiQueryOf } from '../openapi/schema.js'
import { ZodPipe } from '../problem/zod.pipe.js'
import { BundlesService } from './bundles.service.js'
import { EventsService } from './events.service.js'
import { searchQuerySchema, type EventPage, type SearchQuery } from './search.dto.js'
import { SearchService } from './search.service.js'
import { VerifyService, type Verification } from './verify.service.js'
import { ApiReply, pageOf } from '../openapi/reply.js'
import { checkpointReply, consistencyReply, eventReply, keysReply, verificationReply } from './audit.replies.js'

/** As events have it: UTC with microseconds. */
const instant = z.iso.datetime({ offset: true }).transform((text) => new Date(text).toISOString().replace('Z', '000Z'))
const rangeSchema = z.strictObject({ from: instant, to: instant })
const sizeSchema = z.strictObject({ size: z.string().regex(/^[1-9]\d{0,17}$/, 'must be a number of records').transform(BigInt) })

@ApiTags('audit')
@ApiBearerAuth()
@Controller('v1')
export class AuditController {
  constructor(
    private readonly events: SearchService,
    private readonly verifier: VerifyService,
    private readonly record: EventsService,
    private readonly bundles: BundlesService,
    private readonly signing: KeysService,
  ) {}

  @Get('events')
  @Permission('auditor')
  @ApiOperation({ summary: 'Search the audit chain, newest first' })
  @ApiQueryOf(searchQuerySchema)
  @ApiReply(200, pageOf(eventReply))
  async search(@Query(new ZodPipe(searchQuerySchema)) query: SearchQuery, @CurrentUser() user: Principal): Promise<EventPage> {
    const shows = query.kind === undefined ? query.recordings === 'true' : query.kind === 'recording'
    if (shows) await this.record.append({ kind: 'session.viewed', ...(query.session === undefined ? {} : { session: query.session }), by: user.user, how: 'search' })
    return this.events.search(query)
  }

  @Get('audit/keys')
  @Permission('signed-in')
  @ApiOperation({ summary: 'The public keys (JWK) with which the control plane signs statements: hand them out with bundles, by another way' })
  @ApiReply(200, keysReply)
  async keys(): Promise<{ keys: readonly object[] }> {
    return { keys: await this.signing.publicKeys() }
  }

  @Get('audit/verify')
  @Permission('auditor')
  @ApiOperation({ summary: 'Verify the whole audit chain; names the first bad record' })
  @ApiReply(200, verificationReply)
  verify(): Promise<Verification> {
    return this.verifier.verify()
  }

  @Get('audit/bundle')
  @Permission('auditor')
  @Header('cache-control', 'no-store')
  @ApiQueryOf(rangeSchema)
  @ApiOperation({
    summary: 'Everything received in a range of time, as a file that proves itself',
    description: 'JSON lines (docs/audit.md), with one record on either side of the range. `sallyport audit verify --offline` checks it with the keys of `GET /v1/audit/keys` alone.',
  })
  @ApiReply(200, z.string(), { type: 'application/jsonl' })
  async bundle(@Query(new ZodPipe(rangeSchema)) { from, to }: z.infer<typeof rangeSchema>, @CurrentUser() user: Principal) {
    const lines = await this.bundles.ofRange(from, to)
    await this.record.append({ kind: 'session.viewed', by: user.user, how: 'export' })
    return new StreamableFile(Readable.from(lines), { type: 'application/jsonl', disposition: 'attachment; filename="audit.bundle.jsonl"' })
  }

  @Get('audit/checkpoint')
  @Permission('auditor')
  @ApiOperation({ summary: 'The newest signed state of the log (signed note, c2sp.org/tlog-checkpoint)' })
  @ApiReply(200, checkpointReply)
  async checkpoint(): Promise<{ note: string }> {
    return { note: (await this.bundles.latest()).note }
  }

  @Get('audit/consistency')
  @Permission('auditor')
  @ApiQueryOf(sizeSchema)
  @ApiOperation({ summary: 'Proof (RFC 9162, 2.1.4) that the log of an earlier size is the beginning of the log at the newest checkpoint' })
  @ApiReply(200, consistencyReply)
  async consistency(@Query(new ZodPipe(sizeSchema)) { size }: z.infer<typeof sizeSchema>): Promise<{ note: string; proof: readonly string[] }> {
    const { checkpoint, proof } = await this.bundles.consistency(size)
    return { note: checkpoint.note, proof: proof.map((part) => part.toString('base64url')) }
  }
}
