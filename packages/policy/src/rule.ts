/** A policy rule after it was resolved for one identity and one target. This is what a grant carries. */
export interface Rule {
  /** Name of the policy that the rule stands in. */
  readonly policy: string
  /** Position in that policy's `rules`, from 0. With `policy` it names the rule in events and errors: `ai-agents#2`. */
  readonly index: number
  readonly verdict: Verdict
  /** Action names; each covers its whole subtree (`sql.write` covers `sql.insert`). `*` covers every action. */
  readonly actions: readonly string[]
  /** Resource patterns; see {@link matchResource}. An empty list means every resource, sensitive ones excepted. */
  readonly on: readonly string[]
  /** Extra condition: RE2 pattern over the command's text. It can narrow a rule, never be what a guarantee rests on. */
  readonly matching?: string
  /** Facts that must hold on the effect's details, e.g. `{ missing_where: true }`. */
  readonly when?: { readonly [fact: string]: string | number | boolean }
  /** Patterns over the words of a command that the effect runs, see ArgvPattern: at least one must match. */
  readonly argv?: readonly string[]
  /** `guarded`: a shell that the rule permits is one whose lines are decided one by one. Holds whatever other rules permit. */
  readonly shell?: 'guarded'
  /** What the rule permits may have a terminal and be typed into, also from a guarded shell. */
  readonly interactive?: true
  /** For hold. */
  readonly approvers?: Approvers
  /** For hold: how long the command waits for people. Seconds. */
  readonly timeout_seconds?: number
  /** Text for the one who meets the rule. */
  readonly reason?: string
}

export type Verdict = 'allow' | 'deny' | 'hold'

export interface Approvers {
  readonly groups: readonly string[]
  /** Distinct people who must approve. */
  readonly quorum: number
  /** Of the requirements of one hold, a person counts for one alone. One rule that says so is enough. */
  readonly separate?: true
  /** A reviewer may approve what comes next as well, for so long. */
  readonly remember?: RememberTerms
  /** When nobody has decided by then, others may as well. */
  readonly escalate?: EscalateTerms
}

/** `session`: what else meets the same rules in the same session. `command`: exactly the same again, in any session of the identity. */
export const rememberScopes = ['session', 'command'] as const
export type RememberScope = (typeof rememberScopes)[number]

export interface RememberTerms {
  readonly scope: RememberScope
  readonly for_seconds: number
}

export interface EscalateTerms {
  readonly after_seconds: number
  readonly groups: readonly string[]
}

/** What decided, over all effects of one command. */
export interface Decision {
  readonly verdict: Verdict
  /** `policy#index`, `builtin:harmless`, `default-deny`, `unparsable` … */
  readonly rule: string
  /** One sentence: what was decided about which effect, by which rule. Shown to the client and recorded. */
  readonly reason: string
  /** What to do next; shown as HINT. */
  readonly hint: string
  /** The rule that holds, when verdict is hold (all hold rules that matched are merged: union of groups kept apart, see decide). */
  readonly hold?: Hold
  /** The effect that decided: index into the command's effects. */
  readonly effect?: number
  /** Some rule that permits the command wants its shell guarded. */
  readonly shell?: 'guarded'
  /** Rules permit every effect that needs one to be typed into. */
  readonly interactive?: true
}

export interface Hold {
  /** Every entry must be satisfied: one for each distinct hold rule that fired. */
  readonly requirements: readonly HoldRequirement[]
  readonly timeout_seconds: number
}

export interface HoldRequirement extends Approvers {
  readonly rule: string
}

/** How a value is replaced. */
export type MaskMethod = 'redact' | 'partial' | 'null' | 'hash'

export interface Mask {
  readonly policy: string
  readonly index: number
  readonly with: MaskMethod
  /** Column patterns `schema.table.column`, each segment a glob. */
  readonly columns?: readonly string[]
  /** Glob over the output column's name, wherever it comes from. */
  readonly names?: readonly string[]
  /** Names of built-in detectors (see detectors). */
  readonly detect?: readonly string[]
}

/** How sure the record has to be before a command goes on, the laxest first. */
export const auditModes = ['best_effort', 'spooled', 'strict'] as const
export type AuditMode = (typeof auditModes)[number]

export interface SessionTerms {
  readonly ttl_seconds: number
  readonly idle_seconds: number
  readonly audit: AuditMode
  /** Bytes of masked result kept per command for replay; 0 records none. */
  readonly record_result_bytes: number
  /** Bytes of recording kept per command that has a terminal; 0 records none. */
  readonly record_terminal_bytes: number
  /** Whether what is typed at a terminal is recorded, too. */
  readonly record_input: boolean
  /** Whether the values that are bound to a command stand in its record. */
  readonly record_parameters: boolean
  /** What of a command's text stays in its record: its shape without values, or its digest alone. Absent: all of it. */
  readonly record_statements?: 'normalised' | 'digest'
}
