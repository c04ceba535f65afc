import { rememberScopes } from '@sallyport/policy'
import { z } from 'zod'

/** What a command does to one object, as replies have it (packages/policy). */
export const effectReply = z
  .object({
    action: z.string(),
    resource: z.string(),
    implied: z.literal(true).optional(),
    harmless: z.literal(true).optional(),
    details: z.record(z.string(), z.unknown()).optional(),
  })
  .meta({ id: 'Effect' })

export const verdictReply = z.enum(['allow', 'deny', 'hold'])

export const requirementReply = z
  .object({
    rule: z.string(),
    groups: z.array(z.string()),
    quorum: z.int(),
    separate: z.literal(true).optional().meta({ description: 'Nobody counts for this and another requirement of the hold.' }),
    remember: z.object({ scope: z.enum(rememberScopes), for_seconds: z.int() }).optional().meta({ description: 'An approval may stand for what comes next, for so long at most.' }),
    escalate: z.object({ after_seconds: z.int(), groups: z.array(z.string()) }).optional().meta({ description: 'After so long these groups are asked as well.' }),
  })
  .meta({ id: 'HoldRequirement', description: 'Who must approve: so many distinct people of these groups.' })
