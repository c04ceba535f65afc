import type { Server } from 'node:http'
import http2, { type ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { FrontContext } from '@sallyport/kit'
import { Http2Exchange, type Exchange, type RequestHead } from './exchange.js'
import { refuse, refuseWith, relay } from './relay.js'
import { RefusedError, type Sessions } from './sessions.js'

/** Requests with a token that is not good, on one connection. */
const maxFailures = 8
const maxTokenBytes = 16 * 1024
/** Without any frame; a watch that is silent for long is kept alive by its client's pings. */
const idleMilliseconds = 30 * 60_000
const clientSettings = { initialWindowSize: 1024 * 1024, maxConcurrentStreams: 100, maxHeaderListSize: 32 * 1024, enableConnectProtocol: false } as const

/** One connection of a client: TLS, then HTTP/2 or HTTP/1.1, each request authenticated by itself. */
export class ClientConnection {
  #failures = 0
  #authenticated = false
  #deadline: NodeJS.Timeout | undefined
  #http2: ServerHttp2Session | undefined
  #socket: Socket

  constructor(
    private readonly plain: Socket,
    private readonly context: FrontContext,
    private readonly sessions: Sessions,
    private readonly http1: Server,
  ) {
    this.#socket = plain
  }

  /** @param register tells the HTTP/1.1 server whose socket it is */
  start(register: (socket: Socket, connection: ClientConnection) => void): void {
    const { plain, context } = this
    plain.on('error', () => plain.destroy())
    // Who says no more has gone: what waits for approval must not run for nobody.
    plain.once('end', () => plain.destroy())
    this.#deadline = setTimeout(() => plain.destroy(), context.limits.handshakeMilliseconds)
    plain.once('close', () => {
      clearTimeout(this.#deadline)
      this.sessions.release(this)
    })
    if (context.tls === undefined) {
      register(plain, this)
      this.http1.emit('connection', plain)
      return
    }
    const secure = new TLSSocket(plain, { isServer: true, secureContext: context.tls.context, ALPNProtocols: ['h2', 'http/1.1'] })
    this.#socket = secure
    secure.on('error', () => secure.destroy())
    secure.once('close', () => plain.destroy())
    secure.once('end', () => secure.destroy())
    secure.once('secure', () => {
      if (secure.alpnProtocol === 'h2') this.#serveHttp2(secure)
      else {
        register(secure, this)
        this.http1.emit('connection', secure)
      }
    })
  }

  /** What came can't be read as a request at all. */
  refused(reason: string): void {
    this.context.refused(reason)
  }

  /** Authenticates the request and relays it. Never rejects. */
  async serve(exchange: Exchange): Promise<void> {
    const { head } = exchange
    const place = placeOf(head.path)
    if (place === undefined) {
      refuse(exchange, 404, 'Sallyport: there is nothing here. A cluster is at /k8s/TARGET; `sallyport kubeconfig TARGET` writes the address into a kubeconfig.', 'NOT_FOUND')
      return
    }
    const token = bearerOf(head)
    if (token === undefined) {
      refuse(exchange, 401, 'Sallyport: exactly one `Authorization: Bearer` header is needed. `sallyport kubeconfig TARGET` sets kubectl up to send it.', 'AUTHENTICATION_FAILED')
      this.#failed()
      return
    }
    let gone = false
    exchange.onGone(() => {
      gone = true
    })
    const userAgent = head.headers.find(([name]) => name === 'user-agent')?.[1] ?? ''
    try {
      const link = await this.sessions.find({ token, target: place.target, clientAddress: this.plain.remoteAddress ?? '', userAgent, serverEndPoint: this.context.tls?.serverEndPoint ?? new Uint8Array() }, this)
      this.#isAuthenticated()
      if (!gone) relay(exchange, link, place.path)
    } catch (error) {
      if (!(error instanceof RefusedError)) this.context.log.warn({ error_name: error instanceof Error ? error.name : 'unknown' }, 'a request could not be relayed')
      refuseWith(exchange, error instanceof RefusedError ? error : { code: 'UNAVAILABLE', message: 'internal error in the gateway', hint: 'Tell your platform team.' })
      this.#failed()
    }
  }

  #serveHttp2(socket: TLSSocket): void {
    // Node's own TLS server clears this mark, and its HTTP/2 waits for it; on a socket that was wrapped by hand nobody does.
    Object.assign(socket, { secureConnecting: false })
    const session = http2.performServerHandshake(socket, { settings: clientSettings, maxSessionMemory: 16 })
    this.#http2 = session
    session.on('error', (error: Error & { code?: string }) => {
      if (error.code?.startsWith('ERR_HTTP2_') === true) this.refused(`HTTP/2 that can not be read (${error.code})`)
      session.destroy()
    })
    session.setTimeout(idleMilliseconds, () => session.close())
    session.on('connect', () => session.setLocalWindowSize(4 * 1024 * 1024))
    session.on('stream', (stream, headers, flags, rawHeaders) => {
      const exchange = new Http2Exchange(stream, headers, rawHeaders, (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0)
      void this.serve(exchange)
    })
  }

  #isAuthenticated(): void {
    if (this.#authenticated) return
    this.#authenticated = true
    clearTimeout(this.#deadline)
    this.context.authenticated()
  }

  #failed(): void {
    this.#failures += 1
    if (this.#failures < maxFailures) return
    if (this.#http2 !== undefined) this.#http2.close()
    else this.#socket.end()
    setTimeout(() => this.plain.destroy(), 1000).unref()
  }
}

/** `/k8s/<target>` and what is asked of it, untouched: the engine reads paths, not the gateway. */
function placeOf(path: string): { target: string; path: string } | undefined {
  const match = /^\/k8s\/([a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?)(\/.*|\?.*)?$/s.exec(path)
  if (match?.[1] === undefined) return undefined
  const rest = match[2] ?? '/'
  return { target: match[1], path: rest.startsWith('?') ? `/${rest}` : rest }
}

/** The token of the one Authorization header. */
function bearerOf({ headers }: RequestHead): string | undefined {
  const values = headers.filter(([name]) => name === 'authorization')
  const value = values.length === 1 ? values[0]?.[1] : undefined
  if (value === undefined || value.length > maxTokenBytes) return undefined
  return /^Bearer ([\w.~+/=-]+)$/i.exec(value)?.[1]
}
