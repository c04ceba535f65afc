import { createHash } from 'node:crypto'
import { createServer, type Server as NetServer, type Socket } from 'node:net'
import { Server, status, type ServerDuplexStream, type ServiceError } from '@grpc/grpc-js'
import { optionalClientCertificates, peerName, type RenewableServerCredentials, type ServerTls } from '@sallyport/node-identity'
import {
  enrolmentService,
  tunnelService,
  type AgentHelloReceived,
  type EnrolmentStub,
  type GatewayUp,
  type TunnelDown,
  type TunnelHandlers,
  type TunnelUpReceived,
} from '@sallyport/proto'
import type { Logger } from '@sallyport/telemetry'
import type { HostPort } from '../config/settings.js'
import { ConnectionCaps } from '../listeners/connection-caps.js'
import type { GatewayMetrics } from '../metrics.js'
import { AgentConnection } from './agent-connection.js'
import type { AgentDirectory } from './agent-directory.js'
import { enrolmentRelay } from './enrolment-relay.js'
import { widenReceiveWindow } from './flow-control.js'

export interface TunnelServerOptions {
  readonly listen: HostPort
  readonly tls: ServerTls
  readonly gatewayId: string
  readonly agents: AgentDirectory
  /** Asked for at every call: its certificate is renewed now and then. */
  readonly enrolment: () => EnrolmentStub
  readonly sendUp: (message: GatewayUp, sent?: () => void) => boolean
  readonly metrics: GatewayMetrics
  readonly log: Logger
  /** From accept until the control plane's verdict. Default 8 s: shorter than agents wait. */
  readonly helloMilliseconds?: number
}

type ConnectCall = ServerDuplexStream<TunnelUpReceived, TunnelDown>

/**
 * What agents dial. One port for two services: Tunnel demands a certificate of an agent, checked per call; Enrolment
 * takes anybody, because its proof is in the message (see optionalClientCertificates).
 */
export class TunnelServer {
  readonly #options: TunnelServerOptions
  readonly #grpc: Server
  readonly #credentials: RenewableServerCredentials
  readonly #net: NetServer
  /** Raw connections on which no agent has been accepted yet. */
  readonly #caps: ConnectionCaps
  readonly #sockets = new Map<string, { readonly socket: Socket; readonly release: () => void }>()

  constructor(options: TunnelServerOptions) {
    this.#options = options
    this.#caps = new ConnectionCaps(200, 50, () => options.metrics.refused.inc({ reason: 'tunnel_evicted' }))
    this.#credentials = optionalClientCertificates(options.tls)
    this.#grpc = new Server({
      'grpc.max_receive_message_length': 4 * 1024 * 1024,
      'grpc.max_send_message_length': 4 * 1024 * 1024,
      // A connection carries one tunnel, or an enrolment; a flood of streams is an attack.
      'grpc.max_concurrent_streams': 8,
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 5_000,
    })
    const handlers: TunnelHandlers = { Connect: (call) => this.#connect(call) }
    this.#grpc.addService(tunnelService, handlers)
    this.#grpc.addService(enrolmentService, enrolmentRelay(options.enrolment))
    const injector = this.#grpc.createConnectionInjector(this.#credentials.credentials)
    this.#net = createServer({ noDelay: true })
    this.#net.on('connection', (socket) => this.#accept(socket, (accepted) => injector.injectConnection(accepted)))
  }

  /** Rejects when the address can't be bound. */
  async start(): Promise<number> {
    const { host, port } = this.#options.listen
    await new Promise<void>((resolve, reject) => {
      this.#net.once('error', reject)
      this.#net.listen(port, host, () => {
        this.#net.off('error', reject)
        this.#net.on('error', (error) => this.#options.log.error({ error }, 'tunnel listener failed'))
        resolve()
      })
    })
    const address = this.#net.address()
    return address !== null && typeof address === 'object' ? address.port : port
  }

  /** A renewed certificate, for connections from now on. */
  update(tls: ServerTls): void {
    this.#credentials.update(tls)
  }

  stop(): void {
    this.#net.close()
    for (const connection of this.#options.agents.all()) connection.close()
    this.#grpc.forceShutdown()
    for (const { socket } of this.#sockets.values()) socket.destroy()
  }

  /** Bounds what strangers can hold open: number, and time until an agent was accepted on the connection. */
  #accept(socket: Socket, inject: (socket: Socket) => void): void {
    socket.on('error', () => {})
    const address = socket.remoteAddress
    const free = address === undefined ? undefined : this.#caps.admit(address, socket)
    if (free === undefined) {
      this.#options.metrics.refused.inc({ reason: 'tunnel_connection_cap' })
      socket.destroy()
      return
    }
    // Long enough for an enrolment, which is relayed, to be answered.
    const deadline = setTimeout(() => socket.destroy(), 30_000)
    const release = (): void => {
      clearTimeout(deadline)
      free()
    }
    const key = peerKey(address, socket.remotePort)
    this.#sockets.set(key, { socket, release })
    socket.once('close', () => {
      release()
      this.#sockets.delete(key)
    })
    inject(socket)
  }

  #connect(call: ConnectCall): void {
    const certificate = call.getAuthContext().sslPeerCertificate?.raw
    const peer = certificate === undefined ? undefined : peerName(certificate)
    if (certificate === undefined || peer?.kind !== 'agent') {
      this.#options.metrics.refused.inc({ reason: 'not_an_agent' })
      this.#options.log.warn({ peer: call.getPeer() }, 'tunnel refused: no agent certificate')
      call.emit('error', refusal(status.UNAUTHENTICATED, 'a certificate of an agent is needed here'))
      return
    }
    const sha256 = createHash('sha256').update(certificate).digest('hex')
    const agent = new AgentCall(call, peer.nodeId, sha256, this.#options, () => this.#sockets.get(call.getPeer())?.release())
    agent.start()
  }
}

