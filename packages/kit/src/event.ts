import type { SessionHead } from '@sallyport/audit-log'
import type { Decision, Effect, JsonObject } from '@sallyport/policy'

/**
 * Audit events that an agent writes to its spool. A closed union: a new kind is added here, documented and mapped to
 * OCSF before anything may write it. `time` is RFC 3339 UTC with microseconds; `seq` is the agent's own counter,
 * without gaps, over its whole life.
 */
export type AgentEvent = AgentEventBody & EventStamp

export interface EventStamp {
  readonly v: 1
  readonly seq: number
  readonly time: string
}

export type AgentEventBody =
  | SessionStartEvent
  | SessionEndEvent
  | CommandEvent
  | CommandHeldEvent
  | CommandReleasedEvent
  | CommandEndEvent
  | RecordingEvent
  | GapEvent
  | SessionSignedEvent
  | AgentLifeEvent

export interface SessionStartEvent {
  readonly kind: 'session.start'
  readonly session: string
  /** Its commands go on when they can't be recorded; a {@link GapEvent} says which. */
  readonly audit?: 'best_effort'
  readonly parameters: { readonly [name: string]: string }
}

export interface SessionEndEvent {
  readonly kind: 'session.end'
  readonly session: string
  /** client_closed, target_closed, killed, lease_expired, ttl_expired, idle, protocol_error, agent_stopped, agent_crashed … */
  readonly reason: string
  readonly detail?: string
  readonly commands: number
}

/**
 * The agent vouches for how far sessions have got: their chains (docs/audit.md) end with these records. Written behind a
 * session's end, and for open ones now and then. The spool adds `signature` as the last member: ECDSA P-256 with SHA-256,
 * IEEE P1363, base64url, over the rest of the record.
 */
export interface SessionSignedEvent {
  readonly kind: 'session.signed'
  readonly heads: readonly SessionHead[]
  /** base64url SHA-256 of the agent's public key (SPKI). */
  readonly key: string
}

/** Written before anything of the command reaches the target, also when it is denied or held. */
export interface CommandEvent {
  readonly kind: 'command'
  readonly session: string
  /** Ordinal within the session, from 1. `session/command` names a command everywhere. */
  readonly command: number
  /** As in the session's start: each record says it, for a start may be gone from the spool. */
  readonly audit?: 'best_effort'
  readonly text: string
  readonly text_truncated?: true
  /** The policy keeps statements out of the record: the text is without values, or empty; reasons and facts are missing. */
  readonly statement_excluded?: 'normalised' | 'digest'
  readonly parameters?: readonly (string | null)[]
  /** How many parameters there were; the policy excludes them from the record. */
  readonly parameters_excluded?: number
  /** Hex digest that the approval is bound to; present on held commands, and where the statement is excluded. */
  readonly digest?: string
  readonly effects: readonly Effect[]
  readonly decision: Decision
  /** Protocol facts: transaction state, portal name, … */
  readonly facts?: JsonObject
}

/** The control plane has stored the approval. */
export interface CommandHeldEvent {
  readonly kind: 'command.held'
  readonly session: string
  readonly command: number
  readonly approval: string
}

/** The hold is over. Written before the command runs, when it was approved. */
export interface CommandReleasedEvent {
  readonly kind: 'command.released'
  readonly session: string
  readonly command: number
  readonly approval?: string
  readonly verdict: 'approved' | 'rejected' | 'expired' | 'cancelled' | 'refused'
  readonly reviewers: readonly string[]
  readonly reason: string
}

export interface CommandEndEvent {
  readonly kind: 'command.end'
  readonly session: string
  readonly command: number
  /** `unknown`: the connection broke while it ran. */
  readonly status: 'ok' | 'error' | 'cancelled' | 'unknown'
  /** PostgreSQL: the CommandComplete tag. */
  readonly tag?: string
  readonly rows: number
  readonly bytes: number
  readonly duration_us: number
  readonly masked: number
  /** Native error code: SQLSTATE. */
  readonly error_code?: string
  readonly error_message?: string
  /** Of the whole content that a file transfer moved, hexadecimal; absent when it wasn't moved whole and in order. */
  readonly sha256?: string
  /** Bytes and SHA-256 (hexadecimal) of the payload: {@link ResultPreview} as JSON, which stands behind this event in the spool's record. */
  readonly result_bytes?: number
  readonly result_sha256?: string
  /** The spool had room for the end alone: its texts and the preview of its result are missing. */
  readonly shortened?: true
}

/** The masked beginning of the result, for replay. */
export interface ResultPreview {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly (string | null)[])[]
  readonly truncated: boolean
}

/** A piece of what a command showed, as the client saw it: masked. All pieces of a command in order replay it. */
export interface RecordingEvent {
  readonly kind: 'recording'
  readonly session: string
  readonly command: number
  /** Ordinal of the first of these chunks within the command, from 0: a missing piece shows. */
  readonly first: number
  /** Chunks, bytes and SHA-256 (hexadecimal) of the payload, which stands behind this event in the spool's record. */
  readonly count: number
  readonly bytes: number
  readonly sha256: string
  /** The command is over. */
  readonly last?: true
  /** The recording reached its cap: what came later is missing. Stands on the last event. */
  readonly truncated?: true
}

export interface RecordedChunk {
  /** Microseconds since the command began. */
  readonly t_us: number
  /** o: stdout, e: stderr, i: typed at the terminal, r: the terminal's size as `COLSxROWS`. */
  readonly s: 'o' | 'e' | 'i' | 'r'
  /** Text; base64 of the bytes where `b` stands. */
  readonly d: string
  readonly b?: true
}

/** What of a best_effort session went on without a record. Written as soon as there is room, at the latest with the session's end. */
export interface GapEvent {
  readonly kind: 'gap'
  readonly session: string
  readonly audit: 'best_effort'
  /** Ordinals of the first and the last command of which something is missing. */
  readonly first_command: number
  /** Absent when nobody knows: the agent was killed. */
  readonly last_command?: number
  /** When the first and the last of it were to be recorded; RFC 3339 UTC. */
  readonly from?: string
  readonly to?: string
  /** Missing records by their kind. */
  readonly missing: { readonly [kind: string]: number }
  /** Why: code of the spool's refusal, or agent_crashed. */
  readonly reason: string
  /** False: commands may have run unrecorded behind the last one on record; whether any did isn't known. */
  readonly certain: boolean
}

export interface AgentLifeEvent {
  readonly kind: 'agent.start' | 'agent.stop'
  readonly version: string
  readonly detail?: string
}
