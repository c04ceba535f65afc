import type { Duplex } from 'node:stream'
import { limitError, protocolError, StreamsError } from '../errors.js'
import type { ForwardedConnection, OpenedConnection, PortForwardClient, PortForwardSession } from '../faces.js'
import { LaneDuplex } from '../inbox.js'
import { MAX_ERROR_TEXT, MAX_HALF_PAIRS, MAX_PORT_STREAMS, MAX_REQUEST_ID, STREAM_CREATION_MS } from '../limits.js'
import type { SpdyHeaders } from './headers.js'
import { SpdySession, type SpdyStream, type StreamSink } from './session.js'

const nothing = (): void => undefined

/** A connection whose two streams are coming, then the connection. */
interface Pair {
  readonly port: number
  error: SpdyStream | undefined
  data: { readonly stream: SpdyStream; readonly duplex: LaneDuplex } | undefined
  readonly timer: NodeJS.Timeout
}

/** The server's end: pairs the client's streams by their requestID. */
class PortForwardServer implements PortForwardSession {
  readonly closed: Promise<StreamsError | undefined>
  readonly #spdy: SpdySession
  /** Waiting and open ones: an id is taken again only when its connection is over. */
  readonly #pairs = new Map<string, Pair>()
  readonly #waiting = new Set<string>()

  constructor(
    duplex: Duplex,
    head: Buffer,
    private readonly onConnection: (connection: ForwardedConnection) => void,
  ) {
    const { promise, resolve } = Promise.withResolvers<StreamsError | undefined>()
    this.closed = promise
    const over = (reason: StreamsError | undefined): void => {
      for (const pair of this.#pairs.values()) clearTimeout(pair.timer)
      this.#pairs.clear()
      resolve(reason)
    }
    this.#spdy = new SpdySession(duplex, { role: 'server', maxStreams: MAX_PORT_STREAMS }, { opened: (stream) => this.#opened(stream), over })
    this.#spdy.start(head)
  }

  close(): void {
    this.#spdy.close()
  }

  abort(reason = new StreamsError('ABORTED', 'the session was ended')): void {
    this.#spdy.abort(reason)
  }

  #opened(stream: SpdyStream): StreamSink | undefined {
    const asked = readHeaders(stream.headers)
    if (asked === undefined) return undefined
    const { requestId, port, type } = asked
    const pair = this.#pairs.get(requestId) ?? this.#newPair(requestId, port)
    if (pair === undefined || pair.port !== port || pair[type] !== undefined) return undefined
    // The reply to this stream is sent when its taker is known; only then may data flow, so the connection is handed out behind it.
    const sink = type === 'error' ? this.#takeError(pair, stream) : this.#takeData(pair, stream)
    if (pair.error && pair.data) {
      this.#waiting.delete(requestId)
      clearTimeout(pair.timer)
      queueMicrotask(() => this.#handOut(requestId, pair))
    }
    return sink
  }

  #newPair(requestId: string, port: number): Pair | undefined {
    if (this.#waiting.size >= MAX_HALF_PAIRS) return undefined
    const timer = setTimeout(() => this.#drop(requestId), STREAM_CREATION_MS).unref()
    const pair = { port, error: undefined, data: undefined, timer }
    this.#pairs.set(requestId, pair)
    this.#waiting.add(requestId)
    return pair
  }

  #takeError(pair: Pair, stream: SpdyStream): StreamSink {
    pair.error = stream
    // Only the server writes here; kubectl half-closes it at once.
    const bytes = (): never => {
      throw protocolError('data on an error stream')
    }
    return { bytes, end: nothing, reset: nothing }
  }

  #takeData(pair: Pair, stream: SpdyStream): StreamSink {
    const duplex = new LaneDuplex(this.#spdy.gate, stream)
    pair.data = { stream, duplex }
    return dataSink(duplex)
  }

  /** Half a pair that got no other half. */
  #drop(requestId: string): void {
    const pair = this.#pairs.get(requestId)
    this.#pairs.delete(requestId)
    this.#waiting.delete(requestId)
    pair?.error?.reset()
    pair?.data?.duplex.destroy()
  }

