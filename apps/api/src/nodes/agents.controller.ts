import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common'
import { ApiBearerAuth, ApiOperation, ApiTags } from '@nestjs/swagger'
import { z } from 'zod'
import { CurrentUser, Permission } from '../access/permission.js'
import type { Principal } from '../access/principal.js'
import { Idempotent } from '../idempotency/idempotent.js'
import { pageFrom, pageQuery } from '../openapi/paging.js'
import { ApiBodyOf, ApiQueryOf } from '../openapi/schema.js'
import { ZodPipe } from '../problem/zod.pipe.js'
import { EnrolmentService } from './enrolment.service.js'
import { NodesService } from './nodes.service.js'
import { ApiReply, pageOf } from '../openapi/reply.js'
import { enrolmentTokenReply, nodeReply } from './nodes.replies.js'

const name = z.string().regex(/^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$/, 'must be lower-case letters, digits, dots, dashes, at most 63')
const createTokenSchema = z.strictObject({
  name,
  kind: z.enum(['agent', 'gateway']),
  labels: z.record(z.string().max(63), z.string().max(1024)).default({}),
  ttl_seconds: z.number().int().min(10).max(30 * 86_400).default(3600),
})
const listSchema = pageQuery.extend({ kind: z.enum(['agent', 'gateway']).optional(), connected: z.enum(['true', 'false']).optional() })
type CreateToken = z.infer<typeof createTokenSchema>

@ApiTags('agents')
@ApiBearerAuth()
@Controller('v1/agents')
export class AgentsController {
  constructor(
    private readonly nodes: NodesService,
    private readonly enrolment: EnrolmentService,
  ) {}

  @Get()
  @Permission('signed-in')
  @ApiOperation({ summary: 'Agents and gateways, with what is connected now' })
  @ApiReply(200, pageOf(nodeReply))
  @ApiQueryOf(listSchema)
  async list(@Query(new ZodPipe(listSchema)) query: z.infer<typeof listSchema>) {
    const { kind, connected } = query
    const nodes = (await this.nodes.list()).filter((node) => (kind === undefined || node.kind === kind) && (connected === undefined || String(node.connected) === connected))
    return pageFrom(nodes, ({ name, id }) => `${name}~${id}`, query)
  }

  @Post('tokens')
  @Idempotent()
  @Permission('operator')
  @ApiBodyOf(createTokenSchema)
  @ApiOperation({ summary: "A one-time enrolment token. A gateway's label `hostnames` lists the names its certificate may bear." })
  @ApiReply(201, enrolmentTokenReply)
  async createToken(@Body(new ZodPipe(createTokenSchema)) body: CreateToken, @CurrentUser() user: Principal) {
    const { token, id, expiresAt } = await this.enrolment.createToken({ kind: body.kind, name: body.name, labels: body.labels, ttlSeconds: body.ttl_seconds }, user.user)
    return { token, token_id: id, expires_at: expiresAt }
  }

  @Post(':id/revoke')
  @Permission('operator')
  @HttpCode(204)
  @ApiOperation({ summary: 'Shut a gateway or an agent out; its sessions are killed' })
  @ApiReply(204)
  async revoke(@Param('id') id: string, @CurrentUser() user: Principal): Promise<void> {
    await this.nodes.revoke(id, user.user)
  }
}
