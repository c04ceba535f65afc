import { Body, Controller, Get, Param, Post, Query } from '@nestjs/common'
import { ApiBearerAuth, ApiOperation, ApiTags } from '@nestjs/swagger'
import { z } from 'zod'
import { CurrentUser, Permission } from '../access/permission.js'
import type { Principal } from '../access/principal.js'
import { Idempotent } from '../idempotency/idempotent.js'
import { pageFrom, pageQuery } from '../openapi/paging.js'
import { ApiReply, pageOf } from '../openapi/reply.js'
import { ApiBodyOf, ApiQueryOf } from '../openapi/schema.js'
import { ZodPipe } from '../problem/zod.pipe.js'
import { commentReply } from './approvals.replies.js'
import { CommentsService } from './comments.service.js'

const idPipe = new ZodPipe(z.uuid())
const commentSchema = z.strictObject({ text: z.string().trim().min(1).max(2000) })

@ApiTags('approvals')
@ApiBearerAuth()
@Controller('v1/approvals/:id/comments')
export class CommentsController {
  constructor(private readonly comments: CommentsService) {}

  @Get()
  @Permission('signed-in')
  @ApiOperation({ summary: 'What people said about an approval, oldest first' })
  @ApiQueryOf(pageQuery)
  @ApiReply(200, pageOf(commentReply))
  async list(@Param('id', idPipe) id: string, @Query(new ZodPipe(pageQuery)) query: z.infer<typeof pageQuery>, @CurrentUser() user: Principal) {
    // Ids are sortable by time.
    return pageFrom(await this.comments.list(id, user), ({ id: of }) => of, query)
  }

  @Post()
  @Permission('signed-in')
  @Idempotent()
  @ApiOperation({ summary: 'Say something about an approval that you may see' })
  @ApiBodyOf(commentSchema)
  @ApiReply(201, commentReply)
  add(@Param('id', idPipe) id: string, @Body(new ZodPipe(commentSchema)) { text }: z.infer<typeof commentSchema>, @CurrentUser() user: Principal) {
    return this.comments.add(id, text, user)
  }
}
