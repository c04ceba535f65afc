import { z } from 'zod'
import { effectReply, requirementReply } from '../openapi/effects.schema.js'
import { instantField } from '../openapi/reply.js'
import { approvalStates } from './approvals.dto.js'

const ciReply = z
  .object({
    repository: z.string().optional(),
    ref: z.string().optional(),
    commit: z.string().optional(),
    run_url: z.string().optional(),
    actor: z.string().optional(),
    workflow: z.string().optional(),
  })
  .meta({ id: 'CiContext' })

const parameters = z.array(z.string().nullable())

export const approvalReply = z
  .object({
    id: z.uuid(),
    state: z.enum(approvalStates),
    created_at: instantField,
    expires_at: instantField,
    decided_at: instantField.optional(),
    reason: z.string().optional(),
    session_id: z.uuid(),
    command_id: z.string(),
    identity: z.object({ kind: z.enum(['user', 'workload']), name: z.string(), groups: z.array(z.string()), claims: z.record(z.string(), z.string()) }),
    ci: ciReply.optional(),
    target: z.string(),
    text: z.string(),
    text_visible: z.string().meta({ description: 'The text with every character spelt out that a screen would hide or reorder. Show this one to people.' }),
    parameters: parameters.optional(),
    parameters_visible: parameters.optional(),
    effects: z.array(effectReply),
    facts: z.record(z.string(), z.unknown()).optional(),
    digest: z.string(),
    rules: z.array(z.string()),
    requirements: z.array(requirementReply),
    votes: z.array(z.object({ user: z.string(), verdict: z.enum(['approve', 'reject']), reason: z.string().optional(), at: instantField })),
  })
  .meta({ id: 'Approval' })

/** `data` of an `approval` event of GET /v1/approvals/stream. */
export const approvalChangeReply = z.object({ id: z.uuid(), state: z.enum(approvalStates), session_id: z.uuid() }).meta({ id: 'ApprovalChange' })

/** `data` of a `hold` event of GET /v1/credentials/:id/holds. */
export const holdEventReply = z
  .object({
    approval: z.uuid(),
    state: z.enum(approvalStates),
    url: z.string(),
    groups: z.array(z.string()),
    expires_at: instantField,
    text: z.string().meta({ description: "The beginning of the command's first line." }),
    reason: z.string().optional(),
    reviewers: z.array(z.string()),
  })
  .meta({ id: 'HoldEvent' })
