import type { BrokeredSession, ChannelError } from '@sallyport/kit'
import { gatewayErrors } from '../errors.js'

/** A kill may overtake the grant that it is for; it's remembered for longer than a handshake can take. */
const KILL_MEMORY_MILLISECONDS = 10 * 60_000
const MAX_REMEMBERED_KILLS = 10_000
/** So long the agent, which is told at the same time, has for telling the client why; then the gateway cuts by itself. */
const LAST_WORDS_MILLISECONDS = 500

/** The sessions that this gateway serves. */
export class SessionRegistry {
  readonly #sessions = new Map<string, BrokeredSession>()
  /** Session id → when it was killed; oldest first. */
  readonly #killed = new Map<string, number>()
  #idle: (() => void)[] = []

  constructor(private readonly now: () => number = Date.now) {}

  get size(): number {
    return this.#sessions.size
  }

  has(sessionId: string): boolean {
    return this.#sessions.has(sessionId)
  }

  add(session: BrokeredSession): void {
    this.#sessions.set(session.sessionId, session)
  }

  remove(session: BrokeredSession): void {
    if (this.#sessions.get(session.sessionId) === session) this.#sessions.delete(session.sessionId)
    if (this.#sessions.size === 0) for (const resolve of this.#idle.splice(0)) resolve()
  }

  wasKilled(sessionId: string): boolean {
    const at = this.#killed.get(sessionId)
    return at !== undefined && this.now() - at < KILL_MEMORY_MILLISECONDS
  }

  /** Ends the session: by its agent at once, or here a moment later, whatever the agent does. */
  kill(sessionId: string): void {
    this.#killed.delete(sessionId)
    this.#killed.set(sessionId, this.now())
    for (const [oldest] of this.#killed) {
      if (this.#killed.size <= MAX_REMEMBERED_KILLS) break
      this.#killed.delete(oldest)
    }
    const session = this.#sessions.get(sessionId)
    if (session === undefined) return
    setTimeout(() => {
      if (this.#sessions.get(sessionId) === session) session.channel.close(gatewayErrors.killed)
    }, LAST_WORDS_MILLISECONDS).unref()
  }

  closeAll(error: ChannelError): void {
    for (const session of [...this.#sessions.values()]) session.channel.close(error)
  }

  /** Resolves when the last session has ended. */
  drained(): Promise<void> {
    if (this.#sessions.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }
}
