import 'reflect-metadata'
import { createHash, createHmac, generateKeyPairSync, randomBytes, randomUUID, webcrypto, X509Certificate, type KeyObject } from 'node:crypto'
import { status, type ServiceError } from '@grpc/grpc-js'
import {
  BasicConstraintsExtension,
  cryptoProvider,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
  type JsonGeneralName,
} from '@peculiar/x509'
import type { EnrolmentHandlers, EnrolReply } from '@sallyport/proto'
import { CompactSign } from 'jose'
import type { NodeKind } from '../names.js'
import type { ServerTls } from '../server-credentials.js'

cryptoProvider.set(webcrypto)

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

export interface IssueOptions {
  readonly uris?: readonly string[]
  readonly hostnames?: readonly string[]
  readonly notBefore?: Date
  readonly notAfter?: Date
}

/** A control plane's CA, signing key and enrolment desk, for tests of nodes. */
export class TestAuthority {
  readonly caPem: string
  readonly trustBundle: Buffer
  readonly #caKeys: webcrypto.CryptoKeyPair
  readonly #caName: string
  readonly #signing: KeyObject
  /** By token id; gone after use. The key is SHA-256(secret). */
  readonly #tokens = new Map<string, { readonly key: Buffer; readonly kind: NodeKind }>()
  readonly #kinds = new Map<string, NodeKind>()
  /** What the next replies are changed by, to play a liar. */
  tamper: (reply: EnrolReply) => EnrolReply = (reply) => reply
  enrolled = 0

  private constructor(caKeys: webcrypto.CryptoKeyPair, caName: string, caPem: string) {
    this.#caKeys = caKeys
    this.#caName = caName
    this.caPem = caPem
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    this.#signing = privateKey
    const jwk = publicKey.export({ format: 'jwk' })
    this.trustBundle = Buffer.from(JSON.stringify({ ca: caPem, keys: [{ ...jwk, kid: 'k1', alg: 'EdDSA', use: 'sig' }] }))
  }

  static async create(name = 'CN=Test CA'): Promise<TestAuthority> {
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
    const certificate = await X509CertificateGenerator.createSelfSigned({
      name,
      keys,
      signingAlgorithm: algorithm,
      notBefore: new Date(Date.now() - 60_000),
      notAfter: new Date(Date.now() + 3_600_000),
      extensions: [new BasicConstraintsExtension(true, undefined, true)],
    })
    return new TestAuthority(keys, name, certificate.toString('pem'))
  }

  get fingerprint(): string {
    return createHash('sha256').update(this.trustBundle).digest('hex')
  }

  /** DER. */
  async issue(publicKeySpki: Buffer, options: IssueOptions): Promise<Buffer> {
    const names: JsonGeneralName[] = [
      ...(options.uris ?? []).map((value) => ({ type: 'url' as const, value })),
      ...(options.hostnames ?? []).map((value) => ({ type: /^[\d.]+$/.test(value) ? ('ip' as const) : ('dns' as const), value })),
    ]
    const certificate = await X509CertificateGenerator.create({
      subject: 'CN=test node',
      issuer: this.#caName,
      publicKey: await webcrypto.subtle.importKey('spki', Uint8Array.from(publicKeySpki), algorithm, true, ['verify']),
      signingKey: this.#caKeys.privateKey,
      signingAlgorithm: algorithm,
      notBefore: options.notBefore ?? new Date(Date.now() - 60_000),
      notAfter: options.notAfter ?? new Date(Date.now() + 3_000_000),
      extensions: [
        new SubjectAlternativeNameExtension(names),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      ],
    })
    return Buffer.from(certificate.rawData)
  }

  /** A fresh key and its certificate. */
  async tls(uri: string, hostnames: readonly string[] = ['localhost', '127.0.0.1']): Promise<ServerTls> {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const der = await this.issue(publicKey.export({ type: 'spki', format: 'der' }), { uris: [uri], hostnames })
    return {
      caPem: this.caPem,
      certificatePem: new X509Certificate(der).toString(),
      keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    }
  }

  token(kind: NodeKind, fingerprint: string = this.fingerprint): string {
    const id = randomUUID().replaceAll('-', '')
    const secret = randomBytes(32)
    this.#tokens.set(id, { key: createHash('sha256').update(secret).digest(), kind })
    return `spe1.${id}.${secret.toString('base64url')}.${fingerprint}`
  }

  /** Compact JWS by the pinned key. */
  async sign(typ: string, payload: object): Promise<string> {
    return new CompactSign(Buffer.from(JSON.stringify(payload))).setProtectedHeader({ alg: 'EdDSA', typ, kid: 'k1' }).sign(this.#signing)
  }

  /** Checks proof and single use like the real one. */
  handlers(): EnrolmentHandlers {
    return {
      Enrol: (call, callback) => {
        const { tokenId, csr, proof } = call.request
        const token = this.#tokens.get(tokenId)
        if (token === undefined || !createHmac('sha256', token.key).update(csr).digest().equals(proof)) {
          return callback(refusal('the enrolment token is unknown, used or expired'))
        }
        this.#tokens.delete(tokenId)
        this.#certify(csr, token.kind, randomUUID()).then(
          (reply) => callback(null, reply),
          () => callback(refusal('bad request')),
        )
      },
      Renew: (call, callback) => {
        this.#certify(call.request.csr, this.#kinds.get(call.request.nodeId) ?? 'agent', call.request.nodeId).then(
          (reply) => callback(null, reply),
          () => callback(refusal('bad request')),
        )
      },
    }
  }

  async #certify(csr: Buffer, kind: NodeKind, nodeId: string): Promise<EnrolReply> {
    const request = new Pkcs10CertificateRequest(Uint8Array.from(csr))
    if (!(await request.verify())) throw new Error('bad signature')
    const names = request.extensions.find((extension) => extension instanceof SubjectAlternativeNameExtension)?.names.toJSON() ?? []
    const certificate = await this.issue(Buffer.from(request.publicKey.rawData), {
      uris: [`sallyport:${kind}:${nodeId}`],
      hostnames: names.map(({ value }) => value),
    })
    this.enrolled += 1
    this.#kinds.set(nodeId, kind)
    return this.tamper({ nodeId, name: `${kind}-test`, certificate, trustBundle: this.trustBundle })
  }
}

function refusal(details: string): ServiceError {
  return Object.assign(new Error(details), { code: status.PERMISSION_DENIED, details }) as ServiceError
}
