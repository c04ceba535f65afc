import type { Duplex } from 'node:stream'
import { protocolError, StreamsError } from '../errors.js'
import { Gate, type Lane } from '../inbox.js'
import { STREAM_CREATION_MS } from '../limits.js'
import { Wire, type WireReader } from '../wire.js'
import { dataHead, goAway, ping, resets, rstStream, SpdyDecoder, SpdyEncoder, type SpdySink } from './frames.js'
import type { SpdyHeaders } from './headers.js'

/** What a stream receives. */
export interface StreamSink {
  /** May throw {@link StreamsError}. */
  bytes(bytes: Buffer): void
  end(): void
  /** The peer gave the stream up, or the connection is over. Called once, never after both ends were reached. */
  reset(error: StreamsError): void
}

export interface SessionSink {
  /** The peer opens a stream: says who takes it, or undefined to refuse it. */
  opened(stream: SpdyStream): StreamSink | undefined
  /** The connection is over; called once, after the streams' resets. */
  over(error: StreamsError | undefined): void
}

export interface SessionOptions {
  readonly role: 'server' | 'client'
  /** Streams that the peer may have open at once; more are refused. */
  readonly maxStreams: number
}

/** One stream, both ways. */
export class SpdyStream implements Lane {
  sink: StreamSink | undefined
  /** Settled by the reply to a stream that this side opened. */
  reply: PromiseWithResolvers<void> | undefined
  localEnded = false
  remoteEnded = false

  constructor(
    readonly id: number,
    readonly headers: SpdyHeaders,
    private readonly session: SpdySession,
  ) {}

  send(bytes: Buffer, sent: () => void): void {
    if (!this.localEnded) this.session.sendData(this, bytes, sent)
  }

  finish(): void {
    if (!this.localEnded) this.session.sendFin(this)
  }

  reset(): void {
    this.session.sendReset(this)
  }
}

/**
 * A SPDY/3.1 connection as Kubernetes uses it. Flow control is what moby/spdystream has: none. It neither sends WINDOW_UPDATE nor
 * waits for one, so a window kept here would be overrun by every kubectl, and one obeyed here would never open again; what stops a
 * peer is that the connection isn't read ({@link Gate}).
 */
export class SpdySession {
  readonly gate: Gate
  readonly #wire: Wire
  readonly #decoder: SpdyDecoder
  readonly #encoder = new SpdyEncoder()
  readonly #streams = new Map<number, SpdyStream>()
  #nextId: number
  #lastPeerId = 0
  #peerStreams = 0
  #closing = false
  #peerGoesAway = false
  #failure: StreamsError | undefined

