import { z } from 'zod'
import { instantField } from '../openapi/reply.js'

export const nodeReply = z
  .object({
    id: z.uuid(),
    kind: z.enum(['agent', 'gateway']),
    name: z.string(),
    labels: z.record(z.string(), z.string()),
    version: z.string().nullable(),
    enrolled_at: instantField,
    revoked_at: instantField.nullable(),
    last_seen_at: instantField.nullable(),
    connected: z.boolean(),
    gateways: z
      .array(z.object({ gateway: z.string(), draining: z.boolean() }))
      .optional()
      .meta({ description: 'To which ones an agent is connected now.' }),
  })
  .meta({ id: 'Node' })

export const enrolmentTokenReply = z
  .object({ token: z.string().meta({ description: 'Shown this once.' }), token_id: z.string(), expires_at: instantField })
  .meta({ id: 'EnrolmentToken' })
