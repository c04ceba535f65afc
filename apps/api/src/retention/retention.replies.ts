import { z } from 'zod'
import { instantField } from '../openapi/reply.js'

export const retentionReportReply = z.object({ class: z.string(), document: z.string(), events: z.int(), bytes: z.int() }).meta({ id: 'RetentionReport' })

export const legalHoldReply = z
  .object({
    id: z.uuid(),
    reason: z.string(),
    session: z.string().nullable(),
    identity: z.string().nullable(),
    target: z.string().nullable(),
    from: instantField.nullable(),
    to: instantField.nullable(),
    created_by: z.string(),
    created_at: instantField,
    released_by: z.string().nullable(),
    released_at: instantField.nullable(),
  })
  .meta({ id: 'LegalHold' })

export const newHoldReply = z.object({ id: z.uuid() }).meta({ id: 'NewLegalHold' })
