import type { Duplex } from 'node:stream'
import { protocolError, type StreamsError } from '../errors.js'
import type { RequestedStreams } from '../faces.js'
import type { Gate, Lane } from '../inbox.js'
import { ClientSession, ServerSession, type Carrier, type CarrierSink, type StreamName } from '../remote-command.js'
import { WebSocketConnection, type MessageSink } from './connection.js'

const CHANNELS = ['stdin', 'stdout', 'stderr', 'error', 'resize'] as const satisfies readonly StreamName[]
/** v5: a message of this channel carries the number of a channel that its sender closes. */
const CLOSE_CHANNEL = 255
const nothing = (): void => undefined

/** Channels of v4 and v5: the first byte of a message says whose bytes follow. */
class ChannelCarrier implements Carrier, MessageSink {
  readonly connection: WebSocketConnection
  readonly gate: Gate
  #sink: CarrierSink | undefined
  #channel: number | undefined
  #closing: number | undefined

  constructor(
    duplex: Duplex,
    private readonly role: 'server' | 'client',
    private readonly closes: boolean,
    random: (size: number) => Buffer,
  ) {
    this.connection = new WebSocketConnection(duplex, { role, random }, this)
    this.gate = this.connection.gate
  }

  start(sink: CarrierSink, head: Buffer): void {
    this.#sink = sink
    this.connection.start(head)
  }

  lane(name: StreamName): Lane {
    const number = CHANNELS.indexOf(name)
    const prefix = Buffer.from([number])
    return {
      send: (bytes, sent) => this.connection.send(Buffer.concat([prefix, bytes]), sent),
      // Only clients close channels: kubectl takes a server's for a message of an unknown channel and complains on the terminal.
      finish: () => this.closes && this.role === 'client' && this.connection.send(Buffer.from([CLOSE_CHANNEL, number]), nothing),
      reset: nothing,
    }
  }

  close(): void {
    this.connection.close()
  }

  abort(reason: StreamsError): void {
    this.connection.abort(reason)
  }

  messageStart(): void {
    this.#channel = undefined
    this.#closing = undefined
  }

  messageBytes(bytes: Buffer): void {
    let rest = bytes
    if (this.#channel === undefined) {
      this.#channel = bytes[0]
      rest = bytes.subarray(1)
    }
    if (this.#channel === CLOSE_CHANNEL && this.closes) return this.#closeBytes(rest)
    const name = CHANNELS[this.#channel ?? -1]
    if (name === undefined) throw protocolError(`unknown channel ${this.#channel}`)
    this.#sink?.received(name, rest)
  }

  messageEnd(): void {
    if (this.#channel === undefined) throw protocolError('a message without a channel')
    if (this.#channel !== CLOSE_CHANNEL) return
    const name = CHANNELS[this.#closing ?? -1]
    if (name === undefined) throw protocolError('the close of an unknown channel')
    // Each side may close what it sends on.
    const own = this.role === 'server' ? name === 'stdin' || name === 'resize' : name === 'stdout' || name === 'stderr'
    if (!own) throw protocolError(`the close of ${name}, which the peer doesn't send`)
    this.#sink?.ended(name, false)
  }

  peerClosed(): void {
    if (this.role === 'client') for (const name of ['stdout', 'stderr', 'error'] as const) this.#sink?.ended(name, name !== 'error')
  }

  over(error: StreamsError | undefined): void {
    this.#sink?.over(error)
  }

  #closeBytes(bytes: Buffer): void {
    if (bytes.length === 0) return
    if (bytes.length > 1 || this.#closing !== undefined) throw protocolError('a channel close names one channel')
    this.#closing = bytes[0]
  }
}

/** The server's end on an accepted WebSocket. */
export function serveChannels(duplex: Duplex, head: Buffer, protocol: string, requested: RequestedStreams, random: (size: number) => Buffer): ServerSession {
  const carrier = new ChannelCarrier(duplex, 'server', protocol.startsWith('v5.'), random)
  const session = new ServerSession(requested, carrier)
  carrier.start(session, head)
  return session
}

/** The client's end on an accepted WebSocket. */
export function openChannels(duplex: Duplex, head: Buffer, protocol: string, requested: RequestedStreams, random: (size: number) => Buffer): ClientSession {
  const carrier = new ChannelCarrier(duplex, 'client', protocol.startsWith('v5.'), random)
  const session = new ClientSession(requested, carrier)
  carrier.start(session, head)
  return session
}
