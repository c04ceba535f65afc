import type { Socket } from 'node:net'
import type { BrokeredSession, ChannelError, FrontContext } from '@sallyport/kit'
import ssh2, { type Connection, type Session } from 'ssh2'
import { algorithms } from '../algorithms.js'
import { guardTransport } from '../transport-guard.js'
import { Wire, type WireChannel } from '../wire/wire.js'
import type { ChannelOpen, ChannelRequest, RequestOf } from '../wire/messages.js'
import { Authentication, methods, type Authenticated } from './authentication.js'
import { sendBanner } from './banner.js'
import { ChannelBridge } from './channel-bridge.js'
import { refuseOpen } from './open-failure.js'
import { faultOf, shown, strangeChannel, type Refused } from './refusals.js'

const keepAliveMilliseconds = 30_000
const maxChannels = 64
/** How long a client whose session has ended has to learn why. Nothing runs meanwhile. */
const tellMilliseconds = 1000

/** One client connection. */
export class SshConnection {
  readonly #socket: Socket
  readonly #context: FrontContext
  readonly #abort = new AbortController()
  readonly #authentication: Authentication
  readonly #bridges = new Set<ChannelBridge>()
  #deadline: NodeJS.Timeout | undefined
  #connection: Connection | undefined
  #session: BrokeredSession | undefined
  #wire: Wire | undefined
  /** Why the session could not be opened, or was ended: told on every channel. */
  #ended: string | undefined
  /** The request for authentication that is being handled. A client may give one up for another. */
  #authenticating: ssh2.AuthContext | undefined
  #opening = false
  readonly #boundPorts = new Map<string, number>()

  constructor(socket: Socket, context: FrontContext) {
    this.#socket = socket
    this.#context = context
    this.#authentication = new Authentication(context, socket.remoteAddress ?? '', this.#abort.signal)
  }

