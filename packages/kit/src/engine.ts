import type { ByteChannel } from './channel.js'
import type { Guard } from './guard.js'
import type { VerifiedGrant } from './verified-grant.js'
import type { Secret } from './secret.js'

/** Agent side of a protocol: speaks to the target, hands each command to the guard, masks what comes back. */
export interface ProtocolEngine {
  readonly protocol: string
  /** Serves one session to its end. Never rejects: failures become a native error for the client and a reason. */
  serve(session: EngineSession): Promise<SessionEnd>
}

export interface EngineSession {
  readonly grant: VerifiedGrant
  readonly parameters: Readonly<Record<string, string>>
  readonly client: ByteChannel
  readonly guard: Guard
  readonly credentials: CredentialResolver
  /** Aborted when the session must end: kill, lease, TTL, drain. `signal.reason` is a {@link SessionEnd}. */
  readonly signal: AbortSignal
  /** The front's out-of-band signal. */
  onSignal(handler: (payload: Buffer) => void): void
  readonly log: EngineLog
}

export interface EngineLog {
  debug(fields: Record<string, unknown>, message: string): void
  info(fields: Record<string, unknown>, message: string): void
  warn(fields: Record<string, unknown>, message: string): void
}

/** Why a session ended; `reason` goes into the session.end event. */
export interface SessionEnd {
  readonly reason: string
  /** For the client, when it is to be told. */
  readonly message?: string
  readonly hint?: string
  readonly detail?: string
}

/** Reads target credentials by reference when an engine dials. Values never leave the agent. */
export interface CredentialResolver {
  /** `env:NAME`, `file:/path`, `exec:/path arg…`. Rejects with a reason that never holds the value. */
  resolve(reference: string): Promise<Secret<string>>
}
