import type { Duplex } from 'node:stream'
import { StreamsError } from '../errors.js'
import { Gate } from '../inbox.js'
import { Wire, type WireReader } from '../wire.js'
import { encodeFrame, FrameDecoder, opcodes, type FrameSink } from './frames.js'

export interface MessageSink {
  messageStart(): void
  /** May throw {@link StreamsError}. */
  messageBytes(bytes: Buffer): void
  messageEnd(): void
  /** The peer closed properly: no message comes after it. */
  peerClosed(): void
  /** The connection is over; called once. */
  over(error: StreamsError | undefined): void
}

export interface ConnectionOptions {
  readonly role: 'server' | 'client'
  /** Gives unpredictable bytes: a client's masks (RFC 6455 section 10.3). */
  readonly random: (size: number) => Buffer
}

const NORMAL = 1000
const GOING_AWAY = 1001
const PROTOCOL_ERROR = 1002
const TOO_BIG = 1009

/** An upgraded WebSocket: messages, pings and the closing handshake. */
export class WebSocketConnection {
  readonly gate: Gate
  readonly #wire: Wire
  readonly #decoder: FrameDecoder
  #closeSent = false
  #pong: Buffer | undefined
  #pongWaits = false
  #failure: StreamsError | undefined

  constructor(
    duplex: Duplex,
    private readonly options: ConnectionOptions,
    private readonly sink: MessageSink,
  ) {
    const frames: FrameSink = {
      messageStart: () => this.#open && sink.messageStart(),
      messageBytes: (bytes) => this.#open && sink.messageBytes(bytes),
      messageEnd: () => this.#open && sink.messageEnd(),
      ping: (payload) => this.#ping(payload),
      pong: () => undefined,
      close: (code) => this.#peerClose(code),
    }
    this.#decoder = new FrameDecoder(options.role === 'server', frames)
    const reader: WireReader = {
      bytes: (chunk) => this.#decoder.push(chunk),
      end: () => this.#peerEnd(),
      broken: (error) => this.#broken(error),
      over: (error) => this.#over(error),
    }
    this.#wire = new Wire(duplex, reader)
    this.gate = new Gate((held) => this.#wire.hold(held && !this.#closeSent))
  }

  start(head: Buffer): void {
    this.#wire.start(head)
  }

  /** Sends one binary message; `sent` as {@link Wire.send}. Nothing is sent after a close. */
  send(payload: Buffer, sent: () => void): void {
    if (this.#closeSent) return
    const frame = encodeFrame(opcodes.binary, payload, this.#mask())
    this.#wire.send(frame.head, frame.payload, sent)
  }

  /** Closes properly after what was sent. What the peer still sends is dropped. */
  close(): void {
    this.#sendClose(NORMAL)
  }

  /** Ends at once. To kubectl a server says "normal": with any other code it would show that instead of the status sent before. */
  abort(reason: StreamsError): void {
    this.#failure ??= reason
    this.#sendClose(this.options.role === 'server' ? NORMAL : GOING_AWAY)
    this.#wire.cut(reason)
  }

  /** This side hasn't closed, so that messages still count. */
  get #open(): boolean {
    return !this.#closeSent
  }

  /** Only the last ping must be answered (section 5.5.3): a peer that floods and doesn't read costs one buffer. */
  #ping(payload: Buffer): void {
    this.#pong = payload
    if (this.#pongWaits) return
    this.#pongWaits = true
    this.#wire.whenClear(() => this.#sendPong())
  }

  #sendPong(): void {
    this.#pongWaits = false
    const payload = this.#pong
    if (payload === undefined || this.#closeSent) return
    this.#pong = undefined
    const frame = encodeFrame(opcodes.pong, payload, this.#mask())
    this.#wire.answer(Buffer.concat([frame.head, frame.payload]))
  }

  #peerClose(code: number | undefined): void {
    const proper = code === undefined || code === NORMAL
    if (!proper) this.#failure = new StreamsError('PEER_GONE', `the peer closed with code ${code}`)
    else if (this.#open) this.sink.peerClosed()
    this.#sendClose(code ?? NORMAL)
    // Nothing more is to come, and it reads nothing but the answer.
    this.#wire.cut()
  }

  #peerEnd(): void {
    if (!this.#closeSent) return this.abort(new StreamsError('PEER_GONE', 'the connection ended without a close'))
    this.#wire.cut()
  }

  #broken(error: StreamsError): void {
    this.#failure ??= error
    this.#sendClose(error.code === 'LIMIT' ? TOO_BIG : PROTOCOL_ERROR)
    this.#wire.cut(error)
  }

  #over(error: StreamsError | undefined): void {
    if (this.#failure) return this.sink.over(this.#failure)
    // A peer that cuts the line once this side has closed, as kubectl's exit does, ended properly.
    if (this.#closeSent && (error === undefined || error.code === 'PEER_GONE')) return this.sink.over(undefined)
    this.sink.over(error ?? new StreamsError('PEER_GONE', 'the connection was cut'))
  }

  #sendClose(code: number): void {
    if (this.#closeSent) return
    const payload = Buffer.alloc(2)
    payload.writeUInt16BE(code)
    const frame = encodeFrame(opcodes.close, payload, this.#mask())
    this.#closeSent = true
    this.#wire.last(Buffer.concat([frame.head, frame.payload]))
  }

  #mask(): Buffer | undefined {
    return this.options.role === 'client' ? this.options.random(4) : undefined
  }
}
