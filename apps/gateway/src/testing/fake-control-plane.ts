import { Server, type ServerDuplexStream } from '@grpc/grpc-js'
import { optionalClientCertificates, peerName } from '@sallyport/node-identity'
import type { TestAuthority } from '@sallyport/node-identity/testing'
import {
  controlPlaneService,
  enrolmentService,
  type ControlPlaneHandlers,
  type GatewayDown,
  type GatewayUpReceived,
  type OpenSessionReply,
  type OpenSessionRequestReceived,
} from '@sallyport/proto'

type LinkCall = ServerDuplexStream<GatewayUpReceived, GatewayDown>
type OpenCall = ServerDuplexStream<OpenSessionRequestReceived, OpenSessionReply>

/**
 * A control plane that does what the test says: password `good` is granted, `bad` refused, `silent` never answered. With
 * `proof_follows` nothing is asked, and the signature counts as the password.
 */
export class FakeControlPlane {
  readonly up: GatewayUpReceived[] = []
  readonly starts: OpenSessionRequestReceived[] = []
  readonly proofs: NonNullable<OpenSessionRequestReceived['publicKey']>[] = []
  /** Ids handed out, in order. */
  readonly granted: string[] = []
  agentId = ''
  accept: (agentId: string, instanceId: string) => string | undefined = () => undefined
  cancelledOpens = 0
  port = 0
  #server: Server | undefined
  #links = new Set<LinkCall>()
  #next = 0

  constructor(readonly authority: TestAuthority) {}

  async start(): Promise<void> {
    const server = new Server()
    const handlers: ControlPlaneHandlers = { Link: (call) => this.#link(call), OpenSession: (call) => this.#open(call) }
    server.addService(controlPlaneService, handlers)
    server.addService(enrolmentService, this.authority.handlers())
    const { credentials } = optionalClientCertificates(await this.authority.tls('sallyport:control-plane'))
    this.port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${this.port}`, credentials, (error, port) => (error ? reject(error) : resolve(port)))
    })
    this.#server = server
  }

  /** As `kill -9` looks from outside. */
  stop(): void {
    this.#server?.forceShutdown()
    this.#links.clear()
  }

  send(message: GatewayDown): void {
    for (const link of this.#links) link.write(message)
  }

  of<Kind extends 'agentUp' | 'agentDown' | 'link' | 'sessionClosed'>(kind: Kind): NonNullable<GatewayUpReceived[Kind]>[] {
    return this.up.flatMap((message) => message[kind] ?? [])
  }

  #link(call: LinkCall): void {
    if (peerName(call.getAuthContext().sslPeerCertificate?.raw ?? Buffer.alloc(0))?.kind !== 'gateway') return void call.end()
    this.#links.add(call)
    call.on('error', () => this.#links.delete(call))
    call.on('data', (message: GatewayUpReceived) => {
      this.up.push(message)
      if (message.hello) call.write({ welcome: { gatewayId: 'g' } })
      if (!message.agentUp) return
      const { agentId, instanceId } = message.agentUp
      const refusal = this.accept(agentId, instanceId)
      if (refusal !== 'silent') call.write({ agentVerdict: { agentId, instanceId, accepted: refusal === undefined, reason: refusal ?? '' } })
    })
    call.on('end', () => {
      this.#links.delete(call)
      call.end()
    })
  }

  #open(call: OpenCall): void {
    call.on('error', () => {})
    call.on('cancelled', () => (this.cancelledOpens += 1))
    call.on('end', () => call.end())
    call.on('data', (message: OpenSessionRequestReceived) => {
      if (message.start) {
        this.starts.push(message)
        if (!message.start.proofFollows) call.write({ askPassword: {} })
        return
      }
      if (message.publicKey) this.proofs.push(message.publicKey)
      const proof = (message.password ?? message.publicKey?.signature)?.toString()
      if (proof === 'good') {
        this.#next += 1
        const sessionId = `session-${this.#next}`
        this.granted.push(sessionId)
        call.write({ granted: { sessionId, agentId: this.agentId, grant: `grant-of-${sessionId}` } })
        call.end()
      } else if (proof !== 'silent') {
        call.write({ refused: { code: 'AUTHENTICATION_FAILED', message: 'no', hint: 'claim repository does not match' } })
        call.end()
      }
    })
  }
}
