import { z } from 'zod'
import { verdictReply } from '../openapi/effects.schema.js'
import { instantField } from '../openapi/reply.js'

export const documentReply = z
  .object({ kind: z.string(), name: z.string(), version: z.int(), text: z.string(), labels: z.record(z.string(), z.string()), author: z.string(), updated_at: instantField })
  .meta({ id: 'Document' })

export const documentsReply = z
  .object({ items: z.array(documentReply), next: z.string().optional(), version: z.string().meta({ description: 'Digest of the whole set in force.' }) })
  .meta({ id: 'Documents' })

export const pastChangeReply = z
  .object({
    id: z.uuid().meta({ description: 'What `POST /v1/documents/rollback` takes.' }),
    kind: z.string(),
    name: z.string(),
    version: z.int(),
    author: z.string(),
    reason: z.string().nullable(),
    created_at: instantField,
  })
  .meta({ id: 'PastChange', description: 'A version of a document, as it was applied. What was applied together has the same time.' })

export const pastDocumentReply = pastChangeReply.extend({ text: z.string().nullable().meta({ description: 'Null: the document was deleted.' }) }).meta({ id: 'PastDocument' })

const changeReply = z
  .object({ kind: z.string(), name: z.string(), action: z.enum(['create', 'update', 'delete', 'unchanged']), diff: z.string() })
  .meta({ id: 'DocumentChange' })

const policyTestReply = z
  .object({
    policy: z.string(),
    index: z.int().meta({ description: "Position in the policy's `tests`, from 0." }),
    as: z.string(),
    run: z.string(),
    target: z.string().optional(),
    expected: verdictReply,
    actual: z.enum(['allow', 'deny', 'hold', 'error']),
    ok: z.boolean(),
    rule: z.string(),
    reason: z.string(),
  })
  .meta({ id: 'PolicyTest' })

export const applyReply = z
  .object({
    changes: z.array(changeReply),
    tests: z.array(policyTestReply),
    warnings: z.array(z.object({ path: z.string(), line: z.int().optional(), message: z.string() })),
    applied: z.boolean(),
    version: z.string().meta({ description: 'Digest of the whole set as it is after this call.' }),
  })
  .meta({ id: 'Applied' })
