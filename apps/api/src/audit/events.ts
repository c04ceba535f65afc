import type { Effect, HoldRequirement } from '@sallyport/policy'

/**
 * What the control plane itself records. A closed union: a new kind is added here, documented and mapped to OCSF before
 * anything may write it. Field names are those of the API. Nothing in here may hold a secret: ids, names and reasons only.
 */
export type ControlPlaneEventBody =
  | AuthSucceeded
  | AuthFailed
  | CredentialIssued
  | CredentialRevoked
  | SessionOpened
  | SessionRefused
  | SessionKilled
  | SessionLost
  | SessionViewed
  | ApprovalRequested
  | ApprovalVoted
  | ApprovalDecided
  | ApprovalEscalated
  | ApprovalCommented
  | ApprovalRemembered
  | ApprovalReused
  | ApprovalForgotten
  | DocumentApplied
  | AuditCheckpointed
  | AuditDeleted
  | AuditExported
  | LegalHoldEvent
  | LockEvent
  | PersonErased
  | SearchSaved
  | NodeEvent
  | TokenCreated
  | TokenRevoked
  | SignedIn
  | SignedOut
  | UserGone
  | SinkEvent
  | SinkAsked
  | Alert

export interface EventIdentity {
  readonly kind: 'workload' | 'user'
  readonly name: string
  readonly groups?: readonly string[]
}

export interface AuthSucceeded {
  readonly kind: 'auth.succeeded'
  readonly identity: EventIdentity
  /** How: `oidc_token`, `credential`, `public_key`, `certificate`, `api_token`. */
  readonly method: string
  readonly target?: string
  readonly client_address?: string
  readonly claims?: { readonly [name: string]: string }
}

export interface AuthFailed {
  readonly kind: 'auth.failed'
  readonly method: string
  /** What the client called itself; unverified. */
  readonly user?: string
  readonly target?: string
  readonly client_address?: string
  readonly code: string
  readonly reason: string
}

export interface CredentialIssued {
  readonly kind: 'credential.issued'
  readonly credential: string
  readonly identity: EventIdentity
  readonly claims?: { readonly [name: string]: string }
  readonly target: string
  readonly expires_at: string
  readonly single_use: boolean
  /** Of the SSH key that it is bound to. */
  readonly key_fingerprint?: string
  /** Of the SSH certificate, decimal. */
  readonly serial?: string
}

export interface CredentialRevoked {
  readonly kind: 'credential.revoked'
  readonly credential: string
  readonly identity: EventIdentity
  readonly target: string
  readonly by: string
  readonly reason?: string
}

export interface SessionOpened {
  readonly kind: 'session.opened'
  readonly session: string
  readonly identity: EventIdentity
  readonly claims?: { readonly [name: string]: string }
  readonly actor?: string
  readonly target: string
  readonly protocol: string
  readonly agent: string
  readonly gateway: string
  readonly client_address: string
  readonly credential?: string
  readonly policy_hash: string
  readonly expires_at: string
}

export interface SessionRefused {
  readonly kind: 'session.refused'
  readonly identity?: EventIdentity
  readonly target?: string
  readonly client_address: string
  readonly code: string
  readonly reason: string
}

export interface SessionKilled {
  readonly kind: 'session.killed'
  readonly session: string
  readonly by: string
  readonly reason: string
}

/** The agent never told the end: it was lost, and the control plane closed the books. */
export interface SessionLost {
  readonly kind: 'session.lost'
  readonly session: string
  readonly reason: string
}

/** Somebody looks at what sessions showed: live, in a replay, as a file, or in a search. Written before anything is shown. */
export interface SessionViewed {
  readonly kind: 'session.viewed'
  /** Absent for a search over many. */
  readonly session?: string
  readonly by: string
  readonly how: 'watch' | 'replay' | 'export' | 'search'
  /** This command alone. */
  readonly command_viewed?: number
  /** With what could act on a terminal. */
  readonly raw?: true
}

