import { limitError, protocolError } from '../errors.js'
import { MAX_SPDY_CONTROL } from '../limits.js'
import { decodeHeaders, encodeHeaders, HeaderDeflater, HeaderInflater, type SpdyHeaders } from './headers.js'

/** Control frame types (SPDY/3.1 section 2.6). */
export const types = { synStream: 1, synReply: 2, rstStream: 3, settings: 4, ping: 6, goAway: 7, headers: 8, windowUpdate: 9 } as const

/** Reasons of a RST_STREAM (section 2.6.3). */
export const resets = { protocolError: 1, invalidStream: 2, refused: 3, cancel: 5 } as const

const FIN = 1
const UNIDIRECTIONAL = 2
const VERSION = 3

/** Where decoded frames go. Data is passed on as it comes. */
export interface SpdySink {
  synStream(id: number, headers: SpdyHeaders, fin: boolean, unidirectional: boolean): void
  synReply(id: number, fin: boolean): void
  /** HEADERS: their content is of no use to Kubernetes; only the end of the stream counts. */
  headersFin(id: number): void
  rstStream(id: number): void
  ping(id: number): void
  goAway(): void
  data(id: number, bytes: Buffer): void
  dataFin(id: number): void
}

/**
 * SPDY/3.1 frames from bytes, for either role. Unknown or malformed control frames end the connection: to skip what one doesn't
 * know is to let it pass. WINDOW_UPDATE and SETTINGS are checked and otherwise ignored, as moby/spdystream does.
 * Throws {@link StreamsError} and is then not to be used again.
 */
export class SpdyDecoder {
  readonly #header = Buffer.alloc(8)
  #have = 0
  #inBody = false
  #left = 0
  #control: Buffer | undefined
  #id = 0
  #stopped = false
  readonly #inflater = new HeaderInflater()

  constructor(private readonly sink: SpdySink) {}

  /** What is left of the chunk in hand, and all that comes, is ignored. */
  stop(): void {
    this.#stopped = true
  }

