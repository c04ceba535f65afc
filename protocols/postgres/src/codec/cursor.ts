import { ProtocolError } from './errors.js'

/** Reads the fields of one whole message; every read is checked against the message's end. */
export class MessageCursor {
  #position: number
  constructor(
    readonly buffer: Buffer,
    /** Offset of the message's header. */
    start: number,
    readonly end: number,
  ) {
    this.#position = start + 5
  }

  get position(): number {
    return this.#position
  }

  get remaining(): number {
    return this.end - this.#position
  }

  byte(): number {
    return this.buffer[this.#take(1)] ?? 0
  }

  int16(): number {
    return this.buffer.readInt16BE(this.#take(2))
  }

  uint16(): number {
    return this.buffer.readUInt16BE(this.#take(2))
  }

  int32(): number {
    return this.buffer.readInt32BE(this.#take(4))
  }

  uint32(): number {
    return this.buffer.readUInt32BE(this.#take(4))
  }

  /** A NUL-terminated string; must be valid UTF-8, because the analysis and the target must read the same text. */
  cstring(): string {
    const nul = this.buffer.indexOf(0, this.#position)
    if (nul === -1 || nul >= this.end) throw new ProtocolError('invalid string in message')
    const bytes = this.buffer.subarray(this.#position, nul)
    this.#position = nul + 1
    return decodeUtf8(bytes)
  }

  /** A view of so many bytes. */
  bytes(length: number): Buffer {
    const start = this.#take(length)
    return this.buffer.subarray(start, start + length)
  }

  skip(length: number): void {
    this.#take(length)
  }

  /** PostgreSQL's pq_getmsgend: bytes left over are an error. */
  done(): void {
    if (this.#position !== this.end) throw new ProtocolError('invalid message format')
  }

  /** Passes so many bytes and returns where they begin. */
  #take(length: number): number {
    const start = this.#position
    if (length < 0 || this.end - start < length) throw new ProtocolError('insufficient data left in message')
    this.#position = start + length
    return start
  }
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function decodeUtf8(bytes: Buffer): string {
  // toString('latin1') of pure ASCII is several times faster than a strict decoder, and most statements are ASCII.
  if (bytes.length < 4096 && isAscii(bytes)) return bytes.toString('latin1')
  try {
    return strictUtf8.decode(bytes)
  } catch {
    throw new ProtocolError('invalid byte sequence for encoding "UTF8"', '22021')
  }
}

function isAscii(bytes: Buffer): boolean {
  for (let index = 0; index < bytes.length; index += 1) if ((bytes[index] ?? 0) > 0x7f) return false
  return true
}
