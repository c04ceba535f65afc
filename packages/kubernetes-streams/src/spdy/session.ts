import { Duplex } from 'node:stream'
import { StreamProtocolError } from '../errors.js'
import { decodeHeaders, encodeHeaders, HeaderDeflater, HeaderInflater, type SpdyHeaders } from './header-block.js'

/** SPDY/3.1 draft, section 2.6. */
const types = { synStream: 1, synReply: 2, rstStream: 3, settings: 4, ping: 6, goAway: 7, headers: 8, windowUpdate: 9 } as const
const flagFin = 0x01
const version = 3
const maxFrameBytes = 1024 * 1024
const maxDataBytes = 32 * 1024

export interface SpdySessionOptions {
  /** Clients open odd streams, servers even ones. */
  readonly role: 'client' | 'server'
  /** Streams that the peer may have open at a time. */
  readonly maxStreams: number
  /** The peer opens a stream. */
  onStream(stream: SpdyStream): void
  /** Over, for whatever reason; once. */
  onClose(error: Error | undefined): void
}

/**
 * SPDY/3.1 as Kubernetes uses it (moby/spdystream): streams with headers, half-closed on each side, without flow control of
 * their own: whoever can't take more stops the whole connection.
 */
export class SpdySession {
  readonly #options: SpdySessionOptions
  readonly #streams = new Map<number, SpdyStream>()
  readonly #deflater = new HeaderDeflater()
  readonly #inflater = new HeaderInflater()
  #pending: Buffer = Buffer.alloc(0)
  #reading = false
  #nextId: number
  #lastPeerId = 0
  #ended = false
  #over = false
  #blocked = 0

