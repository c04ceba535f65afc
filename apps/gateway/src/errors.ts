import type { ChannelError } from '@sallyport/kit'

/** What this gateway itself tells a client. The codes are stable; fronts translate them into their protocol. */
export const gatewayErrors = {
  unavailable: {
    code: 'UNAVAILABLE',
    message: 'the gateway has no connection to the control plane',
    hint: 'Try again in a few seconds; no session is opened while the control plane can’t decide.',
  },
  noAgent: {
    code: 'NO_AGENT',
    message: 'no agent for this target is connected to this gateway',
    hint: 'Try again in a few seconds; if it lasts, ask your platform team to check the agent.',
  },
  tooManySessions: {
    code: 'TOO_MANY_SESSIONS',
    message: 'the gateway serves as many sessions as it may',
    hint: 'Try again later, or use another gateway.',
  },
  killed: {
    code: 'SESSION_KILLED',
    message: 'the session was ended by an administrator or because its credential was revoked',
    hint: 'Get a new credential if you are still allowed to work here.',
  },
  stopping: {
    code: 'GATEWAY_STOPPING',
    message: 'the gateway is shutting down',
    hint: 'Reconnect.',
  },
  timedOut: {
    code: 'UNAVAILABLE',
    message: 'authentication took too long',
    hint: 'Try again; the control plane may be overloaded.',
  },
} as const satisfies Record<string, ChannelError>

/** A session that could not be opened. The front words it. */
export class SessionRefusedError extends Error implements ChannelError {
  override readonly name = 'SessionRefusedError'
  readonly code: string
  readonly hint: string
  constructor(error: ChannelError) {
    super(error.message)
    this.code = error.code
    this.hint = error.hint
  }
}
