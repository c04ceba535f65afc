import type { Duplex } from 'node:stream'
import { asStreamsError, StreamsError } from '../errors.js'
import type { RequestedStreams } from '../faces.js'
import type { Gate, Lane } from '../inbox.js'
import { STREAM_CREATION_MS } from '../limits.js'
import { ClientSession, ServerSession, type Carrier, type CarrierSink, type StreamName } from '../remote-command.js'
import { SpdySession, type SessionSink, type SpdyStream, type StreamSink } from './session.js'

/** The streams of a session, in the order in which client-go creates them. */
function names(requested: RequestedStreams): StreamName[] {
  const { stdin, stdout, stderr, tty } = requested
  const chosen: readonly (readonly [StreamName, boolean])[] = [
    ['error', true],
    ['stdin', stdin],
    ['stdout', stdout],
    ['stderr', stderr],
    ['resize', tty],
  ]
  return chosen.filter(([, wanted]) => wanted).map(([name]) => name)
}

/** Streams named by their header `streamtype`. */
class StreamCarrier implements Carrier, SessionSink {
  readonly spdy: SpdySession
  readonly gate: Gate
  readonly ready: Promise<void>
  readonly #ready = Promise.withResolvers<void>()
  readonly #expected: Set<StreamName>
  readonly #streams = new Map<StreamName, SpdyStream>()
  #sink: CarrierSink | undefined

  constructor(
    duplex: Duplex,
    private readonly role: 'server' | 'client',
    requested: RequestedStreams,
  ) {
    this.#expected = new Set(names(requested))
    this.spdy = new SpdySession(duplex, { role, maxStreams: role === 'server' ? this.#expected.size : 0 }, this)
    this.gate = this.spdy.gate
    this.ready = this.#ready.promise
  }

  async start(sink: CarrierSink, head: Buffer): Promise<void> {
    this.#sink = sink
    this.spdy.start(head)
    if (this.role === 'client') void this.#openAll()
    const timer = setTimeout(() => this.abort(new StreamsError('TIMEOUT', "the client didn't create the streams that it announced")), STREAM_CREATION_MS).unref()
    try {
      await this.ready
    } finally {
      clearTimeout(timer)
    }
  }

  lane(name: StreamName): Lane {
    return {
      send: (bytes, sent) => this.#streams.get(name)?.send(bytes, sent),
      finish: () => this.#streams.get(name)?.finish(),
      reset: () => this.#streams.get(name)?.reset(),
    }
  }

  close(): void {
    this.spdy.close()
  }

  abort(reason: StreamsError): void {
    this.spdy.abort(reason)
  }

  /** Takes exactly the announced streams, each once. */
  opened(stream: SpdyStream): StreamSink | undefined {
    const given = stream.headers.get('streamtype')
    const name = [...this.#expected].find((expected) => expected === given)
    if (name === undefined || this.#streams.has(name)) return undefined
    this.#add(name, stream)
    return this.#streamSink(name)
  }

  over(error: StreamsError | undefined): void {
    this.#ready.reject(error ?? new StreamsError('PEER_GONE', 'the peer closed before the streams were there'))
    this.#sink?.over(error)
  }

  async #openAll(): Promise<void> {
    try {
      for (const name of this.#expected) this.#add(name, await this.spdy.open(new Map([['streamtype', name]]), this.#streamSink(name)))
    } catch (error) {
      this.abort(asStreamsError(error))
    }
  }

  #add(name: StreamName, stream: SpdyStream): void {
    this.#streams.set(name, stream)
    if (this.#streams.size === this.#expected.size) this.#ready.resolve()
  }

  #streamSink(name: StreamName): StreamSink {
    return {
      bytes: (bytes) => this.#sink?.received(name, bytes),
      end: () => this.#sink?.ended(name, false),
      reset: () => this.#sink?.ended(name, true),
    }
  }
}

/** The server's end; resolves when the client has created its streams. */
export async function serveStreams(duplex: Duplex, head: Buffer, requested: RequestedStreams): Promise<ServerSession> {
  const carrier = new StreamCarrier(duplex, 'server', requested)
  const session = new ServerSession(requested, carrier)
  await carrier.start(session, head)
  return session
}

/** The client's end; resolves when the server has accepted every stream. */
export async function openStreams(duplex: Duplex, head: Buffer, requested: RequestedStreams): Promise<ClientSession> {
  const carrier = new StreamCarrier(duplex, 'client', requested)
  const session = new ClientSession(requested, carrier)
  await carrier.start(session, head)
  return session
}
