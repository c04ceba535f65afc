import type { BrokeredSession } from '@sallyport/kit'

/** Which session a client's cancel key belongs to. Keys are made by fronts, of this gateway, and die with their session. */
export class CancelRegistry {
  readonly #sessions = new Map<string, BrokeredSession>()

  /** Returns the function that forgets the key; it never forgets a key that another session has taken since. */
  register(key: string, session: BrokeredSession): () => void {
    // A clash would let one client cancel another's commands: the first keeps the key, the second can't cancel.
    if (this.#sessions.has(key)) return () => {}
    this.#sessions.set(key, session)
    return () => {
      if (this.#sessions.get(key) === session) this.#sessions.delete(key)
    }
  }

  /** An unknown key does nothing, and nothing tells the sender so. */
  cancel(key: string, payload: Uint8Array): void {
    this.#sessions.get(key)?.signal(payload)
  }

  get size(): number {
    return this.#sessions.size
  }
}
