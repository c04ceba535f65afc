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
  .object({ rule: z.string(), groups: z.array(z.string()), quorum: z.int() })
  .meta({ id: 'HoldRequirement', description: 'Who must approve: so many distinct people of these groups.' })
