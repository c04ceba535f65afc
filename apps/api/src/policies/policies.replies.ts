import { z } from 'zod'
import { effectReply, verdictReply } from '../openapi/effects.schema.js'

const decisionReply = z.object({ verdict: verdictReply, rule: z.string(), reason: z.string(), hint: z.string() }).meta({ id: 'Decision' })

export const explainReply = z
  .object({
    decision: decisionReply,
    effects: z.array(effectReply),
    commands: z.array(
      z.object({
        text: z.string(),
        effects: z.array(effectReply),
        decision: decisionReply,
        perEffect: z.array(z.object({ effect: effectReply, verdict: verdictReply, rule: z.string() })),
      }),
    ),
    masks: z.array(
      z.looseObject({
        policy: z.string(),
        index: z.int(),
        with: z.enum(['redact', 'partial', 'null', 'hash']),
        columns: z.array(z.string()).optional(),
        names: z.array(z.string()).optional(),
        detect: z.array(z.string()).optional(),
      }),
    ),
    terms: z
      .looseObject({ ttl_seconds: z.number(), idle_seconds: z.number(), audit: z.enum(['best_effort', 'spooled', 'strict']) })
      .optional()
      .meta({ description: 'Of a session, when there would be one.' }),
  })
  .meta({ id: 'Explanation' })
