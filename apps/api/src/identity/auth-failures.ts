import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common'
import type { AuthFailed } from '../audit/events.js'
import { EventsService } from '../audit/events.service.js'

const maxPerSecond = 50
/** An unverified name is kept short: it comes from anyone. */
const maxTextLength = 300

/**
 * Records failed authentications. Anyone can cause them, so beyond 50 a second they are counted, and the count is
 * recorded: an attacker must not be able to fill the chain, nor to hide in the flood that it happened.
 */
@Injectable()
export class AuthFailures implements OnApplicationShutdown {
  readonly #log = new Logger(AuthFailures.name)
  #second = 0
  #recorded = 0
  #suppressed = 0
  #timer: NodeJS.Timeout | undefined
  total = 0

  constructor(private readonly events: EventsService) {}

  onApplicationShutdown(): void {
    clearTimeout(this.#timer)
    this.#flush()
  }

  /** Never rejects: the client is refused either way. */
  async record(failure: Omit<AuthFailed, 'kind'>): Promise<void> {
    this.total += 1
    const second = Math.floor(Date.now() / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#recorded = 0
    }
    if (this.#recorded >= maxPerSecond) {
      this.#suppressed += 1
      this.#timer ??= setTimeout(() => this.#flush(), 1000).unref()
      return
    }
    this.#recorded += 1
    const user = failure.user === undefined ? {} : { user: failure.user.slice(0, maxTextLength) }
    const target = failure.target === undefined ? {} : { target: failure.target.slice(0, maxTextLength) }
    await this.#append({ ...failure, ...user, ...target, kind: 'auth.failed' })
  }

  #flush(): void {
    this.#timer = undefined
    const count = this.#suppressed
    if (count === 0) return
    this.#suppressed = 0
    void this.#append({ kind: 'alert', code: 'AUTH_FAILURES_SUPPRESSED', message: 'many failed authentications: some are only counted', detail: { count } })
  }

  async #append(event: Parameters<EventsService['append']>[0]): Promise<void> {
    try {
      await this.events.append(event)
    } catch {
      this.#log.warn({ message: 'a failed authentication could not be recorded' })
    }
  }
}
