import 'reflect-metadata'
import { X509Certificate as NodeCertificate } from 'node:crypto'
import { SubjectAlternativeNameExtension, X509Certificate } from '@peculiar/x509'
import type { ServerUnaryCall, ServerDuplexStream } from '@grpc/grpc-js'
import { Injectable } from '@nestjs/common'
import { KeysService } from '../keys/keys.service.js'
import { NodesRepository, type NodeRow } from '../nodes/nodes.repository.js'

const clientAuth = '1.3.6.1.5.5.7.3.2'
const gatewayUri = /^sallyport:gateway:([0-9a-f-]{36})$/

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
    if (!new NodeCertificate(der).keyUsage.includes(clientAuth)) return undefined
    const id = gatewayId(der)
    const node = id === undefined ? null : await this.nodes.find(id)
    return node && node.kind === 'gateway' && !node.revokedAt ? node : undefined
  }
}

/** From the one `sallyport:` URI. Read as ASN.1: in OpenSSL's text form a crafted name could pose as a second one. */
function gatewayId(der: Buffer): string | undefined {
  const extension = new X509Certificate(new Uint8Array(der)).extensions.find((found) => found instanceof SubjectAlternativeNameExtension)
  const [name, ...others] = (extension?.names.items ?? []).flatMap((item) => (item.type === 'url' && item.value.startsWith('sallyport:') ? [item.value] : []))
  return name === undefined || others.length > 0 ? undefined : gatewayUri.exec(name)?.[1]
}
