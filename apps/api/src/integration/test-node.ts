import 'reflect-metadata'
import { createHash, createHmac, sign as signBytes, webcrypto, createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { credentials, type ClientDuplexStream, type ServiceError } from '@grpc/grpc-js'
import { Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension, type JsonGeneralName } from '@peculiar/x509'
import {
  ControlPlaneClient, EnrolmentClient, serializeAgentMessage,
  type AgentMessage, type EnrolReplyReceived, type GatewayDownReceived, type GatewayUp, type OpenSessionReplyReceived, type OpenSessionRequest,
} from '@sallyport/proto'

/** A gateway or an agent as the control plane meets it: a key, a certificate, raw gRPC. */
export interface TestNode {
  readonly id: string
  readonly certificatePem: string
  readonly certificateSha256: string
  readonly privateKey: KeyObject
  readonly privateKeyPem: string
  readonly caPem: string
  readonly bundle: string
}

export interface KeyAndRequest {
  readonly privateKey: KeyObject
  readonly privateKeyPem: string
  readonly csr: Buffer
}

export async function makeRequest(names: JsonGeneralName[] = []): Promise<KeyAndRequest> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: 'CN=test',
    keys,
    signingAlgorithm: algorithm,
    extensions: names.length > 0 ? [new SubjectAlternativeNameExtension(names)] : [],
  })
  const privateKey = createPrivateKey({ key: Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)), format: 'der', type: 'pkcs8' })
  return { privateKey, privateKeyPem: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(), csr: Buffer.from(request.rawData) }
}

/** TLS that trusts nothing in particular: what comes back is checked against the token's fingerprint. */
const anyServer = () => credentials.createSsl(null, null, null, { rejectUnauthorized: false, checkServerIdentity: () => undefined })

export function callEnrol(port: number, request: { tokenId: string; csr: Buffer; proof: Buffer }): Promise<EnrolReplyReceived> {
  const client = new EnrolmentClient(`127.0.0.1:${port}`, anyServer())
  return new Promise<EnrolReplyReceived>((resolve, reject) => {
    client.enrol(request, (error: ServiceError | null, reply?: EnrolReplyReceived) => (error ? reject(error) : reply ? resolve(reply) : reject(new Error('no reply'))))
  }).finally(() => client.close())
}

export function callRenew(port: number, request: { nodeId: string; csr: Buffer; timeUnixSeconds: number; signature: Buffer }): Promise<EnrolReplyReceived> {
  const client = new EnrolmentClient(`127.0.0.1:${port}`, anyServer())
  return new Promise<EnrolReplyReceived>((resolve, reject) => {
    client.renew(request, (error: ServiceError | null, reply?: EnrolReplyReceived) => (error ? reject(error) : reply ? resolve(reply) : reject(new Error('no reply'))))
  }).finally(() => client.close())
}

export function partsOf(token: string): { id: string; secret: Buffer; fingerprint: string } {
  const [, id = '', secret = '', fingerprint = ''] = token.split('.')
  return { id, secret: Buffer.from(secret, 'base64url'), fingerprint }
}

export function proofFor(token: string, csr: Buffer): Buffer {
  return createHmac('sha256', createHash('sha256').update(partsOf(token).secret).digest()).update(csr).digest()
}

export async function enrol(port: number, token: string, names: JsonGeneralName[] = []): Promise<TestNode> {
  const made = await makeRequest(names)
  const reply = await callEnrol(port, { tokenId: partsOf(token).id, csr: made.csr, proof: proofFor(token, made.csr) })
  return nodeOf(reply, made)
}

export function nodeOf(reply: EnrolReplyReceived, made: KeyAndRequest): TestNode {
  const bundle = reply.trustBundle.toString('utf8')
  const { ca }: { ca: string } = JSON.parse(bundle)
  return {
    id: reply.nodeId,
    certificatePem: new X509Certificate(reply.certificate).toString(),
    certificateSha256: createHash('sha256').update(reply.certificate).digest('hex'),
    privateKey: made.privateKey,
    privateKeyPem: made.privateKeyPem,
    caPem: ca,
    bundle,
  }
}

export function controlPlaneClient(port: number, node: TestNode | undefined, caPem: string) {
  const ca = Buffer.from(caPem)
  const tls = node ? credentials.createSsl(ca, Buffer.from(node.privateKeyPem), Buffer.from(node.certificatePem)) : credentials.createSsl(ca)
  return new ControlPlaneClient(`127.0.0.1:${port}`, tls, { 'grpc.ssl_target_name_override': 'control-plane.sallyport.internal' })
}

/** Reads a stream into a queue that tests wait on. */
export class Received<T> {
  readonly all: T[] = []
  error: ServiceError | undefined
  readonly #waiting = new Set<() => void>()

  constructor(stream: ClientDuplexStream<never, T>) {
    stream.on('data', (message: T) => {
      this.all.push(message)
      this.#wake()
    })
    stream.on('error', (error: ServiceError) => {
      this.error = error
      this.#wake()
    })
    stream.on('end', () => this.#wake())
  }

  /** The first message, also of those that came already, for which `pick` gives something. Removes it. */
  async take<R>(pick: (message: T) => R | null | undefined | false, milliseconds = 5000): Promise<R> {
    const end = Date.now() + milliseconds
    for (;;) {
      for (const [i, message] of this.all.entries()) {
        const picked = pick(message)
        if (picked !== undefined && picked !== null && picked !== false) {
          this.all.splice(i, 1)
          return picked
        }
      }
      if (this.error) throw this.error
      const left = end - Date.now()
      if (left <= 0) throw new Error('the awaited message did not come')
      await new Promise<void>((resolve) => {
        const timer = setTimeout(done, left)
        const waiting = this.#waiting
        function done(): void {
          clearTimeout(timer)
          waiting.delete(done)
          resolve()
        }
        waiting.add(done)
      })
    }
  }

  #wake(): void {
    for (const waiting of this.#waiting) waiting()
  }
}

export type LinkStream = ClientDuplexStream<GatewayUp, GatewayDownReceived>
export type OpenStream = ClientDuplexStream<OpenSessionRequest, OpenSessionReplyReceived>

/** An agent's signed message, wrapped as a gateway relays it. */
export function signedBy(agent: TestNode, message: AgentMessage): GatewayUp {
  const payload = serializeAgentMessage(message)
  const signature = signBytes('sha256', Buffer.concat([Buffer.from('sallyport-link-v1\0'), payload]), { key: agent.privateKey, dsaEncoding: 'ieee-p1363' })
  return { link: { agentId: message.agentId ?? '', instanceId: message.instanceId ?? '', message: { payload, signature } } }
}
