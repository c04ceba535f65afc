import { TransferProtocolError } from './errors.js'
import { maxPacketBytes } from './limits.js'

/** Type and id, or type and version: no packet is shorter. */
const minPacketBytes = 5

/**
 * Cuts a byte stream into SFTP packets: `length:uint32be type:byte body` (draft-ietf-secsh-filexfer-02 section 3).
 * A packet that lies in one chunk is handed out in place. What was handed out is never overwritten.
 */
export class SftpFrames {
  #buffer: Buffer = empty
  /** Whether the buffer was allocated here, so that its free end may be written. */
  #owned = false
  #position = 0
  #limit = 0

  /** Bytes that were pushed and not handed out yet. */
  get buffered(): number {
    return this.#limit - this.#position
  }

  push(chunk: Buffer): void {
    const rest = this.buffered
    if (rest === 0) {
      this.#buffer = chunk
      this.#owned = false
      this.#position = 0
      this.#limit = chunk.length
      return
    }
    if (!this.#owned || this.#buffer.length - this.#limit < chunk.length) this.#grow(rest, rest + chunk.length)
    chunk.copy(this.#buffer, this.#limit)
    this.#limit += chunk.length
  }

  /**
   * @returns the next whole packet with its length field, or undefined when more bytes are needed
   * @throws {TransferProtocolError} on a length that no packet has: before anything is allocated for it
   */
  next(): Buffer | undefined {
    const available = this.buffered
    if (available < 4) return undefined
    const length = this.#buffer.readUInt32BE(this.#position)
    if (length < minPacketBytes || length > maxPacketBytes) throw new TransferProtocolError(`invalid SFTP packet length ${length}`)
    if (available < length + 4) return undefined
    const start = this.#position
    this.#position += length + 4
    const frame = this.#buffer.subarray(start, this.#position)
    if (this.#position === this.#limit) {
      // An idle channel keeps no buffer, and what was handed out stays its reader's own.
      this.#buffer = empty
      this.#owned = false
      this.#position = 0
      this.#limit = 0
    }
    return frame
  }

  #grow(rest: number, needed: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(needed * 2, 4096))
    this.#buffer.copy(grown, 0, this.#position, this.#limit)
    this.#buffer = grown
    this.#owned = true
    this.#position = 0
    this.#limit = rest
  }
}

const empty = Buffer.alloc(0)
