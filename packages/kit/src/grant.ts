import { auditModes, rememberScopes, type Mask, type Rule, type SessionTerms } from '@sallyport/policy'
import { z } from 'zod'

/**
 * What the control plane signs for one session (JWS, EdDSA, typ `grant+jwt`). Everything the agent needs to enforce;
 * the gateway relays it unread. Times are NumericDate seconds (RFC 7519).
 */
export interface GrantPayload {
  readonly v: 1
  /** Session id, UUIDv7. A grant is good for one session: the agent refuses a second use. */
  readonly sid: string
  /** 1, then +1 with every update of a live session's grant. */
  readonly version: number
  /** The only agent that may serve it. */
  readonly agent: string
  readonly iat: number
  /** End of the session's life. */
  readonly exp: number
  /** End of the first lease; renewed by `lease+jwt` messages. */
  readonly lease: number
  readonly identity: GrantIdentity
  readonly target: GrantTarget
  readonly rules: readonly Rule[]
  readonly masks: readonly Mask[]
  readonly terms: SessionTerms
  /** JWE (ECDH-ES+A256KW to the agent's enrolled key) of the 32-byte key for keyed-hash masks. Absent when no mask hashes. */
  readonly mask_key?: string
  /** URL prefix of the page on which people see an approval: prefix + approval id. */
  readonly approval_url: string
}

export interface GrantIdentity {
  readonly kind: 'workload' | 'user'
  /** What approvals are bound to: for a user what stands for the person in the log. */
  readonly id: string
  readonly name: string
  readonly groups: readonly string[]
  /** The claims of the token that stand in events and are shown to reviewers (strings only, size-capped). */
  readonly claims: { readonly [name: string]: string }
}

export interface GrantTarget {
  readonly id: string
  readonly name: string
  readonly protocol: string
  readonly labels: { readonly [name: string]: string }
  /** The protocol's own part, validated by the protocol's descriptor: address, database, TLS, credential references. */
  readonly spec: { readonly [key: string]: unknown }
}

const rule = z.object({
  policy: z.string(),
  index: z.number().int(),
  verdict: z.enum(['allow', 'deny', 'hold']),
  actions: z.array(z.string()),
  on: z.array(z.string()),
  matching: z.string().optional(),
  when: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
  argv: z.array(z.string()).optional(),
  shell: z.literal('guarded').optional(),
  interactive: z.literal(true).optional(),
  approvers: z
    .strictObject({
      groups: z.array(z.string()),
      quorum: z.number().int().min(1),
      separate: z.literal(true).exactOptional(),
      remember: z.strictObject({ scope: z.enum(rememberScopes), for_seconds: z.number().int().positive() }).exactOptional(),
      escalate: z.strictObject({ after_seconds: z.number().int().positive(), groups: z.array(z.string()) }).exactOptional(),
    })
    .optional(),
  timeout_seconds: z.number().int().positive().optional(),
  reason: z.string().optional(),
})

const mask = z.object({
  policy: z.string(),
  index: z.number().int(),
  with: z.enum(['redact', 'partial', 'null', 'hash']),
  columns: z.array(z.string()).optional(),
  names: z.array(z.string()).optional(),
  detect: z.array(z.string()).optional(),
})

/** Strict: a field that this version doesn't know means a restriction it can't enforce, so the grant is refused. */
export const grantPayloadSchema = z.strictObject({
  v: z.literal(1),
  sid: z.uuid(),
  version: z.number().int().min(1),
  agent: z.string(),
  iat: z.number().int(),
  exp: z.number().int(),
  lease: z.number().int(),
  identity: z.strictObject({
    kind: z.enum(['workload', 'user']),
    id: z.string(),
    name: z.string(),
    groups: z.array(z.string()),
    claims: z.record(z.string(), z.string()),
  }),
  target: z.strictObject({
    id: z.string(),
    name: z.string(),
    protocol: z.string(),
    labels: z.record(z.string(), z.string()),
    spec: z.record(z.string(), z.unknown()),
  }),
  rules: z.array(rule.strict()),
  masks: z.array(mask.strict()),
  terms: z.strictObject({
    ttl_seconds: z.number().int().positive(),
    idle_seconds: z.number().int().positive(),
    audit: z.enum(auditModes),
    record_result_bytes: z.number().int().min(0),
    record_terminal_bytes: z.number().int().min(0),
    record_input: z.boolean(),
    record_parameters: z.boolean(),
    record_statements: z.enum(['normalised', 'digest']).exactOptional(),
  }),
  mask_key: z.string().optional(),
  approval_url: z.string(),
})

/** `typ` header of each kind of message that the control plane signs for agents. */
export const jwsType = {
  grant: 'grant+jwt',
  approval: 'approval+jwt',
  held: 'held+jwt',
  lease: 'lease+jwt',
  ack: 'ack+jwt',
  kill: 'kill+jwt',
} as const

/** typ `approval+jwt`: the end of one approval. Bound to agent, session, command and digest; used once. */
export interface ApprovalDecisionPayload {
  readonly agent: string
  readonly sid: string
  readonly command: string
  readonly approval: string
  readonly digest: string
  readonly verdict: 'approved' | 'rejected' | 'expired' | 'refused'
  readonly reason: string
  /** What to do next, when the control plane knows more than that the command was refused. */
  readonly hint?: string
  /** Names, for whoever waits. */
  readonly reviewers: readonly string[]
  /** What stands for them in the log, one for each. */
  readonly recorded_reviewers?: readonly string[]
  /** The reason as it stands in the log. */
  readonly recorded_reason?: string
  readonly iat: number
  readonly exp: number
}

/** typ `held+jwt`: the control plane has stored the approval; the client can be told its link. */
export interface HeldPayload {
  readonly agent: string
  readonly sid: string
  readonly command: string
  readonly approval: string
  readonly digest: string
  /** Who is asked: for the notice. */
  readonly groups: readonly string[]
  /** NumericDate at which the approval expires. */
  readonly exp: number
}

/** typ `lease+jwt`: the sessions that live until `exp`. */
export interface LeasePayload {
  readonly agent: string
  readonly sids: readonly string[]
  /** The current grant version of each: a session under an older grant gets no new lease. */
  readonly versions: readonly number[]
  readonly exp: number
}

/** typ `ack+jwt`: every spooled record up to and including `seq` is durable in the control plane's database. */
export interface AckPayload {
  readonly agent: string
  readonly seq: number
}

/** typ `kill+jwt`: end this session now. */
export interface KillPayload {
  readonly agent: string
  readonly sid: string
  readonly reason: string
  /** The reason as it stands in the log. */
  readonly recorded?: string
}
