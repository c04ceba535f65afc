/** Bytes waiting to be sent on one channel. Holds the writers' own buffers; splits by views, joins only small ones. */
export class SendQueue {
  #chunks: Uint8Array[] = []
  /** Index of the first chunk still here: shifting an array is linear. */
  #first = 0
  #length = 0

  /** Bytes waiting. */
  get length(): number {
    return this.#length
  }

  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#chunks.push(bytes)
    this.#length += bytes.length
  }

  /** Takes up to `limit` bytes off the front as one piece; several small writes are joined by one copy. */
  take(limit: number): Uint8Array {
    const head = this.#chunks[this.#first]
    if (head === undefined || limit <= 0) return new Uint8Array(0)
    if (head.length > limit) {
      this.#chunks[this.#first] = head.subarray(limit)
      this.#length -= limit
      return head.subarray(0, limit)
    }
    const parts: Uint8Array[] = []
    let size = 0
    for (;;) {
      const next = this.#chunks[this.#first]
      if (next === undefined || size + next.length > limit) break
      parts.push(next)
      size += next.length
      this.#first += 1
    }
    this.#length -= size
    if (this.#first >= this.#chunks.length) {
      // Reuse of a grown array would keep its memory for the life of an idle session.
      if (this.#chunks.length > 16) this.#chunks = []
      else this.#chunks.length = 0
      this.#first = 0
    } else if (this.#first > 64) {
      this.#chunks.splice(0, this.#first)
      this.#first = 0
    }
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts, size)
  }

  clear(): void {
    this.#chunks = []
    this.#first = 0
    this.#length = 0
  }
}
