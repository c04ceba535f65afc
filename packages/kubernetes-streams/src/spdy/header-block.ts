import { constants, createInflate, type Inflate } from 'node:zlib'
import { StreamProtocolError } from '../errors.js'
import { dictionaryId, headerDictionary } from './header-dictionary.js'

export type SpdyHeaders = Readonly<Record<string, string>>

const maxBlockBytes = 64 * 1024
const maxHeaders = 100

/** Name/value block (SPDY/3.1 draft, section 2.6.10), uncompressed. */
export function encodeHeaders(headers: SpdyHeaders): Buffer {
  const number = (value: number): Buffer => {
    const bytes = Buffer.allocUnsafe(4)
    bytes.writeUInt32BE(value)
    return bytes
  }
  const entries = Object.entries(headers)
  return Buffer.concat([
    number(entries.length),
    ...entries.flatMap(([name, value]) => [number(Buffer.byteLength(name)), Buffer.from(name.toLowerCase()), number(Buffer.byteLength(value)), Buffer.from(value)]),
  ])
}

/** @throws {StreamProtocolError} */
export function decodeHeaders(block: Buffer): SpdyHeaders {
  let offset = 0
  const number = (): number => {
    if (offset + 4 > block.length) throw new StreamProtocolError('a SPDY header block is too short')
    const value = block.readUInt32BE(offset)
    offset += 4
    return value
  }
  const text = (): string => {
    const length = number()
    if (length > block.length - offset) throw new StreamProtocolError('a SPDY header block is too short')
    const value = block.toString('utf8', offset, offset + length)
    offset += length
    return value
  }
  const count = number()
  if (count > maxHeaders) throw new StreamProtocolError('a SPDY header block has too many headers')
  const headers = new Map<string, string>()
  for (let index = 0; index < count; index++) {
    const name = text()
    if (name === '' || name !== name.toLowerCase() || headers.has(name)) throw new StreamProtocolError('a SPDY header has no proper name, or stands twice')
    // Several values are separated by NUL: none of the headers used here has several.
    const value = text()
    if (value.includes('\0')) throw new StreamProtocolError('a SPDY header has several values')
    headers.set(name, value)
  }
  if (offset !== block.length) throw new StreamProtocolError('a SPDY header block is longer than it says')
  return Object.fromEntries(headers)
}

/**
 * Writes header blocks as a zlib stream of stored blocks, each followed by an empty one as a flush leaves it (RFC 1951,
 * section 3.2.4): what a decompressor needs, without its state and without asynchronous compression. They are few and small.
 */
export class HeaderDeflater {
  #begun = false

  deflate(block: Buffer): Buffer {
    const parts: Buffer[] = []
    if (!this.#begun) {
      this.#begun = true
      // RFC 1950, section 2.2: deflate with a 32 KiB window, a preset dictionary, and its checksum.
      const head = Buffer.from([0x78, 0xbb, 0, 0, 0, 0])
      head.writeUInt32BE(dictionaryId, 2)
      parts.push(head)
    }
    for (let start = 0; start < block.length; start += 0xffff) {
      const data = block.subarray(start, start + 0xffff)
      const head = Buffer.from([0, 0, 0, 0, 0])
      head.writeUInt16LE(data.length, 1)
      head.writeUInt16LE(~data.length & 0xffff, 3)
      parts.push(head, data)
    }
    parts.push(Buffer.from([0, 0, 0, 0xff, 0xff]))
    return Buffer.concat(parts)
  }
}

/** Reads header blocks of one direction, in their order: the zlib stream goes on from block to block. */
export class HeaderInflater {
  readonly #inflate: Inflate
  #out: Buffer[] = []
  #outBytes = 0
  #failure: Error | undefined
  #wake: (() => void) | undefined

  constructor() {
    this.#inflate = createInflate({ dictionary: headerDictionary, finishFlush: constants.Z_SYNC_FLUSH })
    this.#inflate.on('data', (bytes: Buffer) => {
      this.#outBytes += bytes.length
      if (this.#outBytes > maxBlockBytes) this.#fail(new StreamProtocolError('a SPDY header block grows too large'))
      else this.#out.push(bytes)
    })
    this.#inflate.on('error', () => this.#fail(new StreamProtocolError('a SPDY header block can not be decompressed')))
  }

  /** One block after the other: wait for each. @throws {StreamProtocolError} */
  async inflate(block: Buffer): Promise<Buffer> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      if (this.#failure !== undefined) return resolve()
      this.#inflate.write(block)
      this.#inflate.flush(constants.Z_SYNC_FLUSH, () => resolve())
    })
    this.#wake = undefined
    if (this.#failure !== undefined) throw this.#failure
    const plain = Buffer.concat(this.#out)
    this.#out = []
    this.#outBytes = 0
    return plain
  }

  close(): void {
    this.#inflate.destroy()
  }

  #fail(error: Error): void {
    this.#failure ??= error
    this.#inflate.destroy()
    this.#wake?.()
  }
}