  constructor(
    private readonly duplex: Duplex,
    options: SpdySessionOptions,
  ) {
    this.#options = options
    this.#nextId = options.role === 'client' ? 1 : 2
    duplex.on('data', (bytes: Buffer) => {
      this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes])
      void this.#read()
    })
    duplex.on('error', (error: Error) => this.#finish(error))
    duplex.once('end', () => {
      this.#ended = true
      if (!this.#reading) this.#finish(undefined)
    })
    duplex.once('close', () => this.#finish(undefined))
  }

  /** Opens a stream. @throws {StreamProtocolError} when the session is over */
  open(headers: SpdyHeaders, fin = false): SpdyStream {
    if (this.#over) throw new StreamProtocolError('the connection is closed')
    const id = this.#nextId
    this.#nextId += 2
    const block = this.#deflater.deflate(encodeHeaders(headers))
    const payload = Buffer.alloc(10 + block.length)
    payload.writeUInt32BE(id, 0)
    block.copy(payload, 10)
    this.#control(types.synStream, fin ? flagFin : 0, payload)
    const stream = this.#made(id, headers, true)
    if (fin) stream.localEnded()
    return stream
  }

  /** Says that nothing new is taken, and ends the connection. */
  close(): void {
    if (this.#over) return
    const payload = Buffer.alloc(8)
    payload.writeUInt32BE(this.#lastPeerId, 0)
    this.#control(types.goAway, 0, payload)
    this.duplex.end()
  }

  destroy(error?: Error): void {
    this.duplex.destroy(error)
    this.#finish(error)
  }

  /** For streams: sends data. False when the connection takes no more for now. */
  sendData(id: number, bytes: Buffer, fin: boolean): boolean {
    if (this.#over) return true
    let free = true
    let start = 0
    do {
      const data = bytes.subarray(start, start + maxDataBytes)
      start += data.length
      const head = Buffer.allocUnsafe(8)
      head.writeUInt32BE(id, 0)
      head.writeUInt32BE((fin && start >= bytes.length ? flagFin << 24 : 0) | data.length, 4)
      this.duplex.write(head)
      if (data.length > 0) free = this.duplex.write(data)
    } while (start < bytes.length)
    return free && !this.duplex.writableNeedDrain
  }

  drained(): Promise<void> {
    const { duplex } = this
    if (this.#over || !duplex.writableNeedDrain) return Promise.resolve()
    return new Promise((resolve) => {
      const done = (): void => {
        duplex.off('drain', done).off('close', done)
        resolve()
      }
      duplex.on('drain', done).on('close', done)
    })
  }

  sendReset(id: number, code: number): void {
    const payload = Buffer.alloc(8)
    payload.writeUInt32BE(id, 0)
    payload.writeUInt32BE(code, 4)
    this.#control(types.rstStream, 0, payload)
  }

  /** A stream can't take more: nothing is read until all of them can. */
  block(): void {
    this.#blocked += 1
    this.duplex.pause()
  }

  unblock(): void {
    this.#blocked -= 1
    if (this.#blocked === 0) this.duplex.resume()
  }

  forget(id: number): void {
    this.#streams.delete(id)
  }

  async #read(): Promise<void> {
    if (this.#reading) return
    this.#reading = true
    try {
      while (!this.#over) {
        const taken = this.#next()
        if (taken === undefined) break
        const { frame, length } = taken
        this.#pending = this.#pending.subarray(length)
        if (frame instanceof Promise) {
          // Header blocks are decompressed one after the other; meanwhile what comes only gathers, so that little may.
          this.duplex.pause()
          await frame
          if (this.#blocked === 0) this.duplex.resume()
        }
      }
    } catch (error) {
      this.destroy(error instanceof Error ? error : new StreamProtocolError('unreadable'))
    } finally {
      this.#reading = false
    }
    if (this.#ended) this.#finish(undefined)
  }

  #next(): { frame: Promise<void> | undefined; length: number } | undefined {
    const bytes = this.#pending
    if (bytes.length < 8) return undefined
    const first = bytes.readUInt32BE(0)
    const second = bytes.readUInt32BE(4)
    const flags = second >>> 24
    const size = second & 0xffffff
    if (size > maxFrameBytes) throw new StreamProtocolError('a SPDY frame is too large')
    if (bytes.length < 8 + size) return undefined
    const payload = bytes.subarray(8, 8 + size)
    if (first >>> 31 === 0) {
      this.#data(first, payload, (flags & flagFin) !== 0)
      return { frame: undefined, length: 8 + size }
    }
    if (((first >>> 16) & 0x7fff) !== version) throw new StreamProtocolError('a SPDY frame is of another version')
    return { frame: this.#controlFrame(first & 0xffff, flags, payload), length: 8 + size }
  }

  #controlFrame(type: number, flags: number, payload: Buffer): Promise<void> | undefined {
    const number = (offset: number): number => {
      if (payload.length < offset + 4) throw new StreamProtocolError('a SPDY frame is too short')
      return payload.readUInt32BE(offset) & 0x7fffffff
    }
    switch (type) {
      case types.synStream:
        return this.#synStream(number(0), Buffer.from(payload.subarray(10)), (flags & flagFin) !== 0)
      case types.synReply:
      case types.headers: {
        const id = number(0)
        return this.#inflater.inflate(Buffer.from(payload.subarray(4))).then((plain) => {
          decodeHeaders(plain)
          if (type === types.synReply) this.#streams.get(id)?.replied()
          if ((flags & flagFin) !== 0) this.#streams.get(id)?.remoteEnded()
        })
      }
      case types.rstStream:
        this.#streams.get(number(0))?.wasReset()
        return undefined
      case types.ping:
        // Answered when it is the peer's (section 2.6.5).
        if ((number(0) & 1) === (this.#options.role === 'server' ? 1 : 0)) this.#control(types.ping, 0, Buffer.from(payload.subarray(0, 4)))
        return undefined
      case types.settings:
      case types.goAway:
      case types.windowUpdate:
        return undefined
      default:
        throw new StreamProtocolError('a SPDY frame is of an unknown type')
    }
  }

  async #synStream(id: number, block: Buffer, fin: boolean): Promise<void> {
    const headers = decodeHeaders(await this.#inflater.inflate(block))
    const odd = (id & 1) === 1
    if (odd !== (this.#options.role === 'server') || id <= this.#lastPeerId) throw new StreamProtocolError('a SPDY stream has a number that it may not have')
    this.#lastPeerId = id
    if (this.#streams.size >= this.#options.maxStreams) {
      this.sendReset(id, 3)
      return
    }
    const payload = Buffer.concat([Buffer.alloc(4), this.#deflater.deflate(encodeHeaders({}))])
    payload.writeUInt32BE(id, 0)
    this.#control(types.synReply, 0, payload)
    const stream = this.#made(id, headers)
    if (fin) stream.remoteEnded()
    this.#options.onStream(stream)
  }

  #data(id: number, payload: Buffer, fin: boolean): void {
    const stream = this.#streams.get(id)
    // Of a stream that was given up a moment ago.
    if (stream === undefined) return
    if (payload.length > 0) stream.received(Buffer.from(payload))
    if (fin) stream.remoteEnded()
  }

  #made(id: number, headers: SpdyHeaders, own = false): SpdyStream {
    const stream = new SpdyStream(this, id, headers, own)
    this.#streams.set(id, stream)
    return stream
  }

  #control(type: number, flags: number, payload: Buffer): void {
    if (this.#over || this.duplex.destroyed || this.duplex.writableEnded) return
    const head = Buffer.allocUnsafe(8)
    head.writeUInt32BE((0x80000000 | (version << 16) | type) >>> 0, 0)
    head.writeUInt32BE(((flags << 24) | payload.length) >>> 0, 4)
    this.duplex.write(Buffer.concat([head, payload]))
  }

  #finish(error: Error | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#inflater.close()
    for (const stream of this.#streams.values()) stream.destroy()
    this.#streams.clear()
    this.#options.onClose(error)
  }
}

/** One stream of a session. */
export class SpdyStream extends Duplex {
  #remoteEnded = false
  #localEnded = false
  #blocking = false
  #reset = false
  /** Until the peer's SYN_REPLY: moby/spdystream drops what comes before. */
  #unanswered: (() => void)[] | undefined

  constructor(
    private readonly session: SpdySession,
    readonly id: number,
    /** As the one who opened it sent them. */
    readonly headers: SpdyHeaders,
    own: boolean,
  ) {
    super({ allowHalfOpen: true })
    this.#unanswered = own ? [] : undefined
    this.on('error', () => undefined)
  }

  /** Session-internal. */
  received(bytes: Buffer): void {
    if (this.destroyed || this.#remoteEnded) return
    if (this.push(bytes) || this.#blocking) return
    this.#blocking = true
    this.session.block()
  }

  /** Session-internal. */
  remoteEnded(): void {
    if (this.#remoteEnded) return
    this.#remoteEnded = true
    this.push(null)
    if (this.#localEnded) this.session.forget(this.id)
  }

  /** Session-internal: opened with its end. */
  localEnded(): void {
    this.#localEnded = true
    if (this.#remoteEnded) this.session.forget(this.id)
  }

  /** Session-internal. */
  replied(): void {
    const waiting = this.#unanswered ?? []
    this.#unanswered = undefined
    for (const run of waiting) run()
  }

  /** Session-internal. */
  wasReset(): void {
    this.#reset = true
    this.destroy()
  }

  override _read(): void {
    if (!this.#blocking) return
    this.#blocking = false
    this.session.unblock()
  }

  override _write(bytes: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#unanswered !== undefined) this.#unanswered.push(() => this._write(bytes, encoding, done))
    else if (this.#localEnded || this.session.sendData(this.id, bytes, false)) done()
    else void this.session.drained().then(() => done())
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#unanswered !== undefined) {
      this.#unanswered.push(() => this._final(done))
      return
    }
    if (!this.#localEnded) {
      this.session.sendData(this.id, Buffer.alloc(0), true)
      this.localEnded()
    }
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (this.#blocking) {
      this.#blocking = false
      this.session.unblock()
    }
    if (!this.#reset && !(this.#localEnded && this.#remoteEnded)) this.session.sendReset(this.id, 5)
    this.session.forget(this.id)
    done(error)
  }
}
