import 'reflect-metadata'
import { randomBytes, webcrypto } from 'node:crypto'
import {
  BasicConstraintsExtension, ExtendedKeyUsage, ExtendedKeyUsageExtension, SubjectAlternativeNameExtension, X509CertificateGenerator,
} from '@peculiar/x509'

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const dayMilliseconds = 86_400_000

/** What a cluster needs of certificates, PEM. */
export interface ClusterCertificates {
  readonly ca: string
  readonly serverCert: string
  readonly serverKey: string
  /** Of the administrator: CN=admin, O=system:masters. */
  readonly clientCert: string
  readonly clientKey: string
}

export async function makeCertificates(days = 3650): Promise<ClusterCertificates> {
  const keys = (): Promise<webcrypto.CryptoKeyPair> => webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const [authority, server, client] = await Promise.all([keys(), keys(), keys()])
  const notBefore = new Date(Date.now() - dayMilliseconds)
  const notAfter = new Date(Date.now() + days * dayMilliseconds)
  const root = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(), name: [{ CN: ['demo-cluster CA'] }], notBefore, notAfter, keys: authority, signingAlgorithm: algorithm,
    extensions: [new BasicConstraintsExtension(true, 0, true)],
  })
  const signed = (subject: Record<string, string[]>[], publicKey: webcrypto.CryptoKey, isServer: boolean) =>
    X509CertificateGenerator.create({
      serialNumber: serial(), subject, issuer: root.subject, notBefore, notAfter, publicKey, signingKey: authority.privateKey, signingAlgorithm: algorithm,
      extensions: [
        new ExtendedKeyUsageExtension([isServer ? ExtendedKeyUsage.serverAuth : ExtendedKeyUsage.clientAuth]),
        ...(isServer ? [new SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }, { type: 'dns', value: 'localhost' }])] : []),
      ],
    })
  const serverCertificate = await signed([{ CN: ['demo-cluster'] }], server.publicKey, true)
  const clientCertificate = await signed([{ CN: ['admin'] }, { O: ['system:masters'] }], client.publicKey, false)
  return {
    ca: root.toString('pem') + '\n',
    serverCert: serverCertificate.toString('pem') + '\n',
    serverKey: await pem(server.privateKey),
    clientCert: clientCertificate.toString('pem') + '\n',
    clientKey: await pem(client.privateKey),
  }
}

async function pem(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key)).toString('base64')
  return `-----BEGIN PRIVATE KEY-----\n${der.replace(/(.{64})/g, '$1\n').trimEnd()}\n-----END PRIVATE KEY-----\n`
}

function serial(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes.toString('hex')
}
