import type { GatewayUp } from '@sallyport/proto'

/** Ends of sessions that the control plane still has to hear of when it is back. Leases cover what is lost beyond. */
const MAX_PENDING = 10_000

/** Tells the control plane which sessions have ended here; keeps what it could not be told. */
export class ClosedSessions {
  readonly #pending = new Map<string, string>()

  constructor(private readonly send: (message: GatewayUp) => boolean) {}

  add(sessionId: string, reason: string): void {
    if (this.send({ sessionClosed: { sessionId, reason } })) return
    if (this.#pending.size < MAX_PENDING) this.#pending.set(sessionId, reason)
  }

  flush(): void {
    for (const [sessionId, reason] of this.#pending) {
      if (!this.send({ sessionClosed: { sessionId, reason } })) return
      this.#pending.delete(sessionId)
    }
  }
}
