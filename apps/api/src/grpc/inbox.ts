/** Reads a stream message by message, each with the conversation's deadline. */
export class Inbox<T> {
  readonly #iterator: AsyncIterator<T>
  readonly #over: Promise<undefined>

  constructor(call: AsyncIterable<T>, signal: AbortSignal) {
    this.#iterator = call[Symbol.asyncIterator]()
    this.#over = new Promise((resolve) => {
      if (signal.aborted) resolve(undefined)
      signal.addEventListener('abort', () => resolve(undefined), { once: true })
    })
  }

  /** The next message; undefined when the peer left, or the time is over. */
  async next(): Promise<T | undefined> {
    try {
      const next = this.#iterator.next()
      next.catch(() => undefined)
      const result = await Promise.race([next, this.#over])
      return result === undefined || result.done ? undefined : result.value
    } catch {
      return undefined
    }
  }
}
