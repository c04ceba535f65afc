import { constants } from 'node:crypto'
import { ServerCredentials } from '@grpc/grpc-js'

/**
 * TLS that asks for a client certificate but takes a connection without one: enrolment has none yet, everything else
 * checks it per call (peer.ts). grpc-js has no such mode of its own; one port for both keeps a gateway's settings to one
 * address. No session tickets: a resumed connection must not carry an older verdict on the certificate.
 */
export class OptionalClientCertificate extends ServerCredentials {
  constructor(caPem: string, certificatePem: string, privateKeyPem: string) {
    super(
      { requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.2', secureOptions: constants.SSL_OP_NO_TICKET },
      { ca: caPem, cert: certificatePem, key: privateKeyPem },
    )
    this.#ca = caPem
  }
  readonly #ca: string

  /** A fresh certificate for connections from now on. */
  rotate(certificatePem: string, privateKeyPem: string): void {
    this.updateSecureContextOptions({ ca: this.#ca, cert: certificatePem, key: privateKeyPem })
  }

  override _equals(other: ServerCredentials): boolean {
    return other === this
  }
}
