import path from 'node:path'
import { Server, status, type ClientDuplexStream, type ServerDuplexStream } from '@grpc/grpc-js'
import { loadIdentity, optionalClientCertificates, peerName, type NodeIdentity } from '@sallyport/node-identity'
import {
  ControlPlaneClient, tunnelService,
  type GatewayDownReceived, type GatewayUp, type OpenSessionReplyReceived, type OpenSessionRequest, type SessionGrantedReceived,
  type SignedMessageReceived, type TunnelDown, type TunnelUpReceived,
} from '@sallyport/proto'
import { createHash, randomUUID } from 'node:crypto'
import type { Stack } from './stack.js'
import { eventually } from './direct.js'

type ConnectCall = ServerDuplexStream<TunnelUpReceived, TunnelDown>

const channelOptions = { 'grpc.ssl_target_name_override': 'sallyport.internal' }

/** What the agent answered on one channel. */
export interface Channel {
  readonly id: number
  data: string
  closed: { readonly code: string; readonly message: string } | undefined
}

/**
 * A gateway that an attacker has taken over: it has a real gateway's key, certificate and address, and says and withholds
 * whatever a test tells it to. Takes the place of one gateway of the stack.
 */
export class EvilGateway {
  readonly down: GatewayDownReceived[] = []
  /** Signed messages of the agent, as they came. */
  readonly signed: SignedMessageReceived[] = []
  readonly channels = new Map<number, Channel>()
  instanceId = ''
  agentId = ''
  certificateSha256 = ''
  /** Messages of the control plane for the agent that are passed on; by JWS type. */
  passes: (typ: string) => boolean = () => true
  /** Whether the agent's messages are passed on to the control plane. */
  relays = true
  #agent: ConnectCall | undefined
  #link: ClientDuplexStream<GatewayUp, GatewayDownReceived> | undefined
  #nextChannel = 1

  private constructor(
    readonly stack: Stack,
    readonly identity: NodeIdentity,
    private readonly server: Server,
  ) {}

