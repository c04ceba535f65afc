import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common'
import { ApiBearerAuth, ApiOperation, ApiTags } from '@nestjs/swagger'
import { CurrentUser, Permission } from '../access/permission.js'
import type { Principal } from '../access/principal.js'
import { pageFrom } from '../openapi/paging.js'
import { ApiBodyOf, ApiQueryOf } from '../openapi/schema.js'
import { notFound } from '../problem/problem.js'
import { ZodPipe } from '../problem/zod.pipe.js'
import { ApplyService } from './apply.service.js'
import { applySchema, documentsQuerySchema, type ApplyReply, type ApplyRequest, type DocumentItem, type DocumentsQuery } from './documents.dto.js'
import { DocumentsService, type Snapshot } from './documents.service.js'
import { ApiReply } from '../openapi/reply.js'
import { applyReply, documentReply, documentsReply } from './documents.replies.js'

@ApiTags('documents')
@ApiBearerAuth()
@Controller('v1')
export class DocumentsController {
  constructor(
    private readonly applier: ApplyService,
    private readonly documents: DocumentsService,
  ) {}

  @Post('apply')
  @HttpCode(200)
  @Permission('policy-author')
  @ApiOperation({ summary: 'Check, test and apply documents: all or nothing' })
  @ApiBodyOf(applySchema)
  @ApiReply(200, applyReply)
  apply(@Body(new ZodPipe(applySchema)) body: ApplyRequest, @CurrentUser() user: Principal): Promise<ApplyReply> {
    return this.applier.apply(body, user.user, user.roles)
  }

  @Get('documents')
  @Permission('documents')
  @ApiOperation({ summary: 'Documents in force' })
  @ApiQueryOf(documentsQuerySchema)
  @ApiReply(200, documentsReply)
  async list(@Query(new ZodPipe(documentsQuerySchema)) query: DocumentsQuery): Promise<{ items: DocumentItem[]; next?: string; version: string }> {
    const { rows, version } = await this.documents.snapshot()
    const asked = rows.filter((row) => query.kind === undefined || row.kind === query.kind).map(item)
    return { ...pageFrom(asked, ({ kind, name }) => `${kind}/${name}`, query), version }
  }

  @Get('documents/:kind/:name')
  @Permission('documents')
  @ApiOperation({ summary: 'One document' })
  @ApiReply(200, documentReply)
  async get(@Param('kind') kind: string, @Param('name') name: string): Promise<DocumentItem> {
    const { rows } = await this.documents.snapshot()
    const row = rows.find((candidate) => candidate.kind === kind && candidate.name === name)
    if (!row) throw notFound('such document')
    return item(row)
  }
}

function item({ kind, name, version, text, labels, author, updatedAt }: Snapshot['rows'][number]): DocumentItem {
  return { kind, name, version, text, labels, author, updated_at: updatedAt.toISOString() }
}
