import { malformed } from './errors.js'

/** Reads the data types of RFC 4251, section 5. Every length is checked against what is there before it is used. */
export class WireReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  /** How many bytes were read. */
  get position(): number {
    return this.#at
  }

  byte(): number {
    return this.#take(1).readUInt8()
  }

  uint32(): number {
    return this.#take(4).readUInt32BE()
  }

  uint64(): bigint {
    return this.#take(8).readBigUInt64BE()
  }

  /** Shares memory with what is read from. */
  string(): Buffer {
    return this.#take(this.uint32())
  }

  /** Printable ASCII, as algorithm and option names are. */
  name(): string {
    const bytes = this.string()
    if (bytes.length > 256 || bytes.some((byte) => byte < 0x21 || byte > 0x7e)) throw malformed('a name is not plain ASCII')
    return bytes.toString('latin1')
  }

  /** Well-formed UTF-8 without control characters: it goes into records and onto terminals. */
  text(maxBytes: number): string {
    const bytes = this.string()
    if (bytes.length > maxBytes) throw malformed('a text is too long')
    return decodeText(bytes)
  }

  /** A positive integer, big-endian without leading zeros. Other spellings of the same number are refused. */
  positiveInteger(): Buffer {
    const bytes = this.string()
    const [first, second] = bytes
    if (first === undefined || first >= 0x80 || (first === 0 && (second === undefined || second < 0x80))) throw malformed('an integer is not in its one form')
    return first === 0 ? bytes.subarray(1) : bytes
  }

  /** @throws {SshKeyError} when bytes are left */
  end(): void {
    if (!this.isAtEnd) throw malformed('bytes are left over at the end')
  }

  #take(length: number): Buffer {
    if (length > this.#bytes.length - this.#at) throw malformed('the data ends too early')
    const taken = this.#bytes.subarray(this.#at, this.#at + length)
    this.#at += length
    return taken
  }
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** @throws {SshKeyError} */
export function decodeText(bytes: Uint8Array): string {
  let text: string
  try {
    text = strictUtf8.decode(bytes)
  } catch {
    throw malformed('a text is not UTF-8')
  }
  if (/[\u0000-\u001f\u007f-\u009f]/.test(text)) throw malformed('a text holds control characters')
  return text
}

/** The same types, written. */
export class WireWriter {
  readonly #parts: Buffer[] = []

  byte(value: number): this {
    return this.raw(Buffer.of(value))
  }

  uint32(value: number): this {
    const part = Buffer.alloc(4)
    part.writeUInt32BE(value)
    return this.raw(part)
  }

  uint64(value: bigint): this {
    const part = Buffer.alloc(8)
    part.writeBigUInt64BE(value)
    return this.raw(part)
  }

  string(value: string | Uint8Array): this {
    const bytes = Buffer.from(value)
    return this.uint32(bytes.length).raw(bytes)
  }

  /** From a big-endian magnitude, leading zeros allowed. */
  positiveInteger(magnitude: Uint8Array): this {
    let start = 0
    while (start < magnitude.length && magnitude[start] === 0) start += 1
    const bytes = Buffer.from(magnitude.subarray(start))
    return this.string((bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes)
  }

  raw(bytes: Uint8Array): this {
    this.#parts.push(Buffer.from(bytes))
    return this
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts)
  }
}