  start(): void {
    const socket = this.#socket
    socket.on('error', () => socket.destroy())
    socket.once('close', () => this.#gone())
    // The listener leaves half-closed sockets open; in SSH a client that has closed its half is gone, and nothing that it
    // waits for may run any more.
    socket.once('end', () => socket.destroy())
    this.#deadline = setTimeout(() => socket.destroy(), this.#context.limits.handshakeMilliseconds)
    let server: ssh2.Server
    try {
      server = new ssh2.Server({ hostKeys: [...this.#context.hostKeys], ident: 'Sallyport', algorithms, keepaliveInterval: keepAliveMilliseconds, keepaliveCountMax: 3 }, (connection) => this.#connected(connection))
    } catch (error) {
      this.#context.log.warn({ error_name: error instanceof Error ? error.name : 'unknown' }, 'the SSH host keys can not be used')
      socket.destroy()
      return
    }
    server.injectSocket(socket)
  }

  #connected(connection: Connection): void {
    this.#connection = connection
    connection.on('error', () => this.#socket.destroy())
    const guarded = guardTransport(connection, this.#socket, {
      violated: () => this.#socket.destroy(),
      strangeChannel: (type, more) => this.#record(strangeChannel(type, more)),
    })
    if (!guarded) {
      this.#context.log.warn({}, 'ssh2 has changed')
      this.#socket.destroy()
      return
    }
    connection.on('authentication', (context) => {
      this.#authenticate(connection, context).catch(() => this.#socket.destroy())
    })
    connection.on('session', (accept, reject) => {
      if (this.#bridges.size >= maxChannels) reject()
      else this.#serveSession(accept())
    })
    connection.on('tcpip', (accept, reject, info) => {
      void this.#forward({ kind: 'direct-tcpip', host: info.destIP, port: info.destPort, originHost: info.srcIP, originPort: info.srcPort }, accept, reject)
    })
    connection.on('request', (accept, reject, name, info) => {
      if (name !== 'tcpip-forward' && name !== 'cancel-tcpip-forward') {
        this.#record({ action: 'ssh.reverse_forward', text: `request ${shown(name)}` })
        return reject?.()
      }
      void this.#globalRequest({ type: name, host: info.bindAddr, port: info.bindPort }).then((ok) => {
        if (ok === false) reject?.()
        else accept?.(ok)
      })
    })
  }

  async #authenticate(connection: Connection, context: ssh2.AuthContext): Promise<void> {
    // ssh2 asks a second time while the first is answered, where a client gives up keyboard-interactive in the middle. With
    // a session being opened that would open another, which nobody owns.
    if (this.#opening) {
      this.#socket.destroy()
      return
    }
    this.#authenticating = context
    const outcome = await this.#authentication.handle(context)
    if (this.#socket.destroyed || this.#authenticating !== context) return
    if (outcome === 'answered') return
    if (outcome === undefined) {
      context.reject(methods)
      if (this.#authentication.exhausted) this.#hangUp()
      return
    }
    if ('granted' in outcome) {
      this.#opening = true
      await this.#open(outcome)
      this.#context.authenticated()
      clearTimeout(this.#deadline)
      context.accept()
      return
    }
    sendBanner(connection, errorText(outcome))
    context.reject(methods)
    if (this.#authentication.exhausted) this.#hangUp()
  }

  /** The client is who it says; when its session can't be had all the same, it is told on the channels that it opens. */
  async #open({ granted, parameters }: Authenticated): Promise<void> {
    let session: BrokeredSession
    try {
      session = await this.#context.broker.open(granted, parameters, this.#abort.signal)
    } catch (error) {
      this.#ended = isChannelError(error) ? errorText(error) : 'Sallyport: internal error in the gateway'
      return
    }
    this.#session = session
    const wire = new Wire(session.channel, 'front', {
      onOpen: (channel, open) => this.#opened(channel, open),
      onRequest: (request) => Promise.resolve(this.#onEngineRequest(request)),
      onClose: (error) => this.#over(error),
      onBroken: (error) => this.#context.log.warn({ session: session.sessionId, error_name: error.name }, 'agent broke the protocol'),
    })
    this.#wire = wire
    wire.start()
  }

  #serveSession(session: Session): void {
    const bridge = this.#newBridge()
    const channel = this.#wire?.open({ kind: 'session' }, bridge)
    if (channel !== undefined) bridge.attachWire(channel)
    const ask = (request: ChannelRequest): void => {
      void channel?.request(request)
    }
    session.on('close', () => {
      this.#bridges.delete(bridge)
      channel?.close()
    })
    // Replies go out at once, because ssh2 drops those that come later than the start of the command; what the policy
    // refuses is told on the channel itself.
    session.on('env', (accept, _reject, info) => {
      ask({ type: 'env', name: info.key, value: info.val })
      accept?.()
    })
    session.on('pty', (accept, reject, info) => {
      const { term, cols, rows, width, height, modes } = info
      const request = { type: 'pty', term, columns: cols, rows, width, height, modes: numbers(modes) } as const
      ask(request)
      accept?.()
      void reject
    })
    session.on('window-change', (accept, _reject, info) => {
      channel?.notify({ type: 'window-change', columns: info.cols, rows: info.rows, width: info.width, height: info.height })
      accept?.()
    })
    session.on('signal', (accept, _reject, info) => {
      channel?.notify({ type: 'signal', name: info.name })
      accept?.()
    })
    session.on('x11', (_accept, reject) => {
      ask({ type: 'x11' })
      reject?.()
    })
    session.on('auth-agent', (_accept, reject) => {
      ask({ type: 'agent-forward' })
      reject?.()
    })
    session.on('exec', (accept, _reject, info) => {
      this.#run(bridge, accept(), { type: 'exec', command: info.command }, info.command)
    })
    session.on('shell', (accept) => {
      this.#run(bridge, accept(), { type: 'shell' }, '')
    })
    session.on('subsystem', (accept, _reject, info) => {
      this.#run(bridge, accept(), { type: 'subsystem', name: info.name }, info.name)
    })
  }

  #run(bridge: ChannelBridge, stream: ssh2.ServerChannel | undefined, request: RequestOf<'exec'> | RequestOf<'shell'> | RequestOf<'subsystem'>, text: string): void {
    if (stream === undefined) {
      // A second command on a channel: the first one goes on. Otherwise the client has closed it already.
      if (!bridge.attached) bridge.wire?.close()
      return
    }
    const { wire } = bridge
    const fault = faultOf(request.type, text)
    if (wire === undefined || this.#ended !== undefined) {
      // Its bridge has nothing on the other side any more.
      stream.stderr.write(`${this.#ended ?? 'Sallyport: the session has ended'}\r\n`)
      stream.exit(255)
      stream.end()
      stream.close()
      return
    }
    bridge.attachClient(stream)
    if (fault !== undefined) {
      this.#record({ action: 'ssh.exec.opaque', text: shown(text) }, fault)
      bridge.fail(`Sallyport: ${fault}. Nothing was executed.\r\n`, 126)
      wire.close()
    } else {
      // A refusal that the engine explains has closed the channel before its answer comes.
      void wire.request(request).then((begun) => {
        if (!begun) bridge.fail(`${this.#ended ?? 'Sallyport: it could not be started'}\r\n`)
      })
    }
  }

  /** What is refused here without asking the engine is on record all the same. */
  #record(refused: Pick<Refused, 'action' | 'text'>, reason = 'it is not supported'): void {
    void this.#wire?.request({ type: 'refused', ...refused, reason })
  }

  async #forward(open: ChannelOpen, accept: () => ssh2.ServerChannel | undefined, reject: () => void): Promise<void> {
    const bridge = this.#newBridge()
    const channel = this.#bridges.size > maxChannels ? undefined : this.#wire?.open(open, bridge)
    const refused = channel === undefined ? (this.#ended ?? 'Sallyport: too many channels are open') : await channel.confirmed
    const stream = refused === undefined ? accept() : undefined
    if (channel === undefined || stream === undefined) {
      this.#bridges.delete(bridge)
      channel?.close()
      refuseOpen(this.#connection, reject, refused ?? 'the connection was lost')
      return
    }
    bridge.attachWire(channel)
    bridge.attachClient(stream)
    stream.on('close', () => this.#bridges.delete(bridge))
  }

  /** A port that the target listens on, and somebody came: ssh -R. */
  #opened(channel: WireChannel, open: ChannelOpen): void {
    const connection = this.#connection
    if (open.kind !== 'forwarded-tcpip' || connection === undefined || this.#bridges.size >= maxChannels) {
      channel.refuse('not possible')
      return
    }
    connection.forwardOut(open.host, open.port, open.originHost, open.originPort, (error, stream) => {
      if (error !== undefined) {
        channel.refuse('the client refused the connection')
        return
      }
      const bridge = this.#newBridge()
      bridge.attachWire(channel)
      channel.accept(bridge)
      bridge.attachClient(stream)
      stream.on('close', () => this.#bridges.delete(bridge))
    })
  }

  async #globalRequest(request: Extract<ChannelRequest, { type: 'tcpip-forward' | 'cancel-tcpip-forward' }>): Promise<false | number> {
    if (this.#wire === undefined || !(await this.#wire.request(request))) return false
    return this.#boundPorts.get(`${request.host}:${request.port}`) ?? request.port
  }

  #onEngineRequest(request: ChannelRequest): boolean {
    if (request.type !== 'forward-bound') return false
    this.#boundPorts.set(`${request.host}:${request.requested}`, request.port)
    return true
  }

  #newBridge(): ChannelBridge {
    const bridge = new ChannelBridge(this.#socket, () => this.#socket.destroy())
    this.#bridges.add(bridge)
    return bridge
  }

  /** The session is over: what the client still has open is told why. */
  #over(error: ChannelError | undefined): void {
    this.#ended = error ? errorText(error) : 'Sallyport: the session has ended'
    if (error) for (const bridge of this.#bridges) bridge.fail(`${this.#ended}\r\n`)
    // OpenSSH's client drops what it hasn't shown yet when it is disconnected. And an agent that can't reach its target says
    // so before the client has asked for anything: it is told as soon as it does.
    if (error) setTimeout(() => this.#hangUp(), tellMilliseconds).unref()
    else this.#hangUp()
  }

  #hangUp(): void {
    this.#connection?.end()
    setTimeout(() => this.#socket.destroy(), 2000).unref()
  }

  #gone(): void {
    clearTimeout(this.#deadline)
    this.#abort.abort()
    this.#wire?.close()
    this.#session?.channel.close()
  }
}

function errorText(error: ChannelError): string {
  return `${error.message.startsWith('Sallyport') ? '' : 'Sallyport: '}${error.message}${error.hint === '' ? '' : `\r\nHint: ${error.hint}`}`
}

function isChannelError(error: unknown): error is Error & ChannelError {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && 'hint' in error && typeof error.hint === 'string'
}

/** Terminal modes (RFC 4254 section 8) by name; what isn't a number is left out. */
function numbers(modes: object): Record<string, number> {
  return Object.fromEntries(Object.entries(modes).filter((entry): entry is [string, number] => typeof entry[1] === 'number'))
}
