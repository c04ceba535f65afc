import type { Expected } from './expected.js'

/** First-in first-out of what the target owes. */
export class ExpectedQueue {
  #items: (Expected | undefined)[] = []
  #head = 0
  #waiters: (() => void)[] = []

  get size(): number {
    return this.#items.length - this.#head
  }

  get head(): Expected | undefined {
    return this.#items[this.#head]
  }

  push(item: Expected): void {
    this.#items.push(item)
  }

  shift(): Expected | undefined {
    const item = this.#items[this.#head]
    this.#items[this.#head] = undefined
    this.#head += 1
    if (this.#head === this.#items.length) {
      this.#items = []
      this.#head = 0
      for (const wake of this.#waiters.splice(0)) wake()
    } else if (this.#head > 1024) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return item
  }

  /** From the latest to the oldest. */
  *backwards(): Generator<Expected> {
    for (let index = this.#items.length - 1; index >= this.#head; index -= 1) {
      const item = this.#items[index]
      if (item) yield item
    }
  }

  /** Resolves once nothing is owed. */
  drained(): Promise<void> {
    if (this.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#waiters.push(resolve))
  }

  /** The session is over: whoever waits is let go. */
  abandon(): Expected[] {
    const left = this.#items.slice(this.#head).filter((item) => item !== undefined)
    this.#items = []
    this.#head = 0
    for (const wake of this.#waiters.splice(0)) wake()
    return left
  }
}
