import { randomInt } from 'node:crypto'

/** Exponential back-off with full jitter: after an outage a fleet doesn't come back in step. */
export class Backoff {
  #attempts = 0
  constructor(
    private readonly firstMilliseconds = 100,
    private readonly capMilliseconds = 5_000,
    private readonly random: (below: number) => number = (below) => randomInt(below),
  ) {}

  /** How long to wait before the next attempt. At least 10 ms, so that no failure becomes a busy loop. */
  next(): number {
    const ceiling = Math.min(this.capMilliseconds, this.firstMilliseconds * 2 ** Math.min(this.#attempts, 20))
    this.#attempts += 1
    return Math.max(10, this.random(ceiling + 1))
  }

  reset(): void {
    this.#attempts = 0
  }
}
