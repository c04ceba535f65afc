import { Readable } from 'node:stream'
import { Body, Controller, Delete, Get, Header, HttpCode, Param, Put, Query, StreamableFile } from '@nestjs/common'
import { ApiBearerAuth, ApiOperation, ApiTags } from '@nestjs/swagger'
import { z } from 'zod'
import { CurrentUser, Permission } from '../access/permission.js'
import type { Principal } from '../access/principal.js'
import { pageFrom, pageQuery } from '../openapi/paging.js'
import { ApiBodyOf, ApiQueryOf } from '../openapi/schema.js'
import { conflict, notFound } from '../problem/problem.js'
import { ZodPipe } from '../problem/zod.pipe.js'
import { EventsService } from './events.service.js'
import { ExportService } from './export.service.js'
import { SavedSearchesRepository } from './saved-searches.repository.js'
import { searchQuerySchema } from './search.dto.js'
import { ApiReply, pageOf } from '../openapi/reply.js'
import { savedSearchReply } from './audit.replies.js'

/** What a saved search keeps: conditions, and neither a page of the result nor its size. */
const conditions = searchQuerySchema.omit({ cursor: true, limit: true })
const exportSchema = conditions.extend({ format: z.enum(['jsonl', 'csv']).default('jsonl') })
const bodySchema = z.strictObject({ shared: z.boolean().default(false), query: conditions })
const nameSchema = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}$/, 'must be up to 100 letters, digits, spaces, dots, dashes and underscores')
const maxSaved = 200

@ApiTags('audit')
@ApiBearerAuth()
@Controller('v1')
export class SearchesController {
  constructor(
    private readonly exports: ExportService,
    private readonly saved: SavedSearchesRepository,
    private readonly record: EventsService,
  ) {}

  @Get('events/export')
  @Permission('auditor')
  @Header('cache-control', 'no-store')
  @ApiQueryOf(exportSchema)
  @ApiOperation({ summary: 'Everything that a search finds, as JSON lines or CSV', description: 'JSON lines end with a line {"end":true,"events":N}: without it the file is not whole.' })
  @ApiReply(200, z.string(), { type: 'application/jsonl' })
  async export(@Query(new ZodPipe(exportSchema)) query: z.infer<typeof exportSchema>, @CurrentUser() user: Principal) {
    const { format, ...asked } = query
    const lines = await this.exports.lines(asked, format)
    await this.record.append({ kind: 'audit.exported', by: user.user, format, query: asked })
    const type = format === 'csv' ? 'text/csv; charset=utf-8' : 'application/jsonl'
    return new StreamableFile(Readable.from(lines), { type, disposition: `attachment; filename="events.${format}"` })
  }

  @Get('audit/searches')
  @Permission('auditor')
  @ApiOperation({ summary: 'Your saved searches, and those that others share' })
  @ApiReply(200, pageOf(savedSearchReply))
  @ApiQueryOf(pageQuery)
  async list(@Query(new ZodPipe(pageQuery)) query: z.infer<typeof pageQuery>, @CurrentUser() user: Principal) {
    const rows = await this.saved.visible(user.user)
    const items = rows.map(({ owner, name, shared, query: kept, updatedAt }) => ({ owner, mine: owner === user.user, name, shared, query: kept, updated_at: updatedAt.toISOString() }))
    return pageFrom(items, ({ name, owner }) => `${name}~${owner}`, query)
  }

  @Put('audit/searches/:name')
  @Permission('auditor')
  @HttpCode(204)
  @ApiBodyOf(bodySchema)
  @ApiOperation({ summary: 'Save a search under a name; one of yours with the same name is replaced' })
  @ApiReply(204)
  async save(@Param('name', new ZodPipe(nameSchema)) name: string, @Body(new ZodPipe(bodySchema)) { shared, query }: z.infer<typeof bodySchema>, @CurrentUser() user: Principal): Promise<void> {
    if ((await this.saved.count(user.user)) >= maxSaved) throw conflict('TOO_MANY_SEARCHES', `You have ${maxSaved} saved searches.`, 'Delete one first.')
    await this.record.append({ kind: 'search.saved', by: user.user, name, shared })
    await this.saved.save(user.user, name, shared, query)
  }

  @Delete('audit/searches/:name')
  @Permission('auditor')
  @HttpCode(204)
  @ApiOperation({ summary: 'Delete one of your saved searches' })
  @ApiReply(204)
  async remove(@Param('name', new ZodPipe(nameSchema)) name: string, @CurrentUser() user: Principal): Promise<void> {
    const removed = await this.saved.remove(user.user, name)
    if (removed === undefined) throw notFound(`saved search of yours named ${name}`)
    await this.record.append({ kind: 'search.deleted', by: user.user, name, shared: removed.shared })
  }
}
