import type { Session } from '../generated/prisma/client.js'

export type SessionRow = Session

/** Which live sessions: all conditions given must hold. */
export interface SessionSelection {
  readonly credentialId?: string
  readonly identity?: { readonly kind: string; readonly name: string }
  readonly agentId?: string
  readonly gatewayId?: string
  readonly target?: string
}

/** Live sessions. The contract alone: audit and documents, which the implementation uses, call it without a cycle. */
export abstract class SessionsService {
  abstract get(id: string): Promise<SessionRow | undefined>
  /** Ends a session on its agent and its gateway within two seconds. Idempotent. */
  abstract kill(id: string, reason: string, by: string): Promise<void>
  /** Kills every live session selected; returns how many. */
  abstract killWhere(selection: SessionSelection, reason: string, by: string): Promise<number>
  /** After documents changed: new rules to live sessions; those whose access is gone are killed. */
  abstract refreshGrants(): Promise<void>
  /** The agent has told the session's end. Idempotent. */
  abstract markEnded(id: string, reason: string, commands: number): Promise<void>
}
