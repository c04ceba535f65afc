export interface Taken {
  readonly allowed: boolean
  /** Whole requests that are left now. */
  readonly remaining: number
  /** Seconds until one more is allowed when there is none left, until all are back otherwise. */
  readonly resetSeconds: number
}

/** A token bucket per key, in bounded memory: the key longest unheard of is forgotten first. */
export class RateLimit {
  readonly #buckets = new Map<string, { tokens: number; at: number }>()

  constructor(
    readonly burst: number,
    readonly perSecond: number,
    private readonly maxKeys = 10_000,
    private readonly now: () => number = Date.now,
  ) {}

  /** Whether one more is allowed now. */
  take(key: string): boolean {
    return this.charge(key).allowed
  }

  /** Takes one, if there is one, and says how many are left. */
  charge(key: string): Taken {
    const now = this.now()
    const known = this.#buckets.get(key)
    const tokens = known ? Math.min(this.burst, known.tokens + ((now - known.at) / 1000) * this.perSecond) : this.burst
    const allowed = tokens >= 1
    const left = allowed ? tokens - 1 : tokens
    this.#buckets.delete(key)
    this.#buckets.set(key, { tokens: left, at: now })
    if (this.#buckets.size > this.maxKeys) {
      for (const oldest of this.#buckets.keys()) {
        this.#buckets.delete(oldest)
        break
      }
    }
    const missing = left >= 1 ? this.burst - left : 1 - left
    return { allowed, remaining: Math.floor(left), resetSeconds: Math.ceil(missing / this.perSecond) }
  }
}
