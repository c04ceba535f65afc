import { TransferProtocolError } from './codec/errors.js'

const empty = Buffer.alloc(0)
const newline = 10

/** Bytes of one side that wait to be read. Both sides wait for each other after every line, so it is mostly empty. */
export class ScpStream {
  #bytes: Buffer = empty

  get length(): number {
    return this.#bytes.length
  }

  get first(): number | undefined {
    return this.#bytes[0]
  }

  push(bytes: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes])
  }

  /** Up to `count` bytes. */
  take(count: number): Buffer {
    const taken = this.#bytes.subarray(0, count)
    this.#bytes = this.#bytes.length <= count ? empty : this.#bytes.subarray(count)
    return taken
  }

  /**
   * The next line with its newline; undefined until it is there.
   * @throws {TransferProtocolError} when it grows longer than `max`
   */
  line(max: number): Buffer | undefined {
    const end = this.#bytes.indexOf(newline)
    if (end > max || (end < 0 && this.#bytes.length > max)) throw new TransferProtocolError('an scp line is too long')
    return end < 0 ? undefined : this.take(end + 1)
  }
}
