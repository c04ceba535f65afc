import { Controller, Delete, Get, HttpCode, Param, Query } from '@nestjs/common'
import { ApiBearerAuth, ApiOperation, ApiTags } from '@nestjs/swagger'
import { z } from 'zod'
import { CurrentUser, Permission } from '../access/permission.js'
import type { Principal } from '../access/principal.js'
import { ApiReply, pageOf } from '../openapi/reply.js'
import { ApiQueryOf } from '../openapi/schema.js'
import { ZodPipe } from '../problem/zod.pipe.js'
import { rememberedReply } from './approvals.replies.js'
import { RememberedService } from './remembered.service.js'

const querySchema = z.strictObject({
  state: z.enum(['active', 'all']).default('active'),
  limit: z.coerce.number().int().min(1).max(200).optional(),
  cursor: z.uuid().optional(),
})

@ApiTags('approvals')
@ApiBearerAuth()
@Controller('v1/approvals/remembered')
export class RememberedController {
  constructor(private readonly remembered: RememberedService) {}

  @Get()
  @Permission('signed-in')
  @ApiOperation({ summary: 'Approvals that stand for what comes next, and that you may see, newest first' })
  @ApiQueryOf(querySchema)
  @ApiReply(200, pageOf(rememberedReply))
  list(@Query(new ZodPipe(querySchema)) { state, cursor, limit }: z.infer<typeof querySchema>, @CurrentUser() user: Principal) {
    return this.remembered.list({ active: state === 'active', cursor, limit }, user)
  }

  @Delete(':id')
  @HttpCode(204)
  @Permission('signed-in')
  @ApiOperation({ summary: 'End one, by the id of its approval: nothing further is covered by it' })
  @ApiReply(204)
  revoke(@Param('id', new ZodPipe(z.uuid())) id: string, @CurrentUser() user: Principal): Promise<void> {
    return this.remembered.revoke(id, user)
  }
}