export interface ApprovalRequested {
  readonly kind: 'approval.requested'
  readonly approval: string
  readonly session: string
  readonly command: string
  readonly digest: string
  readonly text: string
  /** The policy keeps statements out of records: the text is without values, or empty. */
  readonly statement_excluded?: 'normalised' | 'digest'
  readonly effects: readonly Effect[]
  readonly requirements: readonly HoldRequirement[]
  readonly expires_at: string
}

export interface ApprovalVoted {
  readonly kind: 'approval.voted'
  readonly approval: string
  readonly session: string
  readonly command: string
  readonly by: string
  readonly verdict: 'approve' | 'reject'
  /** Groups that the vote counts for. */
  readonly groups: readonly string[]
  readonly reason?: string
}

export interface ApprovalDecided {
  readonly kind: 'approval.decided'
  readonly approval: string
  readonly session: string
  readonly command: string
  readonly digest: string
  readonly verdict: 'approved' | 'rejected' | 'expired' | 'cancelled' | 'refused'
  readonly reviewers: readonly string[]
  readonly reason: string
}

/** Nobody decided in time: others may as well from now on. */
export interface ApprovalEscalated {
  readonly kind: 'approval.escalated'
  readonly approval: string
  readonly session: string
  readonly command: string
  /** Rules whose requirements they count for. */
  readonly rules: readonly string[]
  /** Who is asked besides. */
  readonly groups: readonly string[]
}

export interface ApprovalCommented {
  readonly kind: 'approval.commented'
  readonly approval: string
  readonly session: string
  readonly command: string
  readonly by: string
  readonly message: string
}

/** Reviewers let an approval stand for what comes next. */
export interface ApprovalRemembered {
  readonly kind: 'approval.remembered'
  readonly approval: string
  readonly session: string
  readonly command: string
  readonly scope: 'session' | 'command'
  readonly reviewers: readonly string[]
  readonly expires_at: string
}

/** A command was approved by what people had approved before. */
export interface ApprovalReused {
  readonly kind: 'approval.reused'
  /** Of this command. */
  readonly approval: string
  /** The one that people gave. */
  readonly rests_on: string
  readonly scope: 'session' | 'command'
  readonly session: string
  readonly command: string
  readonly digest: string
  readonly reviewers: readonly string[]
}

/** An approval stands for nothing further. */
export interface ApprovalForgotten {
  readonly kind: 'approval.forgotten'
  readonly approval: string
  /** Who ended it; the control plane itself has a colon in its names. */
  readonly by: string
  readonly reason: string
  readonly uses: number
}

export interface DocumentApplied {
  readonly kind: 'document.applied'
  readonly by: string
  readonly reason?: string
  /** Digest of the whole set after the apply. */
  readonly version: string
  readonly changes: readonly {
    readonly kind: string
    readonly name: string
    readonly action: 'create' | 'update' | 'delete'
    readonly version: number
  }[]
}

/** A signed state of the log, in the log: sinks carry it to where the database's owner can't reach it. */
export interface AuditCheckpointed {
  readonly kind: 'audit.checkpoint'
  readonly size: string
  /** Hex. */
  readonly root: string
  /** Signed note (c2sp.org/tlog-checkpoint). */
  readonly note: string
}

/** A batch of events that retention deleted; tombstones stand in their place. */
export interface AuditDeleted {
  readonly kind: 'audit.deleted'
  readonly run: string
  readonly class: string
  /** The Retention document. */
  readonly document: string
  readonly count: number
  /** Positions; between them others may have stayed. */
  readonly first: string
  readonly last: string
  readonly bytes: number
  /** The control plane's signature over the tombstones (JWS, typ `audit-deletion+jwt`). */
  readonly statement: string
}

export interface LegalHoldEvent {
  readonly kind: 'hold.created' | 'hold.released'
  readonly hold: string
  readonly by: string
  readonly reason: string
  readonly held_session?: string
  readonly held_identity?: string
  readonly held_target?: string
  readonly from?: string
  readonly to?: string
}