  /** Stops the stack's gateway of this number for good, and stands in for it. */
  static async takeOver(stack: Stack, index: number): Promise<EvilGateway> {
    const gateway = stack.line.gateways[index]
    if (!gateway) throw new Error('no such gateway')
    process.kill(gateway.pid, 'SIGKILL')
    const identity = await loadIdentity(path.join(stack.line.dataDir, `gateway-${index}`))
    if (!identity) throw new Error('the gateway has no identity')
    const server = new Server()
    const evil = new EvilGateway(stack, identity, server)
    server.addService(tunnelService, { Connect: (call: ConnectCall) => evil.#connect(call) })
    const tls = optionalClientCertificates({ caPem: identity.caPem, certificatePem: identity.certificatePem, keyPem: identity.keyPem })
    await eventually(
      () => new Promise<boolean>((resolve) => server.bindAsync(`127.0.0.1:${gateway.tunnelPort}`, tls.credentials, (error) => resolve(error === null))),
      'the port of the killed gateway is free',
    )
    evil.connect()
    return evil
  }

  /** (Re)opens the link to the control plane. */
  connect(): void {
    this.#link?.cancel()
    const link = this.#control().link()
    this.#link = link
    link.on('error', () => undefined)
    link.on('data', (message: GatewayDownReceived) => {
      this.down.push(message)
      if (message.agentVerdict?.accepted && message.agentVerdict.instanceId === this.instanceId) {
        this.#agent?.write({ welcome: { gatewayId: this.identity.nodeId, agentId: this.agentId, accepted: true, reason: '' } })
      }
      if (message.link && this.passes(typeOf(message.link.jws))) this.#agent?.write({ link: message.link.jws })
    })
    link.write({ hello: { version: 'evil', instanceId: randomUUID() } })
  }

  up(message: GatewayUp): void {
    this.#link?.write(message)
  }

  /** Hands a message to the agent that claims to be the control plane's. */
  toAgent(jws: string | Buffer): void {
    this.#agent?.write({ link: Buffer.from(jws) })
  }

  /** Messages of one JWS type that the control plane sent for the agent. */
  received(typ: string): { jws: string; payload: any }[] {
    return this.down.flatMap(({ link }) => {
      if (!link || typeOf(link.jws) !== typ) return []
      const jws = link.jws.toString('latin1')
      return [{ jws, payload: JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString()) }]
    })
  }

  async agentConnected(): Promise<void> {
    await eventually(async () => this.down.some((message) => message.agentVerdict?.accepted === true), 'the agent is on the evil gateway', 20_000)
  }

  /** Authenticates at the control plane as a client with a token as its password would. */
  async openSession(user: string, password: string, start: Record<string, unknown> = {}): Promise<OpenSessionReplyReceived> {
    const call: ClientDuplexStream<OpenSessionRequest, OpenSessionReplyReceived> = this.#control().openSession()
    return new Promise((resolve, reject) => {
      call.on('error', reject)
      call.on('data', (reply: OpenSessionReplyReceived) => {
        if (reply.askPassword) call.write({ password: Buffer.from(password) })
        else resolve(reply)
      })
      call.write({ start: { protocol: 'postgres', user, parameters: {}, clientAddress: '192.0.2.7:1', serverEndPoint: Buffer.alloc(0), ...start } })
    })
  }

  async granted(): Promise<SessionGrantedReceived> {
    const reply = await this.openSession(this.stack.target.name, await this.stack.mint())
    if (!reply.granted) throw new Error(`no grant: ${JSON.stringify(reply)}`)
    return reply.granted
  }

  /** Shows the agent a grant. */
  open(sessionId: string, grant: string, parameters: Record<string, string> = {}): Channel {
    const channel: Channel = { id: this.#nextChannel++, data: '', closed: undefined }
    this.channels.set(channel.id, channel)
    this.#frame(channel.id, { open: { sessionId, grant, parameters } })
    return channel
  }

  query(channel: Channel, sql: string): void {
    const text = Buffer.from(`${sql}\0`)
    const message = Buffer.alloc(5 + text.length)
    message.write('Q')
    message.writeInt32BE(4 + text.length, 1)
    text.copy(message, 5)
    this.#frame(channel.id, { data: message })
  }

  close(channel: Channel): void {
    this.#frame(channel.id, { close: { code: '', message: '', hint: '' } })
  }

  /** The agent serves the session: the target is ready for a query. */
  async ready(channel: Channel): Promise<void> {
    await eventually(async () => /Z\0\0\0\x05I/.test(channel.data) || (channel.closed && Promise.reject(new Error(`closed: ${JSON.stringify(channel.closed)}`))), 'the session is served')
  }

  async closed(channel: Channel, milliseconds = 10_000): Promise<{ code: string; message: string }> {
    return eventually(async () => channel.closed, 'the channel is closed', milliseconds)
  }

  stop(): void {
    this.#link?.cancel()
    this.server.forceShutdown()
  }

  #frame(channel: number, body: Record<string, unknown>): void {
    this.#agent?.write({ frames: { frames: [{ channel, ...body }] } })
  }

  #control() {
    return new ControlPlaneClient(`127.0.0.1:${this.stack.line.api.grpcPort}`, this.identity.channelCredentials('control-plane'), channelOptions)
  }

  #connect(call: ConnectCall): void {
    const raw = call.getAuthContext().sslPeerCertificate?.raw
    const peer = raw && peerName(raw)
    call.on('error', () => undefined)
    if (!raw || peer?.kind !== 'agent') return void call.emit('error', { code: status.UNAUTHENTICATED, details: 'no' })
    this.#agent = call
    this.agentId = peer.nodeId
    this.certificateSha256 = createHash('sha256').update(raw).digest('hex')
    call.on('data', (message: TunnelUpReceived) => {
      if (message.hello) {
        const { instanceId, version, protocols } = message.hello
        this.instanceId = instanceId
        this.up({ agentUp: { agentId: this.agentId, instanceId, certificateSha256: this.certificateSha256, version, protocols } })
      } else if (message.link) {
        this.signed.push(message.link)
        if (this.relays) this.up({ link: { agentId: this.agentId, instanceId: this.instanceId, message: message.link } })
      } else {
        for (const frame of message.frames?.frames ?? []) {
          const channel = this.channels.get(frame.channel)
          if (!channel) continue
          if (frame.data) channel.data += frame.data.toString('latin1')
          if (frame.close) channel.closed = { code: frame.close.code, message: frame.close.message }
        }
      }
    })
  }
}

function typeOf(jws: Buffer): string {
  const header: { typ?: unknown } = JSON.parse(Buffer.from(jws.toString('latin1').split('.')[0] ?? '', 'base64url').toString())
  return String(header.typ)
}