  #handOut(requestId: string, pair: Pair): void {
    const { error, data } = pair
    if (error === undefined || data === undefined || this.#pairs.get(requestId) !== pair) return
    const done = (): void => {
      error.finish()
      if (this.#pairs.get(requestId) === pair) this.#pairs.delete(requestId)
    }
    const fail = (message: string): void => {
      error.send(Buffer.from(message).subarray(0, MAX_ERROR_TEXT), nothing)
      done()
      data.duplex.destroy()
    }
    data.duplex.once('close', done)
    if (data.duplex.destroyed) return done()
    this.onConnection({ port: pair.port, requestId, data: data.duplex, fail, done })
  }
}

/** What a stream is for; undefined for one that no kubectl opens. */
function readHeaders(headers: SpdyHeaders): { readonly requestId: string; readonly port: number; readonly type: 'error' | 'data' } | undefined {
  const type = headers.get('streamtype')
  const portText = headers.get('port') ?? ''
  const requestId = headers.get('requestid') ?? ''
  if (type !== 'error' && type !== 'data') return undefined
  if (!/^[1-9]\d{0,4}$/.test(portText) || Number(portText) > 65_535) return undefined
  // Clients before Kubernetes 1.2 sent none; to guess it from stream ids would let one connection get another's stream.
  if (requestId === '' || requestId.length > MAX_REQUEST_ID) return undefined
  return { requestId, port: Number(portText), type }
}

function dataSink(duplex: LaneDuplex): StreamSink {
  return {
    bytes: (bytes) => duplex.deliver(bytes),
    end: () => duplex.endOfStream(),
    reset: (error) => duplex.destroy(error),
  }
}

/** The client's end. */
class PortForwardClientSession implements PortForwardClient {
  readonly closed: Promise<StreamsError | undefined>
  readonly #spdy: SpdySession
  #nextId = 0
  #open = 0

  constructor(duplex: Duplex, head: Buffer) {
    const { promise, resolve } = Promise.withResolvers<StreamsError | undefined>()
    this.closed = promise
    this.#spdy = new SpdySession(duplex, { role: 'client', maxStreams: 0 }, { opened: () => undefined, over: resolve })
    this.#spdy.start(head)
  }

  async open(port: number): Promise<OpenedConnection> {
    if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new StreamsError('REFUSED', 'a port is 1 to 65535')
    if (this.#open >= MAX_PORT_STREAMS / 2) throw new StreamsError('REFUSED', `at most ${MAX_PORT_STREAMS / 2} connections at once`)
    this.#open++
    const requestId = String(this.#nextId++)
    const text = new ErrorText()
    let errorStream: SpdyStream | undefined
    try {
      errorStream = await this.#spdy.open(headersOf('error', port, requestId), text)
      errorStream.finish()
      const { sink, attach } = lateSink()
      const stream = await this.#spdy.open(headersOf('data', port, requestId), sink)
      const data = attach(new LaneDuplex(this.#spdy.gate, stream))
      data.once('close', () => this.#open--)
      return { port, requestId, data, error: text.read }
    } catch (error) {
      this.#open--
      errorStream?.reset()
      throw error
    }
  }

  close(): void {
    this.#spdy.close()
  }

  abort(reason = new StreamsError('ABORTED', 'the session was ended')): void {
    this.#spdy.abort(reason)
  }
}

/** A sink for a stream whose duplex needs the stream first. What comes between the reply and that waits; it is one turn. */
function lateSink(): { readonly sink: StreamSink; readonly attach: (duplex: LaneDuplex) => LaneDuplex } {
  let target: StreamSink | undefined
  const early: ((sink: StreamSink) => void)[] = []
  const later = (call: (sink: StreamSink) => void): void => {
    if (target) call(target)
    else early.push(call)
  }
  const attach = (duplex: LaneDuplex): LaneDuplex => {
    target = dataSink(duplex)
    for (const call of early) call(target)
    early.length = 0
    return duplex
  }
  const sink: StreamSink = {
    bytes: (bytes) => later((to) => to.bytes(bytes)),
    end: () => later((to) => to.end()),
    reset: (error) => later((to) => to.reset(error)),
  }
  return { sink, attach }
}

/** Collects the text of an error stream. */
class ErrorText implements StreamSink {
  readonly read: Promise<string | undefined>
  readonly #resolve: (text: string | undefined) => void
  readonly #parts: Buffer[] = []
  #size = 0

  constructor() {
    const { promise, resolve } = Promise.withResolvers<string | undefined>()
    this.read = promise
    this.#resolve = resolve
  }

  bytes(bytes: Buffer): void {
    this.#size += bytes.length
    if (this.#size > MAX_ERROR_TEXT) throw limitError(`an error text is at most ${MAX_ERROR_TEXT} bytes`)
    this.#parts.push(Buffer.from(bytes))
  }

  end(): void {
    this.#resolve(this.#size > 0 ? Buffer.concat(this.#parts).toString('utf8') : undefined)
  }

  /** A kubelet writes its text and resets the stream. */
  reset(): void {
    this.end()
  }
}

function headersOf(type: 'error' | 'data', port: number, requestId: string): SpdyHeaders {
  return new Map([
    ['streamtype', type],
    ['port', String(port)],
    ['requestid', requestId],
  ])
}

/** The server's end on a connection that speaks SPDY, or carries it in WebSocket messages. */
export function serveForwarding(duplex: Duplex, head: Buffer, onConnection: (connection: ForwardedConnection) => void): PortForwardSession {
  return new PortForwardServer(duplex, head, onConnection)
}

/** The client's end. */
export function openForwarding(duplex: Duplex, head: Buffer): PortForwardClient {
  return new PortForwardClientSession(duplex, head)
}
