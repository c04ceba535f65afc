import { Body, Controller, Get, HttpCode, Param, Post, Query, Sse, type MessageEvent } from '@nestjs/common'
import { ApiBearerAuth, ApiOperation, ApiTags } from '@nestjs/swagger'
import type { Observable } from 'rxjs'
import { z } from 'zod'
import { CurrentUser, Permission } from '../access/permission.js'
import type { Principal } from '../access/principal.js'
import { ApiBodyOf, ApiQueryOf } from '../openapi/schema.js'
import { ZodPipe } from '../problem/zod.pipe.js'
import {
  approveSchema,
  listQuerySchema,
  rejectSchema,
  type ApprovalItem,
  type ApproveBody,
  type ListQuery,
  type RejectBody,
} from './approvals.dto.js'
import { DecisionsService } from './decisions.service.js'
import { ReviewService } from './review.service.js'
import { ApiReply, pageOf } from '../openapi/reply.js'
import { approvalChangeReply, approvalReply } from './approvals.replies.js'

const idPipe = new ZodPipe(z.uuid())

@ApiTags('approvals')
@ApiBearerAuth()
@Controller('v1/approvals')
export class ApprovalsController {
  constructor(
    private readonly review: ReviewService,
    private readonly decisions: DecisionsService,
  ) {}

  @Get()
  @Permission('signed-in')
  @ApiOperation({ summary: 'Approvals that you may see, newest first' })
  @ApiQueryOf(listQuerySchema)
  @ApiReply(200, pageOf(approvalReply))
  list(@Query(new ZodPipe(listQuerySchema)) query: ListQuery, @CurrentUser() user: Principal): Promise<{ items: ApprovalItem[]; next?: string }> {
    return this.review.list(query, user)
  }

  @Sse('stream')
  @Permission('signed-in')
  @ApiOperation({ summary: 'Server-sent events: `approval` with {id, state, session_id} for each change that you may see, `comment` for each comment' })
  @ApiReply(200, approvalChangeReply, { type: 'text/event-stream' })
  stream(@CurrentUser() user: Principal): Observable<MessageEvent> {
    return this.review.stream(user)
  }

  @Get(':id')
  @Permission('signed-in')
  @ApiOperation({ summary: 'One approval with everything a reviewer must weigh' })
  @ApiReply(200, approvalReply)
  get(@Param('id', idPipe) id: string, @CurrentUser() user: Principal): Promise<ApprovalItem> {
    return this.review.get(id, user)
  }

  @Post(':id/approve')
  @HttpCode(200)
  @Permission('signed-in')
  @ApiOperation({ summary: 'Approve a held command; membership in a group asked is checked now' })
  @ApiBodyOf(approveSchema)
  @ApiReply(200, approvalReply)
  async approve(@Param('id', idPipe) id: string, @Body(new ZodPipe(approveSchema)) body: ApproveBody, @CurrentUser() user: Principal): Promise<ApprovalItem> {
    await this.decisions.vote(id, user.user, { verdict: 'approve', ...body })
    return this.review.get(id, user)
  }

  @Post(':id/reject')
  @HttpCode(200)
  @Permission('signed-in')
  @ApiOperation({ summary: 'Reject a held command; one reviewer is enough' })
  @ApiBodyOf(rejectSchema)
  @ApiReply(200, approvalReply)
  async reject(@Param('id', idPipe) id: string, @Body(new ZodPipe(rejectSchema)) body: RejectBody, @CurrentUser() user: Principal): Promise<ApprovalItem> {
    await this.decisions.vote(id, user.user, { verdict: 'reject', ...body })
    return this.review.get(id, user)
  }
}
