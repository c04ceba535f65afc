import { X509Certificate } from 'node:crypto'
import type { ServerUnaryCall, ServerDuplexStream } from '@grpc/grpc-js'
import { Injectable } from '@nestjs/common'
import { KeysService } from '../keys/keys.service.js'
import { NodesRepository, type NodeRow } from '../nodes/nodes.repository.js'

const clientAuth = '1.3.6.1.5.5.7.3.2'
const gatewayUri = /^URI:sallyport:gateway:([0-9a-f-]{36})$/

type AnyCall = Pick<ServerUnaryCall<unknown, unknown> | ServerDuplexStream<unknown, unknown>, 'getAuthContext'>

/** Who is calling, by the client certificate of the connection. */
@Injectable()
export class PeerAuthenticator {
  constructor(
    private readonly keys: KeysService,
    private readonly nodes: NodesRepository,
  ) {}

  /** The gateway that calls; undefined when the certificate is missing, foreign, expired, another's, or revoked. */
  async gatewayOf(call: AnyCall): Promise<NodeRow | undefined> {
    // grpc-js shows a certificate only when TLS found it authorized; the chain is checked once more here all the same.
    const der = call.getAuthContext().sslPeerCertificate?.raw
    if (!der || !(await this.keys.authority()).verifies(der)) return undefined
    const certificate = new X509Certificate(der)
    if (!certificate.keyUsage.includes(clientAuth)) return undefined
    const id = (certificate.subjectAltName ?? '').split(', ').map((name) => gatewayUri.exec(name)?.[1]).find((found) => found !== undefined)
    const node = id === undefined ? null : await this.nodes.find(id)
    return node && node.kind === 'gateway' && !node.revokedAt ? node : undefined
  }
}
