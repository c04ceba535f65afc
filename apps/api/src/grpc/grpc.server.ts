import { generateKeyPairSync, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import { Metadata, Server, status, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js'
import { Injectable, Logger } from '@nestjs/common'
import { controlPlaneService, enrolmentService, type EnrolReply, type EnrolRequestReceived, type RenewRequestReceived } from '@sallyport/proto'
import { KeysService } from '../keys/keys.service.js'
import { EnrolmentService, type EnrolledNode } from '../nodes/enrolment.service.js'
import { EnrolmentError } from '../nodes/nodes.errors.js'
import { LinkRegistry } from '../nodes/link-registry.js'
import type { NodeRow } from '../nodes/nodes.repository.js'
import type { LinkCall } from './gateway-stream.js'
import { GrpcConfig } from './grpc.config.js'
import { LinkService } from './link.service.js'
import { OpenSessionService, type OpenSessionCall } from './open-session.service.js'
import { PeerAuthenticator } from './peer.js'
import { OptionalClientCertificate } from './server-credentials.js'

const certificateDays = 90
const rotateMilliseconds = 24 * 3_600_000
const maxMessageBytes = 8 * 1024 * 1024
const drainMilliseconds = 2_000

/** The gRPC listener: enrolment without a client certificate, everything else for gateways only. */
@Injectable()
export class GrpcServer {
  readonly #log = new Logger(GrpcServer.name)
  #server: Server | undefined
  #rotation: NodeJS.Timeout | undefined

  constructor(
    private readonly config: GrpcConfig,
    private readonly keys: KeysService,
    private readonly peers: PeerAuthenticator,
    private readonly enrolment: EnrolmentService,
    private readonly sessions: OpenSessionService,
    private readonly links: LinkService,
    private readonly registry: LinkRegistry,
  ) {}

  /** Binds and serves. Returns the port. */
  async start(): Promise<number> {
    const authority = await this.keys.authority()
    const { certificate, key } = await this.#certificate()
    const credentials = new OptionalClientCertificate(authority.certificatePem, certificate, key)
    const server = new Server({
      'grpc.max_receive_message_length': maxMessageBytes,
      'grpc.max_send_message_length': maxMessageBytes,
      'grpc.max_concurrent_streams': 2048,
      'grpc.keepalive_time_ms': 20_000,
      'grpc.keepalive_timeout_ms': 10_000,
    })
    server.addService(enrolmentService, {
      Enrol: (call: ServerUnaryCall<EnrolRequestReceived, EnrolReply>, done: sendUnaryData<EnrolReply>) =>
        this.#answer(done, this.enrolment.enrol(call.request, addressOf(call.getPeer()))),
      Renew: (call: ServerUnaryCall<RenewRequestReceived, EnrolReply>, done: sendUnaryData<EnrolReply>) =>
        this.#answer(done, this.enrolment.renew(call.request, addressOf(call.getPeer()))),
    })
    server.addService(controlPlaneService, {
      OpenSession: (call: OpenSessionCall) => void this.#asGateway(call, (node) => this.sessions.serve(call, node.id)),
      Link: (call: LinkCall) => void this.#asGateway(call, (node) => this.links.serve(call, node)),
    })
    const address = isIP(this.config.host) === 6 ? `[${this.config.host}]` : this.config.host
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(`${address}:${this.config.port}`, credentials, (error, bound) => (error ? reject(error) : resolve(bound)))
    })
    this.#server = server
    this.#rotation = setInterval(() => {
      this.#certificate().then(
        (fresh) => credentials.rotate(fresh.certificate, fresh.key),
        () => this.#log.warn({ message: 'the gRPC certificate could not be renewed' }),
      )
    }, rotateMilliseconds).unref()
    return port
  }

  get isListening(): boolean {
    return this.#server !== undefined
  }

  /** Ends the links, waits a little for conversations, then cuts. */
  async stop(): Promise<void> {
    clearInterval(this.#rotation)
    const server = this.#server
    this.#server = undefined
    if (!server) return
    for (const link of this.registry.gateways) link.close('the control plane stops')
    await new Promise<void>((resolve) => {
      const cut = setTimeout(() => {
        server.forceShutdown()
        resolve()
      }, drainMilliseconds)
      server.tryShutdown(() => {
        clearTimeout(cut)
        resolve()
      })
    })
    await this.links.idle()
  }

  async #asGateway(call: OpenSessionCall | LinkCall, serve: (gateway: NodeRow) => Promise<void>): Promise<void> {
    // Messages that come before the handler reads wait in the stream.
    call.on('error', () => undefined)
    try {
      const node = await this.peers.gatewayOf(call)
      if (node) return await serve(node)
      call.emit('error', { code: status.UNAUTHENTICATED, details: 'a client certificate of an enrolled gateway is needed', metadata: new Metadata() })
    } catch (error) {
      this.#log.warn({ message: 'a gateway could not be authenticated', error: error instanceof Error ? error : String(error) })
      call.emit('error', { code: status.UNAVAILABLE, details: 'the control plane can not serve now', metadata: new Metadata() })
    }
  }

  #answer(done: sendUnaryData<EnrolReply>, work: Promise<EnrolledNode>): void {
    work.then(
      ({ nodeId, name, certificate, trustBundle }) => done(null, { nodeId, name, certificate, trustBundle: Buffer.from(trustBundle) }),
      (error: unknown) => {
        if (error instanceof EnrolmentError) return done({ code: statusOf[error.code], details: error.message })
        this.#log.error({ message: 'an enrolment failed', error: error instanceof Error ? error : String(error) })
        done({ code: status.UNAVAILABLE, details: 'the control plane can not enrol now: try again' })
      },
    )
  }

  /** Its own certificate, from its own CA, with a key that is never stored. */
  async #certificate(): Promise<{ certificate: string; key: string }> {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const spki = pair.publicKey.export({ format: 'der', type: 'spki' })
    const publicKey = await webcrypto.subtle.importKey('spki', new Uint8Array(spki), { name: 'ECDSA', namedCurve: 'P-256' }, true, ['verify'])
    const names = ['control-plane.sallyport.internal', 'localhost', '127.0.0.1', '::1', ...this.config.hostnames]
    const issued = await (await this.keys.authority()).issue({
      commonName: 'sallyport control plane',
      publicKey,
      uri: 'sallyport:control-plane',
      dnsNames: names.filter((name) => isIP(name) === 0),
      ipAddresses: names.filter((name) => isIP(name) !== 0),
      server: true,
      days: certificateDays,
    })
    const base64 = issued.der.toString('base64').replace(/(.{64})/g, '$1\n')
    return {
      certificate: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
      key: pair.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    }
  }
}

const statusOf = {
  TOKEN_REFUSED: status.UNAUTHENTICATED,
  RENEWAL_REFUSED: status.UNAUTHENTICATED,
  REQUEST_INVALID: status.INVALID_ARGUMENT,
  HOSTNAME_REFUSED: status.INVALID_ARGUMENT,
  NAME_TAKEN: status.ALREADY_EXISTS,
  TOO_MANY: status.RESOURCE_EXHAUSTED,
} as const

/** Without the port: limits are per host. */
function addressOf(peer: string): string {
  return peer.replace(/:\d+$/, '')
}
