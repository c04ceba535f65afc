import { ProtocolError } from './errors.js'

/**
 * Cuts a byte stream into messages: `type:byte length:int32be(incl. itself) body`
 * (PostgreSQL protocol, "Message Formats"). Pull-based: `next()` moves to the next whole message, whose bytes are
 * `buffer[start, end)` with the header at `start`. They are valid until the next `push`.
 * A chunk that starts on a boundary is read in place; only a message split over chunks is copied, once.
 */
export class FrameReader {
  readonly #limitFor: (type: number) => number
  buffer: Buffer = empty
  /** Of the current message. */
  type = 0
  start = 0
  end = 0
  #position = 0
  #limit = 0

  /** @param limitFor largest whole message that this type may have; 0 for a type that isn't spoken at all */
  constructor(limitFor: (type: number) => number) {
    this.#limitFor = limitFor
  }

  /** Bytes that were pushed and aren't part of a message already returned. */
  get buffered(): number {
    return this.#limit - this.#position
  }

  push(chunk: Buffer): void {
    const rest = this.#limit - this.#position
    if (rest === 0) {
      this.buffer = chunk
      this.#owned = false
      this.#position = 0
      this.#limit = chunk.length
      return
    }
    const needed = rest + chunk.length
    const room = this.buffer.length - this.#position
    if (!this.#owned || room < needed) this.#grow(rest, needed)
    chunk.copy(this.buffer, this.#limit)
    this.#limit += chunk.length
  }

  /** @throws {ProtocolError} on a length below 4 or above the type's cap, or a type that isn't spoken */
  next(): boolean {
    const available = this.#limit - this.#position
    if (available === 0) {
      this.#release()
      return false
    }
    const type = this.buffer[this.#position] ?? 0
    const cap = this.#limitFor(type)
    if (cap === 0) throw new ProtocolError(`invalid message type 0x${type.toString(16).padStart(2, '0')}`)
    if (available < 5) return false
    const length = this.buffer.readInt32BE(this.#position + 1)
    if (length < 4 || length + 1 > cap) throw new ProtocolError(`invalid length ${length} of message '${printable(type)}'`)
    if (available < length + 1) return false
    this.type = type
    this.start = this.#position
    this.end = this.#position + length + 1
    this.#position = this.end
    return true
  }

  #owned = false

  #grow(rest: number, needed: number): void {
    let capacity = needed
    if (rest >= 5) {
      const length = this.buffer.readInt32BE(this.#position + 1) + 1
      // next() has checked the length against its cap before asking for more bytes.
      if (length > capacity) capacity = Math.min(length, Math.max(needed * 2, 64 * 1024))
    }
    const grown = Buffer.allocUnsafeSlow(Math.max(capacity, 256))
    this.buffer.copy(grown, 0, this.#position, this.#limit)
    this.buffer = grown
    this.#owned = true
    this.#position = 0
    this.#limit = rest
  }

  #release(): void {
    // An idle connection keeps no buffer.
    this.buffer = empty
    this.#owned = false
    this.#position = 0
    this.#limit = 0
  }
}

const empty = Buffer.alloc(0)

function printable(type: number): string {
  return type >= 0x20 && type < 0x7f ? String.fromCharCode(type) : `0x${type.toString(16)}`
}
