import { experimental, type ServerCredentials } from '@grpc/grpc-js'

type CertificateProvider = Parameters<typeof experimental.createCertificateProviderServerCredentials>[0]

export interface ServerTls {
  readonly caPem: string
  /** Leaf first, intermediates behind it. */
  readonly certificatePem: string
  readonly keyPem: string
}

export interface RenewableServerCredentials {
  readonly credentials: ServerCredentials
  /** For connections from now on. */
  update(tls: ServerTls): void
}

/**
 * TLS for a gRPC server that asks every client for a certificate and also lets those in that have none: one port then
 * serves Enrolment (whose clients have only a token) and everything else. So **every other handler must call
 * {@link peerName} on `call.getAuthContext().sslPeerCertificate`**; grpc-js gives that certificate only when TLS found it
 * to be from our CA, in time and meant for clients.
 *
 * `ServerCredentials.createSsl` can't do this: it either doesn't ask, or refuses at the handshake.
 */
export function optionalClientCertificates(initial: ServerTls): RenewableServerCredentials {
  const provider = new Provider(initial)
  // Both roles are the same object: 1.14 hands them to its constructor in the other order than its types say.
  const credentials = experimental.createCertificateProviderServerCredentials(provider, provider, false)
  return { credentials, update: (tls) => provider.update(tls) }
}

type CaListener = Parameters<CertificateProvider['addCaCertificateListener']>[0]
type IdentityListener = Parameters<CertificateProvider['addIdentityCertificateListener']>[0]

class Provider implements CertificateProvider {
  readonly #caListeners = new Set<CaListener>()
  readonly #identityListeners = new Set<IdentityListener>()
  #tls: ServerTls

  constructor(tls: ServerTls) {
    this.#tls = tls
  }

  update(tls: ServerTls): void {
    this.#tls = tls
    for (const listener of this.#caListeners) this.#tellCa(listener)
    for (const listener of this.#identityListeners) this.#tellIdentity(listener)
  }

  addCaCertificateListener(listener: CaListener): void {
    this.#caListeners.add(listener)
    this.#tellCa(listener)
  }

  removeCaCertificateListener(listener: CaListener): void {
    this.#caListeners.delete(listener)
  }

  addIdentityCertificateListener(listener: IdentityListener): void {
    this.#identityListeners.add(listener)
    // A turn later: grpc-js registers here before it has anybody to pass the certificate on to.
    queueMicrotask(() => this.#tellIdentity(listener))
  }

  removeIdentityCertificateListener(listener: IdentityListener): void {
    this.#identityListeners.delete(listener)
  }

  #tellCa(listener: CaListener): void {
    listener({ caCertificate: Buffer.from(this.#tls.caPem) })
  }

  #tellIdentity(listener: IdentityListener): void {
    listener({ certificate: Buffer.from(this.#tls.certificatePem), privateKey: Buffer.from(this.#tls.keyPem) })
  }
}
