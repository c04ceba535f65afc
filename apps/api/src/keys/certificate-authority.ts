import 'reflect-metadata'
import { createHash, randomBytes, webcrypto, X509Certificate as NodeCertificate } from 'node:crypto'
import {
  AuthorityKeyIdentifierExtension, BasicConstraintsExtension, ExtendedKeyUsage, ExtendedKeyUsageExtension, KeyUsageFlags, KeyUsagesExtension,
  SubjectAlternativeNameExtension, SubjectKeyIdentifierExtension, X509Certificate, X509CertificateGenerator, type JsonGeneralName,
} from '@peculiar/x509'

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const authorityYears = 20
const dayMilliseconds = 86_400_000
/** A node's clock may be a little behind ours. */
const backdateMilliseconds = 5 * 60_000

export interface CertificateRequest {
  /** Shown in listings only; identity is in the URI. */
  readonly commonName: string
  readonly publicKey: webcrypto.CryptoKey
  readonly uri: string
  readonly dnsNames: readonly string[]
  readonly ipAddresses: readonly string[]
  readonly server: boolean
  readonly days: number
}

export interface IssuedCertificate {
  readonly der: Buffer
  /** SHA-256 of the DER, hex. */
  readonly sha256: string
  readonly notAfter: Date
}

/** The internal CA: it certifies gateways, agents and the control plane itself, nothing else. */
export class CertificateAuthority {
  private constructor(
    private readonly certificate: X509Certificate,
    private readonly privateKey: webcrypto.CryptoKey,
    readonly certificatePem: string,
  ) {}

  static async load(privateKeyDer: Buffer, certificatePem: string): Promise<CertificateAuthority> {
    const key = await webcrypto.subtle.importKey('pkcs8', new Uint8Array(privateKeyDer), algorithm, false, ['sign'])
    return new CertificateAuthority(new X509Certificate(certificatePem), key, certificatePem)
  }

  async issue(request: CertificateRequest): Promise<IssuedCertificate> {
    const names: JsonGeneralName[] = [
      { type: 'url', value: request.uri },
      ...request.dnsNames.map((value) => ({ type: 'dns' as const, value })),
      ...request.ipAddresses.map((value) => ({ type: 'ip' as const, value })),
    ]
    const usages = request.server ? [ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth] : [ExtendedKeyUsage.clientAuth]
    const notAfter = new Date(Date.now() + request.days * dayMilliseconds)
    const certificate = await X509CertificateGenerator.create({
      serialNumber: newSerial(),
      subject: [{ CN: [request.commonName] }],
      issuer: this.certificate.subject,
      notBefore: new Date(Date.now() - backdateMilliseconds),
      notAfter,
      publicKey: request.publicKey,
      signingKey: this.privateKey,
      signingAlgorithm: algorithm,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension(usages, true),
        new SubjectAlternativeNameExtension(names),
        await AuthorityKeyIdentifierExtension.create(this.certificate.publicKey),
        await SubjectKeyIdentifierExtension.create(request.publicKey),
      ],
    })
    const der = Buffer.from(certificate.rawData)
    return { der, sha256: createHash('sha256').update(der).digest('hex'), notAfter }
  }

  /** Whether this certificate is one that we signed and that is good now. Its purpose is the caller's to check. */
  verifies(der: Buffer): boolean {
    try {
      const candidate = new NodeCertificate(der)
      const authority = new NodeCertificate(this.certificatePem)
      const now = Date.now()
      return !candidate.ca && candidate.checkIssued(authority) && candidate.verify(authority.publicKey) && candidate.validFromDate.getTime() <= now && candidate.validToDate.getTime() > now
    } catch {
      return false
    }
  }
}

/** A new CA: P-256, self-signed, path length 0. */
export async function makeAuthorityCertificate(): Promise<{ readonly privateKeyDer: Buffer; readonly certificatePem: string }> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: [{ CN: ['Sallyport CA'] }],
    notBefore: new Date(Date.now() - backdateMilliseconds),
    notAfter: new Date(Date.now() + authorityYears * 365 * dayMilliseconds),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  const privateKeyDer = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey))
  return { privateKeyDer, certificatePem: certificate.toString('pem') + '\n' }
}

/** 127 random bits, positive (RFC 5280, section 4.1.2.2). */
function newSerial(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes.toString('hex')
}