  push(chunk: Buffer): void {
    let at = 0
    while (!this.#stopped) {
      if (this.#inBody) {
        const take = Math.min(this.#left, chunk.length - at)
        if (take > 0) this.#body(chunk.subarray(at, at + take))
        at += take
        if (this.#left > 0) return
        this.#frameEnd()
        continue
      }
      if (at >= chunk.length) return
      const take = Math.min(8 - this.#have, chunk.length - at)
      chunk.copy(this.#header, this.#have, at, at + take)
      this.#have += take
      at += take
      if (this.#have === 8) this.#frameStart()
    }
  }

  get #flags(): number {
    return this.#header.readUInt8(4)
  }

  #frameStart(): void {
    this.#left = this.#header.readUIntBE(5, 3)
    this.#inBody = true
    const first = this.#header.readUInt32BE(0)
    if (first >>> 31 === 0) {
      this.#control = undefined
      this.#id = first
      if (first === 0) throw protocolError('data on stream 0')
      if ((this.#flags & ~FIN) !== 0) throw protocolError('unknown flags of a data frame')
      return
    }
    if (((first >>> 16) & 0x7fff) !== VERSION) throw protocolError('another version than SPDY/3')
    if (this.#left > MAX_SPDY_CONTROL) throw limitError(`a control frame is at most ${MAX_SPDY_CONTROL} bytes`)
    this.#control = Buffer.alloc(this.#left)
  }

  #body(bytes: Buffer): void {
    if (this.#control) bytes.copy(this.#control, this.#control.length - this.#left)
    else this.sink.data(this.#id, bytes)
    this.#left -= bytes.length
  }

  #frameEnd(): void {
    this.#inBody = false
    this.#have = 0
    if (this.#control) return this.#controlFrame(this.#header.readUInt16BE(2), this.#flags, this.#control)
    if (this.#flags === FIN) this.sink.dataFin(this.#id)
  }

  #controlFrame(type: number, flags: number, body: Buffer): void {
    switch (type) {
      case types.synStream: {
        allow(flags, FIN | UNIDIRECTIONAL)
        const headers = this.#headers(body, 10)
        return this.sink.synStream(streamId(body), headers, (flags & FIN) !== 0, (flags & UNIDIRECTIONAL) !== 0)
      }
      case types.synReply:
        allow(flags, FIN)
        this.#headers(body, 4)
        return this.sink.synReply(streamId(body), (flags & FIN) !== 0)
      case types.headers:
        allow(flags, FIN)
        this.#headers(body, 4)
        if ((flags & FIN) !== 0) this.sink.headersFin(streamId(body))
        return
      case types.rstStream:
        exact(body, flags, 8)
        if (body.readUInt32BE(4) === 0) throw protocolError('a reset without a reason')
        return this.sink.rstStream(streamId(body))
      case types.settings:
        allow(flags, 1)
        if (body.length < 4 || body.length !== 4 + 8 * body.readUInt32BE(0)) throw protocolError('settings of a wrong length')
        return
      case types.ping:
        exact(body, flags, 4)
        return this.sink.ping(body.readUInt32BE(0))
      case types.goAway:
        exact(body, flags, 8)
        return this.sink.goAway()
      case types.windowUpdate:
        exact(body, flags, 8)
        if ((body.readUInt32BE(4) & 0x7fffffff) === 0) throw protocolError('a window update by nothing')
        return
      default:
        throw protocolError(`unknown control frame ${type}`)
    }
  }

  /** Every header block is inflated, wanted or not: the next one builds on it. */
  #headers(body: Buffer, offset: number): SpdyHeaders {
    if (body.length < offset) throw protocolError('a control frame is cut short')
    return decodeHeaders(this.#inflater.inflate(body.subarray(offset)))
  }
}

function streamId(body: Buffer): number {
  const id = body.readUInt32BE(0) & 0x7fffffff
  if (id === 0) throw protocolError('stream 0')
  return id
}

function allow(flags: number, known: number): void {
  if ((flags & ~known) !== 0) throw protocolError('unknown flags of a control frame')
}

function exact(body: Buffer, flags: number, length: number): void {
  allow(flags, 0)
  if (body.length !== length) throw protocolError('a control frame of a wrong length')
}

/** Frames to bytes, for one direction. */
export class SpdyEncoder {
  readonly #deflater = new HeaderDeflater()

  synStream(id: number, headers: SpdyHeaders): Buffer {
    const fixed = Buffer.alloc(10)
    fixed.writeUInt32BE(id, 0)
    return control(types.synStream, Buffer.concat([fixed, this.#deflater.deflate(encodeHeaders(headers))]))
  }

  synReply(id: number): Buffer {
    return control(types.synReply, Buffer.concat([words(id), this.#deflater.deflate(encodeHeaders(new Map()))]))
  }
}

export function rstStream(id: number, reason: number): Buffer {
  return control(types.rstStream, words(id, reason))
}

export function ping(id: number): Buffer {
  return control(types.ping, words(id))
}

/** `status` 0 for a proper end, 1 for a protocol error. */
export function goAway(lastGoodId: number, status: 0 | 1): Buffer {
  return control(types.goAway, words(lastGoodId, status))
}

/** The eight bytes before `length` bytes of data. */
export function dataHead(id: number, length: number, fin: boolean): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt32BE(id, 0)
  head.writeUInt8(fin ? FIN : 0, 4)
  head.writeUIntBE(length, 5, 3)
  return head
}

function control(type: number, body: Buffer): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt16BE(0x8000 | VERSION, 0)
  head.writeUInt16BE(type, 2)
  head.writeUIntBE(body.length, 5, 3)
  return Buffer.concat([head, body])
}

function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  values.forEach((value, i) => bytes.writeUInt32BE(value, 4 * i))
  return bytes
}
