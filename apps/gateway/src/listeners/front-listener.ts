import { createServer, type Server, type Socket } from 'node:net'
import type { FrontLimits, FrontTls, ProtocolFront, SessionBroker } from '@sallyport/kit'
import type { ConnectionRefused } from '@sallyport/proto'
import type { Logger } from '@sallyport/telemetry'
import type { GatewayMetrics } from '../metrics.js'
import { Backoff } from '../control/backoff.js'
import type { ConnectionCaps } from './connection-caps.js'

export interface FrontListenerOptions {
  readonly front: ProtocolFront
  readonly host: string
  readonly port: number
  readonly broker: SessionBroker
  readonly limits: FrontLimits
  readonly caps: ConnectionCaps
  /** Asked for each connection, so that a reloaded certificate serves the next one. */
  readonly tls: () => FrontTls | undefined
  /** Asked for each connection, for fronts that say so; see FrontContext. */
  readonly hostKeys: () => readonly string[]
  /** Tells the control plane of a connection that was refused. */
  readonly refused: (refusal: ConnectionRefused) => void
  readonly metrics: GatewayMetrics
  readonly log: Logger
  readonly backoff?: Backoff
}

/** Accepts the clients of one protocol. A port that can't be bound is tried again: the other listeners go on. */
export class FrontListener {
  readonly #options: FrontListenerOptions
  readonly #backoff: Backoff
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined
  #port: number | undefined
  #retry: NodeJS.Timeout | undefined
  #stopped = false

  constructor(options: FrontListenerOptions) {
    this.#options = options
    this.#backoff = options.backoff ?? new Backoff(500, 30_000)
  }

  get protocol(): string {
    return this.#options.front.protocol
  }

  get usesHostKeys(): boolean {
    return this.#options.front.usesHostKeys === true
  }

  /** Undefined while it isn't bound. */
  get port(): number | undefined {
    return this.#port
  }

  /** Resolves after the first attempt, whether it succeeded or goes on being tried. */
  start(): Promise<void> {
    return new Promise((resolve) => {
      const { host, port, log } = this.#options
      // The client may half-close and still read its results; the front sees the end and passes it on.
      const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 })
      server.on('connection', (socket) => this.#accept(socket))
      server.on('error', (error) => {
        // Also what accept() reports when the process runs out of descriptors: it goes on listening then.
        log.error({ error, protocol: this.protocol, host, port }, 'listener failed')
        if (this.#port === undefined && !this.#stopped) this.#retry = setTimeout(() => void this.start(), this.#backoff.next())
        resolve()
      })
      server.listen(port, host, () => {
        const address = server.address()
        this.#port = address !== null && typeof address === 'object' ? address.port : port
        this.#backoff.reset()
        resolve()
      })
      this.#server = server
    })
  }

  /** Stops accepting; open connections stay. */
  stop(): void {
    this.#stopped = true
    clearTimeout(this.#retry)
    if (this.#port !== undefined) this.#server?.close()
    this.#port = undefined
  }

  /** Closes what is left. */
  destroyAll(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  #accept(socket: Socket): void {
    const { front, broker, limits, caps, tls, hostKeys, refused, metrics, log } = this.#options
    // Whatever happens to this socket before the front takes it must not become an uncaught error.
    socket.on('error', () => {})
    const address = socket.remoteAddress
    const release = address === undefined || this.#stopped ? undefined : caps.admit(address, socket)
    if (release === undefined) {
      metrics.refused.inc({ reason: 'connection_cap' })
      socket.destroy()
      return
    }
    metrics.connections.inc({ protocol: front.protocol })
    this.#sockets.add(socket)
    socket.once('close', () => {
      release()
      this.#sockets.delete(socket)
    })
    let authenticated = false
    // Half-closing is for results that still come; before authentication it only means that the client has gone.
    socket.once('end', () => {
      if (!authenticated) socket.destroy()
    })
    const onAuthenticated = (): void => {
      authenticated = true
      release()
    }
    const onRefused = (reason: string): void => {
      metrics.refused.inc({ reason: 'malformed' })
      refused({ protocol: front.protocol, clientAddress: address ?? '', reason })
    }
    try {
      front.handle(socket, { broker, tls: tls(), limits, hostKeys: front.usesHostKeys ? hostKeys() : [], log, authenticated: onAuthenticated, refused: onRefused })
    } catch (error) {
      log.error({ error, protocol: front.protocol }, 'front failed')
      socket.destroy()
    }
  }
}