  constructor(
    duplex: Duplex,
    private readonly options: SessionOptions,
    private readonly sink: SessionSink,
  ) {
    this.#nextId = options.role === 'client' ? 1 : 2
    const frames: SpdySink = {
      synStream: (id, headers, fin, unidirectional) => this.#synStream(id, headers, fin, unidirectional),
      synReply: (id, fin) => this.#synReply(id, fin),
      headersFin: (id) => this.#remoteFin(id),
      rstStream: (id) => this.#rstStream(id),
      ping: (id) => this.#ping(id),
      goAway: () => this.#goAway(),
      data: (id, bytes) => this.#receiving(id)?.sink?.bytes(bytes),
      dataFin: (id) => this.#remoteFin(id),
    }
    this.#decoder = new SpdyDecoder(frames)
    const reader: WireReader = {
      bytes: (chunk) => this.#decoder.push(chunk),
      end: () => this.#peerEnd(),
      broken: (error) => this.#broken(error),
      over: (error) => this.#over(error),
    }
    this.#wire = new Wire(duplex, reader)
    this.gate = new Gate((held) => this.#wire.hold(held))
  }

  start(head: Buffer): void {
    this.#wire.start(head)
  }

  /** Opens a stream; resolves when the peer has accepted it. Rejects with REFUSED, TIMEOUT, or why the connection is over. */
  async open(headers: SpdyHeaders, sink: StreamSink): Promise<SpdyStream> {
    if (this.#closing || this.#peerGoesAway || this.#wire.over) throw this.#failure ?? new StreamsError('PEER_GONE', 'the connection takes no more streams')
    const stream = new SpdyStream(this.#nextId, headers, this)
    this.#nextId += 2
    const reply = Promise.withResolvers<void>()
    stream.reply = reply
    stream.sink = sink
    this.#streams.set(stream.id, stream)
    this.#wire.answer(this.#encoder.synStream(stream.id, headers))
    const timer = setTimeout(() => {
      reply.reject(new StreamsError('TIMEOUT', 'the peer left a new stream without an answer'))
      this.sendReset(stream)
    }, STREAM_CREATION_MS).unref()
    try {
      await reply.promise
    } finally {
      clearTimeout(timer)
    }
    return stream
  }

  /** Ends the connection properly after what was sent; streams that are still open are over. */
  close(): void {
    if (this.#closing || this.#wire.over) return
    this.#wire.answer(goAway(this.#lastPeerId, 0))
    this.#closing = true
    this.#decoder.stop()
    this.#wire.end()
  }

  abort(reason: StreamsError): void {
    this.#failure ??= reason
    this.#wire.answer(goAway(this.#lastPeerId, 0))
    this.#wire.cut(reason)
  }

  sendData(stream: SpdyStream, bytes: Buffer, sent: () => void): void {
    this.#wire.send(dataHead(stream.id, bytes.length, false), bytes, sent)
  }

  sendFin(stream: SpdyStream): void {
    stream.localEnded = true
    this.#wire.send(dataHead(stream.id, 0, true), undefined, () => undefined)
    this.#forgetEnded(stream)
  }

  sendReset(stream: SpdyStream): void {
    if (this.#streams.get(stream.id) !== stream) return
    this.#forget(stream)
    this.#wire.answer(rstStream(stream.id, resets.cancel))
  }

  #synStream(id: number, headers: SpdyHeaders, fin: boolean, unidirectional: boolean): void {
    if (id % 2 === this.#nextId % 2 || id <= this.#lastPeerId) throw protocolError('a stream id that is not the next one of its side')
    this.#lastPeerId = id
    const stream = new SpdyStream(id, headers, this)
    this.#streams.set(id, stream)
    this.#peerStreams++
    const taken = !unidirectional && this.#peerStreams <= this.options.maxStreams && !this.#peerGoesAway
    const sink = taken ? this.sink.opened(stream) : undefined
    if (sink === undefined) {
      this.#forget(stream)
      this.#wire.answer(rstStream(id, resets.refused))
      return
    }
    stream.sink = sink
    this.#wire.answer(this.#encoder.synReply(id))
    if (fin) this.#remoteFin(id)
  }

  #synReply(id: number, fin: boolean): void {
    const stream = this.#known(id)
    if (stream === undefined) return
    if (stream.reply === undefined) throw protocolError('a reply to a stream that has one or needs none')
    stream.reply.resolve()
    stream.reply = undefined
    if (fin) this.#remoteFin(id)
  }

  #remoteFin(id: number): void {
    const stream = this.#receiving(id)
    if (stream === undefined) return
    stream.remoteEnded = true
    this.#forgetEnded(stream)
    stream.sink?.end()
  }

  #rstStream(id: number): void {
    const stream = this.#known(id)
    if (stream === undefined) return
    this.#forget(stream)
    this.#drop(stream, stream.reply ? new StreamsError('REFUSED', 'the peer refused the stream') : new StreamsError('RESET', 'the peer reset the stream'))
  }

  #ping(id: number): void {
    // Its own parity asks; the other one answers what this side never asks.
    if (id % 2 !== this.#nextId % 2) this.#wire.answer(ping(id))
  }

  #goAway(): void {
    this.#peerGoesAway = true
    this.#endIfIdle()
  }

  /** The open stream that a frame speaks of; undefined for one that is over, whose frames may still be under way. */
  #known(id: number): SpdyStream | undefined {
    const stream = this.#streams.get(id)
    if (stream) return stream
    const once = id % 2 === this.#nextId % 2 ? id < this.#nextId : id <= this.#lastPeerId
    if (!once) throw protocolError('a frame for a stream that was never opened')
    return undefined
  }

  #receiving(id: number): SpdyStream | undefined {
    const stream = this.#known(id)
    if (stream?.remoteEnded) throw protocolError('a stream goes on after its end')
    if (stream?.reply) throw protocolError('a stream goes on before its reply')
    return stream
  }

  #forgetEnded(stream: SpdyStream): void {
    if (stream.localEnded && stream.remoteEnded) this.#forget(stream)
  }

  #forget(stream: SpdyStream): void {
    if (!this.#streams.delete(stream.id)) return
    stream.localEnded = true
    if (stream.id % 2 !== this.#nextId % 2) this.#peerStreams--
    this.#endIfIdle()
  }

  #drop(stream: SpdyStream, error: StreamsError): void {
    stream.localEnded = true
    stream.reply?.reject(error)
    stream.reply = undefined
    stream.sink?.reset(error)
  }

  #endIfIdle(): void {
    if (this.#peerGoesAway && this.#streams.size === 0) this.#wire.cut()
  }

  #peerEnd(): void {
    if (!this.#closing && !this.#peerGoesAway) return this.abort(new StreamsError('PEER_GONE', 'the connection ended without a goodbye'))
    this.#wire.cut()
  }

  #broken(error: StreamsError): void {
    if (this.#failure) return
    this.#failure = error
    this.#wire.answer(goAway(this.#lastPeerId, 1))
    this.#wire.cut(error)
  }

  #over(error: StreamsError | undefined): void {
    this.#decoder.stop()
    const goodbye = this.#closing || this.#peerGoesAway
    const cut = goodbye ? undefined : new StreamsError('PEER_GONE', 'the connection was cut')
    const reason = this.#failure ?? (error?.code === 'PEER_GONE' && goodbye ? undefined : error) ?? cut
    this.#failure ??= reason
    const streams = [...this.#streams.values()]
    this.#streams.clear()
    for (const stream of streams) this.#drop(stream, reason ?? new StreamsError('RESET', 'the connection was closed'))
    this.sink.over(reason)
  }
}
