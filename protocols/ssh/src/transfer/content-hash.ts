import { createHash, type Hash } from 'node:crypto'

const maxWaitingPieces = 1024

/** Bytes that may wait for an earlier piece, in all files of one channel: OpenSSH's client keeps 64 requests of 32 KiB going. */
export class WaitingBudget {
  #free: number

  constructor(bytes = 8 * 1024 * 1024) {
    this.#free = bytes
  }

  take(bytes: number): boolean {
    if (bytes > this.#free) return false
    this.#free -= bytes
    return true
  }

  give(bytes: number): void {
    this.#free += bytes
  }
}

/**
 * SHA-256 of a file's content whose pieces may come out of order. What comes ahead waits in a bounded window; content that is
 * read twice, left out in places or scattered wider has no hash.
 */
export class ContentHash {
  #hash: Hash | undefined = createHash('sha256')
  #position = 0
  #moved = 0
  readonly #waiting = new Map<number, Buffer>()
  readonly #budget: WaitingBudget

  constructor(budget: WaitingBudget) {
    this.#budget = budget
  }

  /** Bytes in all pieces, whatever their order. */
  get moved(): number {
    return this.#moved
  }

  /** How far the content is known from its start, without a gap; undefined when it didn't come in order. */
  get contiguous(): number | undefined {
    return this.#hash === undefined || this.#waiting.size > 0 ? undefined : this.#position
  }

  add(offset: number, data: Buffer): void {
    this.#moved += data.length
    if (this.#hash === undefined || data.length === 0) return
    if (offset === this.#position) this.#append(this.#hash, data)
    else this.#wait(offset, data)
  }

  /** The content isn't what was seen: it has no hash any more. */
  spoil(): void {
    this.#hash = undefined
    for (const piece of this.#waiting.values()) this.#budget.give(piece.length)
    this.#waiting.clear()
  }

  /** In hexadecimal; ends the hash. Undefined when there is none. */
  digest(): string | undefined {
    const hash = this.contiguous === undefined ? undefined : this.#hash
    this.spoil()
    return hash?.digest('hex')
  }

  #append(hash: Hash, data: Buffer): void {
    hash.update(data)
    this.#position += data.length
    if (this.#waiting.size === 0) return
    for (let next = this.#waiting.get(this.#position); next !== undefined; next = this.#waiting.get(this.#position)) {
      this.#waiting.delete(this.#position)
      this.#budget.give(next.length)
      hash.update(next)
      this.#position += next.length
    }
    // A piece that starts in what has been hashed overlaps it.
    for (const offset of this.#waiting.keys()) if (offset < this.#position) return this.spoil()
  }

  #wait(offset: number, data: Buffer): void {
    const surplus = offset < this.#position || this.#waiting.has(offset) || this.#waiting.size >= maxWaitingPieces
    if (surplus || !this.#budget.take(data.length)) return this.spoil()
    // A copy: the piece may be a small part of a large chunk that it would keep alive.
    this.#waiting.set(offset, Buffer.from(data))
  }
}
