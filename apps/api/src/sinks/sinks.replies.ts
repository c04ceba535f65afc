import { z } from 'zod'
import { instantField } from '../openapi/reply.js'

export const sinkReply = z
  .object({
    name: z.string(),
    kind: z.string(),
    shape: z.string(),
    state: z.enum(['running', 'failing', 'paused']),
    position: z.string().meta({ description: 'Of the last event that was acknowledged or filed as a dead letter.' }),
    lag_records: z.int(),
    lag_seconds: z.number(),
    sent: z.int(),
    dead_letters: z.int(),
    last_error: z.string().optional(),
    last_error_at: instantField.optional(),
    failing_since: instantField.optional(),
    last_sent_at: instantField.optional(),
  })
  .meta({ id: 'Sink' })

export const deadLetterReply = z
  .object({ position: z.string(), code: z.string(), reason: z.string(), attempts: z.int(), retrying: z.boolean(), created_at: instantField, tried_at: instantField })
  .meta({ id: 'DeadLetter' })

export const retryReply = z.object({ retrying: z.int() }).meta({ id: 'Retrying' })
export const sinkTestReply = z.object({ ok: z.boolean(), event_id: z.string().optional(), code: z.string().optional(), reason: z.string().optional() }).meta({ id: 'SinkTest' })
