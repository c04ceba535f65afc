import { Body, Controller, Get, HttpCode, Param, ParseUUIDPipe, Post, Query } from '@nestjs/common'
import { ApiBearerAuth, ApiOperation, ApiTags } from '@nestjs/swagger'
import type { z } from 'zod'
import { CurrentUser, Permission } from '../access/permission.js'
import type { Principal } from '../access/principal.js'
import type { DocumentVersion } from '../generated/prisma/client.js'
import { ApiReply, pageOf } from '../openapi/reply.js'
import { ApiBodyOf, ApiQueryOf } from '../openapi/schema.js'
import { notFound } from '../problem/problem.js'
import { ZodPipe } from '../problem/zod.pipe.js'
import { ApplyService } from './apply.service.js'
import { historyQuerySchema, rollbackSchema, type ApplyReply } from './documents.dto.js'
import { applyReply, pastChangeReply, pastDocumentReply } from './documents.replies.js'
import { DocumentsRepository } from './documents.repository.js'

@ApiTags('documents')
@ApiBearerAuth()
@Controller('v1/documents')
export class HistoryController {
  constructor(
    private readonly repository: DocumentsRepository,
    private readonly applier: ApplyService,
  ) {}

  @Get('history')
  @Permission('documents')
  @ApiOperation({ summary: 'Who changed which document when and why, newest first' })
  @ApiQueryOf(historyQuerySchema)
  @ApiReply(200, pageOf(pastChangeReply))
  async history(@Query(new ZodPipe(historyQuerySchema)) { kind, name, limit, cursor }: z.infer<typeof historyQuerySchema>) {
    const rows = await this.repository.history({ kind, name }, limit + 1, cursor)
    const items = rows.slice(0, limit)
    const last = items.at(-1)
    return { items: items.map(changeView), ...(rows.length > items.length && last ? { next: last.id } : {}) }
  }

  @Get('history/:id')
  @Permission('documents')
  @ApiOperation({ summary: 'A document as it was then' })
  @ApiReply(200, pastDocumentReply)
  async change(@Param('id', ParseUUIDPipe) id: string) {
    const row = await this.repository.change(id)
    if (!row) throw notFound('such change')
    return { ...changeView(row), text: row.text }
  }

  @Post('rollback')
  @Permission('policy-author')
  @HttpCode(200)
  @ApiOperation({ summary: 'Bring the whole set of documents back to what it was right after a change: checked, tested and permitted like an apply, all or nothing' })
  @ApiBodyOf(rollbackSchema)
  @ApiReply(200, applyReply)
  async rollback(@Body(new ZodPipe(rollbackSchema)) { to, reason, dry_run: dryRun }: z.infer<typeof rollbackSchema>, @CurrentUser() user: Principal): Promise<ApplyReply> {
    const row = await this.repository.change(to)
    if (!row) throw notFound('such change')
    const then = await this.repository.asOf(row.createdAt)
    const documents = then.map(({ kind, name, text }) => ({ path: `(of ${row.createdAt.toISOString()}) ${kind}/${name}`, text }))
    return this.applier.apply({ documents, prune: true, reason, ...(dryRun === undefined ? {} : { dry_run: dryRun }) }, user.user, user.roles)
  }
}

function changeView({ id, kind, name, version, author, reason, createdAt }: Omit<DocumentVersion, 'text'>): z.input<typeof pastChangeReply> {
  return { id, kind, name, version, author, reason, created_at: createdAt.toISOString() }
}
