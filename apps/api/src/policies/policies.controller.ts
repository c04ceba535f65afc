import { Body, Controller, HttpCode, Post } from '@nestjs/common'
import { ApiBearerAuth, ApiOperation, ApiTags } from '@nestjs/swagger'
import type { SimulatedCommand, SimulatedDecision } from '@sallyport/kit'
import { z } from 'zod'
import { CurrentUser, Permission } from '../access/permission.js'
import type { Principal } from '../access/principal.js'
import { ApiBodyOf } from '../openapi/schema.js'
import { forbidden } from '../problem/problem.js'
import { ZodPipe } from '../problem/zod.pipe.js'
import { PoliciesService } from './policies.service.js'
import { ApiReply } from '../openapi/reply.js'
import { explainReply } from './policies.replies.js'

const explainSchema = z.strictObject({
  /** Workload or user. */
  as: z.string().min(1).max(253),
  target: z.string().min(1).max(253),
  text: z.string().max(64 * 1024),
})

interface ExplainReply {
  readonly decision: SimulatedDecision
  readonly effects: readonly unknown[]
  readonly commands: readonly SimulatedCommand[]
  readonly masks: readonly unknown[]
  readonly terms?: unknown
}

@ApiTags('policies')
@ApiBearerAuth()
@Controller('v1/policy')
export class PoliciesController {
  constructor(private readonly policies: PoliciesService) {}

  @Post('explain')
  @HttpCode(200)
  @Permission('signed-in')
  @ApiOperation({ summary: 'What would be decided for a command, by which rule and why; nothing runs' })
  @ApiBodyOf(explainSchema)
  @ApiReply(200, explainReply)
  async explain(@Body(new ZodPipe(explainSchema)) body: z.infer<typeof explainSchema>, @CurrentUser() user: Principal): Promise<ExplainReply> {
    // Rules tell what others may do: a member asks about themselves only.
    const oversees = user.roles.some((role) => role === 'admin' || role === 'auditor' || role === 'operator')
    if (!oversees && body.as !== user.user) throw forbidden('FORBIDDEN', 'You may ask about yourself only.', 'An admin, auditor or operator can ask about others.')
    const { verdict, rule, reason, hint, commands, resolved } = await this.policies.explain(body.as, body.target, body.text)
    return {
      decision: { verdict, rule, reason, hint },
      effects: commands.flatMap((command) => command.effects),
      commands,
      masks: resolved?.masks ?? [],
      ...(resolved ? { terms: resolved.terms } : {}),
    }
  }
}
