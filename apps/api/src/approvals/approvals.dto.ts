import { documentLimits, rememberScopes, type Effect, type HoldRequirement, type RememberScope } from '@sallyport/policy'
import { z } from 'zod'
import type { CiContext } from './ci.js'

export type ApprovalState = 'pending' | 'approved' | 'rejected' | 'expired' | 'cancelled'

export const approvalStates = ['pending', 'approved', 'rejected', 'expired', 'cancelled'] as const

export const listQuerySchema = z.strictObject({
  state: z.enum(approvalStates).optional(),
  session: z.uuid().optional(),
  limit: z.coerce.number().int().min(1).max(200).optional(),
  cursor: z.uuid().optional(),
})
export type ListQuery = z.infer<typeof listQuerySchema>

// Free text is bounded: a reviewer's reason goes into events, notices and other people's screens.
export const approveSchema = z.strictObject({
  reason: z.string().max(1000).optional(),
  remember: z
    .union([z.boolean(), z.number().int().min(1).max(documentLimits.remember_max_seconds)])
    .optional()
    .meta({ description: 'Let the approval stand for what comes next, as the rule offers it: true for as long as the rule says, or fewer seconds. Default false.' }),
})
export const rejectSchema = z.strictObject({ reason: z.string().min(1).max(1000) })
export type ApproveBody = z.infer<typeof approveSchema>
export type RejectBody = z.infer<typeof rejectSchema>

export interface ApprovalItem {
  readonly id: string
  readonly state: string
  readonly created_at: string
  readonly expires_at: string
  readonly decided_at?: string
  readonly reason?: string
  readonly session_id: string
  readonly command_id: string
  readonly identity: { readonly kind: string; readonly name: string; readonly groups: unknown; readonly claims: unknown }
  readonly ci?: CiContext
  readonly target: string
  readonly text: string
  /** The text with every character spelt out that a screen would hide or reorder. Show this one to people. */
  readonly text_visible: string
  readonly parameters?: readonly (string | null)[]
  readonly parameters_visible?: readonly (string | null)[]
  readonly effects: readonly Effect[]
  readonly facts?: unknown
  readonly digest: string
  readonly rules: readonly string[]
  readonly requirements: readonly HoldRequirement[]
  readonly votes: readonly { readonly user: string; readonly verdict: string; readonly reason?: string; readonly remember_seconds?: number; readonly at: string }[]
  /** Groups that are asked besides, because nobody decided in time. */
  readonly escalated_groups?: readonly string[]
  readonly escalates_at?: string
  /** What a reviewer may let this approval stand for, if the rules offer it for this command. */
  readonly remember?: { readonly scope: RememberScope; readonly for_seconds: number }
  /** It stands for what comes next. */
  readonly remembered?: { readonly scope: RememberScope; readonly expires_at: string; readonly uses: number; readonly ended_at?: string }
  /** The earlier approval that decided this one. */
  readonly rests_on?: string
}

const jsonObject = z.record(z.string(), z.json())

const effectsSchema = z
  .array(
    z.object({
      action: z.string().max(200),
      resource: z.string().max(2000),
      implied: z.literal(true).optional(),
      harmless: z.literal(true).optional(),
      details: jsonObject.optional(),
    }),
  )
  .max(10_000)

/** What may stay of a command when it is decided, and stand in events: the policy keeps its statement out of records. */
export const recordedSchema = z.object({ text: z.string().max(1024 * 1024), effects: effectsSchema, statement_excluded: z.enum(['normalised', 'digest']) })

/** command_json of an ApprovalRequest. */
export const commandSchema = z.object({
  text: z.string().max(1024 * 1024),
  parameters: z.array(z.string().nullable()).max(65_535).optional(),
  effects: effectsSchema,
  facts: jsonObject.optional(),
})
export type HeldCommand = z.infer<typeof commandSchema>

const groupsSchema = z.array(z.string().max(253)).min(1).max(50)

/** hold_json of an ApprovalRequest: Hold of the policy package. */
export const holdSchema = z.object({
  requirements: z
    .array(
      z.object({
        rule: z.string().max(300),
        groups: groupsSchema,
        quorum: z.number().int().min(1).max(50),
        separate: z.literal(true).exactOptional(),
        remember: z.object({ scope: z.enum(rememberScopes), for_seconds: z.number().int().min(1).max(documentLimits.remember_max_seconds) }).exactOptional(),
        escalate: z.object({ after_seconds: z.number().int().min(1), groups: groupsSchema }).exactOptional(),
      }),
    )
    .min(1)
    .max(50),
  timeout_seconds: z.number().int().positive(),
  /** The policy excludes parameters from records: they go when the approval ends. */
  forget_parameters: z.literal(true).optional(),
  recorded: recordedSchema.optional(),
})
export type HeldFor = z.infer<typeof holdSchema>