/** One Connect call from its first message to its end. */
class AgentCall {
  #connection: AgentConnection | undefined
  #over = false
  readonly #deadline: NodeJS.Timeout

  constructor(
    private readonly call: ConnectCall,
    private readonly agentId: string,
    private readonly certificateSha256: string,
    private readonly options: TunnelServerOptions,
    /** The raw connection no longer counts as a stranger's. */
    private readonly trusted: () => void,
  ) {
    this.#deadline = setTimeout(() => this.#expire(), options.helloMilliseconds ?? 8_000)
  }

  start(): void {
    const { call } = this
    widenReceiveWindow(call)
    call.on('data', (message: TunnelUpReceived) => this.#receive(message))
    call.on('end', () => this.#end())
    call.on('error', () => this.#end())
    call.on('close', () => this.#end())
    call.on('cancelled', () => this.#end())
  }

  #receive(message: TunnelUpReceived): void {
    if (this.#over) return
    if (this.#connection !== undefined) {
      this.#connection.receive(message)
    } else if (message.hello && message.hello.instanceId !== '') this.#hello(message.hello)
    else this.#fail(status.INVALID_ARGUMENT, 'the first message must be a hello')
  }

  #hello(hello: AgentHelloReceived): void {
    const { agents, gatewayId, sendUp, metrics, log } = this.options
    const { call, agentId, certificateSha256 } = this
    // The same process again: its old stream is dead, and hasn't noticed. The control plane hears of the end before it
    // hears of the new beginning, because the agent counts its messages from one again.
    for (const old of agents.of(agentId, hello.instanceId)) {
      old.close()
      agents.remove(old)
      sendUp({ agentDown: { agentId, instanceId: hello.instanceId, draining: false } })
    }
    const connection = new AgentConnection({
      agentId,
      certificateSha256,
      gatewayId,
      hello,
      stream: {
        write: (message, done) => {
          if (!this.#over) {
            if (message.welcome?.accepted) {
              clearTimeout(this.#deadline)
              this.trusted()
            }
            call.write(message, () => done?.())
          }
        },
        end: () => call.end(),
        destroy: () => this.#fail(status.CANCELLED, 'closed by the gateway'),
        pause: () => call.pause(),
        resume: () => call.resume(),
      },
      sendUp,
      onLinkDropped: () => metrics.linkDropped.inc(),
      log,
    })
    this.#connection = connection
    agents.add(connection)
    connection.announce()
  }

  #expire(): void {
    this.#fail(status.UNAVAILABLE, this.#connection === undefined ? 'no hello in time' : 'the control plane gave no verdict in time')
  }

  #fail(code: status, details: string): void {
    if (this.#over) return
    this.#end()
    this.call.emit('error', refusal(code, details))
  }

  #end(): void {
    if (this.#over) return
    this.#over = true
    clearTimeout(this.#deadline)
    const connection = this.#connection
    if (connection === undefined) return
    const { agents, sendUp, log } = this.options
    connection.ended()
    // Replaced by a newer stream of the same process: its end has been told.
    const replaced = !agents.of(connection.agentId).includes(connection)
    agents.remove(connection)
    if (!replaced) sendUp({ agentDown: { agentId: connection.agentId, instanceId: connection.instanceId, draining: false } })
    log.info({ agent_id: connection.agentId, instance_id: connection.instanceId }, 'agent stream ended')
  }
}

function refusal(code: status, details: string): Partial<ServiceError> {
  return Object.assign(new Error(details), { code, details })
}

/** As grpc-js writes a call's peer. */
function peerKey(address: string | undefined, port: number | undefined): string {
  return `${address ?? ''}:${port ?? 0}`
}
