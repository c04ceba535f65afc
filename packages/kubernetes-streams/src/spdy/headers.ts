import { constants, inflateRawSync } from 'node:zlib'
import { limitError, protocolError } from '../errors.js'
import { MAX_HEADER_BLOCK, MAX_HEADERS } from '../limits.js'
import { headerDictionary } from './dictionary.js'

export type SpdyHeaders = ReadonlyMap<string, string>

/** How far back a deflate stream can refer. */
const WINDOW = 32 * 1024
/** DICTID of the SPDY/3 dictionary: its Adler-32. */
export const DICTIONARY_ID = 0xe3c6a7c2
/** The empty stored block with which every Z_SYNC_FLUSH ends. */
const SYNC_FLUSH = Buffer.from([0x00, 0x00, 0x00, 0xff, 0xff])

/**
 * Inflates the header blocks of one direction, which are one zlib stream cut by sync flushes. Node's stateful inflater is
 * asynchronous, and its synchronous calls close the state behind them; but after a sync flush all of a deflate stream's state is its
 * last 32 KiB of output, so each block is inflated on its own with that as dictionary: synchronous, in order, bounded, no private API.
 */
export class HeaderInflater {
  #history: Buffer | undefined

  /** Throws {@link StreamsError}; the direction can't go on then. */
  inflate(block: Buffer): Buffer {
    const raw = this.#history === undefined ? this.#begin(block) : block
    // The two leading bits of a sync flush's empty block may share a byte with the block before; these four never do.
    if (!raw.subarray(-4).equals(SYNC_FLUSH.subarray(1))) throw protocolError("a header block doesn't end with a flush")
    const history = this.#history ?? Buffer.alloc(0)
    const plain = this.#inflateRaw(raw, history)
    this.#history = Buffer.from(Buffer.concat([history, plain]).subarray(-WINDOW))
    return plain
  }

  /** The stream's own header (RFC 1950): deflate, with or without the dictionary. */
  #begin(block: Buffer): Buffer {
    if (block.length < 6) throw protocolError('a zlib header is cut short')
    const head = block.readUInt16BE(0)
    if ((head & 0x0f00) !== 0x0800 || head >> 12 > 7 || head % 31 !== 0) throw protocolError('not a zlib stream')
    if ((head & 0x20) === 0) {
      this.#history = Buffer.alloc(0)
      return block.subarray(2)
    }
    if (block.readUInt32BE(2) !== DICTIONARY_ID) throw protocolError('another dictionary than that of SPDY/3')
    this.#history = headerDictionary
    return block.subarray(6)
  }

  #inflateRaw(raw: Buffer, history: Buffer): Buffer {
    const dictionary = history.length > 0 ? { dictionary: history } : {}
    try {
      return inflateRawSync(raw, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: MAX_HEADER_BLOCK, ...dictionary })
    } catch (error) {
      if (error instanceof RangeError) throw limitError(`a header block inflates to at most ${MAX_HEADER_BLOCK} bytes`)
      throw protocolError("a header block can't be inflated")
    }
  }
}

/**
 * Makes the header blocks of one direction. They are stored, not compressed: valid for every inflater, no state to keep, and the
 * length of what is sent tells nothing of its content (CRIME). Kubernetes sends a few short headers per stream.
 */
export class HeaderDeflater {
  #begun = false

  deflate(plain: Buffer): Buffer {
    if (plain.length > MAX_HEADER_BLOCK) throw limitError(`a header block is at most ${MAX_HEADER_BLOCK} bytes`)
    const head = Buffer.alloc(5)
    head.writeUInt16LE(plain.length, 1)
    head.writeUInt16LE(plain.length ^ 0xffff, 3)
    const begin = this.#begun ? Buffer.alloc(0) : Buffer.from([0x78, 0x01])
    this.#begun = true
    // Go's reader hands out what it has only at the empty block.
    return Buffer.concat([begin, head, plain, SYNC_FLUSH])
  }
}

/** Name/value pairs as they are compressed (section 2.6.10). */
export function encodeHeaders(headers: SpdyHeaders): Buffer {
  const parts = [uint32(headers.size)]
  for (const [name, value] of headers) {
    const nameBytes = Buffer.from(name.toLowerCase(), 'latin1')
    const valueBytes = Buffer.from(value, 'latin1')
    parts.push(uint32(nameBytes.length), nameBytes, uint32(valueBytes.length), valueBytes)
  }
  return Buffer.concat(parts)
}

/** Reads an inflated block. Strict: lower-case names once each, one value each (a NUL would separate several), nothing left over. */
export function decodeHeaders(plain: Buffer): SpdyHeaders {
  let at = 0
  const take = (length: number): Buffer => {
    if (length > plain.length - at) throw protocolError('a header block is cut short')
    at += length
    return plain.subarray(at - length, at)
  }
  const count = take(4).readUInt32BE(0)
  if (count > MAX_HEADERS) throw limitError(`a header block has at most ${MAX_HEADERS} headers`)
  const headers = new Map<string, string>()
  for (let i = 0; i < count; i++) {
    const name = take(take(4).readUInt32BE(0)).toString('latin1')
    const value = take(take(4).readUInt32BE(0)).toString('latin1')
    if (!/^[!-@[-~]+$/.test(name)) throw protocolError('a header name is empty or has forbidden characters')
    if (/[\0\r\n]/.test(value)) throw protocolError('a header value has several values or forbidden characters')
    if (headers.has(name)) throw protocolError('a header stands twice')
    headers.set(name, value)
  }
  if (at !== plain.length) throw protocolError('bytes after the last header')
  return headers
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