/** An identity, a target or an agent was shut out, or let in again. */
export interface LockEvent {
  readonly kind: 'lock.created' | 'lock.released'
  readonly lock: string
  readonly locked: 'user' | 'workload' | 'target' | 'agent'
  readonly identity?: EventIdentity
  readonly target?: string
  readonly agent?: string
  readonly by: string
  readonly reason: string
  readonly expires_at?: string
}

/** Somebody's key was deleted: nobody can tell any more whom the pseudonyms stood for. */
export interface PersonErased {
  readonly kind: 'privacy.erased'
  /** Ids, which say nothing else. */
  readonly persons: readonly string[]
  /** How many identifiers they had. */
  readonly identifiers: number
  readonly by: string
  readonly reason: string
}

export interface SearchSaved {
  readonly kind: 'search.saved' | 'search.deleted'
  readonly by: string
  readonly name: string
  readonly shared: boolean
}

/** Events left the control plane as a file. */
export interface AuditExported {
  readonly kind: 'audit.exported'
  readonly by: string
  readonly format: string
  /** The conditions, as they were asked for. */
  readonly query: { readonly [name: string]: string | undefined }
}

export interface NodeEvent {
  readonly kind: 'node.enrolled' | 'node.rekeyed' | 'node.connected' | 'node.disconnected' | 'node.revoked'
  readonly node: string
  readonly node_kind: 'agent' | 'gateway'
  readonly name: string
  readonly by?: string
  readonly reason?: string
  readonly detail?: string
  /** The control plane's signed statement that this is the node's key (JWS, typ `node-key+jwt`); with `node.enrolled` and `node.rekeyed`. */
  readonly key?: string
}

/** Somebody signed in with a browser. */
export interface SignedIn {
  readonly kind: 'user.signed_in'
  readonly user: string
  readonly provider: string
  readonly web_session: string
  readonly client_address: string
  readonly groups: readonly string[]
  readonly roles: readonly string[]
}

/** A sign-in ended before its time. */
export interface SignedOut {
  readonly kind: 'user.signed_out'
  readonly user: string
  readonly web_session: string
  /** Who ended it, when it wasn't the user. */
  readonly by?: string
  readonly reason: string
}

/** The provider no longer knows somebody: sign-ins, credentials and live sessions end. */
export interface UserGone {
  readonly kind: 'user.gone'
  readonly user: string
  readonly provider: string
  readonly reason: string
}

export interface TokenCreated {
  readonly kind: 'token.created'
  readonly token: string
  /** Whom the token speaks for; for an enrolment token the node's name. */
  readonly user: string
  readonly name: string
  readonly by: string
  readonly expires_at?: string
}

export interface TokenRevoked {
  readonly kind: 'token.revoked'
  readonly token: string
  readonly user: string
  readonly by: string
}

/**
 * What became of a sink. Told once per failure: these events go to the sinks, too, and must not make more of themselves.
 */
export interface SinkEvent {
  readonly kind: 'sink.failing' | 'sink.recovered' | 'sink.dead_letter'
  readonly sink: string
  /** Of the last failure, or of the first event refused. */
  readonly code?: string
  readonly reason?: string
  readonly failing_since?: string
  readonly position?: string
}

/** What a person had a sink do. */
export interface SinkAsked {
  readonly kind: 'sink.retried' | 'sink.tested'
  readonly sink: string
  readonly by: string
  readonly count?: number
  readonly ok?: boolean
}

/** Something a person should look at. `code` is stable; `detail` holds facts, never a secret. */
export interface Alert {
  readonly kind: 'alert'
  readonly code: string
  readonly message: string
  readonly session?: string
  readonly node?: string
  readonly identity?: EventIdentity
  readonly target?: string
  readonly detail?: { readonly [name: string]: string | number | boolean }
}
