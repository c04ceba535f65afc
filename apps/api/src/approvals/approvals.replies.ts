import { rememberScopes } from '@sallyport/policy'
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
    votes: z.array(z.object({ user: z.string(), verdict: z.enum(['approve', 'reject']), reason: z.string().optional(), remember_seconds: z.int().optional(), at: instantField })),
    escalated_groups: z.array(z.string()).optional().meta({ description: 'Groups that are asked besides, because nobody decided in time.' }),
    escalates_at: instantField.optional().meta({ description: 'When others will be asked.' }),
    remember: z.object({ scope: z.enum(rememberScopes), for_seconds: z.int() }).optional().meta({ description: 'What a reviewer may let this approval stand for, besides this command.' }),
    remembered: z
      .object({ scope: z.enum(rememberScopes), expires_at: instantField, uses: z.int(), ended_at: instantField.optional() })
      .optional()
      .meta({ description: 'It stands for what comes next.' }),
    rests_on: z.uuid().optional().meta({ description: 'The earlier approval that decided this one.' }),
  })
  .meta({ id: 'Approval' })

/** `data` of an `approval` event of GET /v1/approvals/stream. */
export const approvalChangeReply = z
  .object({ id: z.uuid(), state: z.enum(approvalStates), session_id: z.uuid(), comment: z.uuid().optional().meta({ description: 'With a `comment` event: the new comment.' }) })
  .meta({ id: 'ApprovalChange' })

export const commentReply = z.object({ id: z.uuid(), user: z.string(), text: z.string(), text_visible: z.string(), at: instantField }).meta({ id: 'ApprovalComment' })

export const rememberedReply = z
  .object({
    approval: z.uuid(),
    scope: z.enum(rememberScopes),
    session_id: z.uuid(),
    identity: z.object({ kind: z.enum(['user', 'workload']), name: z.string() }),
    target: z.string(),
    text_visible: z.string().meta({ description: 'The command that people approved.' }),
    rules: z.array(z.string()),
    reviewers: z.array(z.string()),
    created_at: instantField,
    expires_at: instantField,
    state: z.enum(['active', 'expired', 'ended']),
    ended_at: instantField.optional(),
    ended_by: z.string().optional(),
    end_reason: z.string().optional(),
    uses: z.int(),
    used_at: instantField.optional(),
  })
  .meta({ id: 'RememberedApproval' })

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
