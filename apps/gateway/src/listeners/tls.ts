import { createHash, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import type { FrontTls } from '@sallyport/kit'

/**
 * TLS for client listeners.
 * @param certificatePem leaf first
 * @throws when certificate and key don't belong together
 */
export function frontTls(certificatePem: string, keyPem: string): FrontTls {
  const context = createSecureContext({ cert: certificatePem, key: keyPem, minVersion: 'TLSv1.2' })
  return { context, serverEndPoint: serverEndPoint(new X509Certificate(certificatePem).raw) }
}

export async function frontTlsFromFiles(files: { readonly cert: string; readonly key: string }): Promise<FrontTls> {
  const [certificate, key] = await Promise.all([readFile(files.cert, 'utf8'), readFile(files.key, 'utf8')])
  return frontTls(certificate, key)
}

/**
 * RFC 5929, section 4.1: the hash of the certificate with the hash function of its own signature algorithm, with
 * SHA-256 in the place of MD5 and SHA-1. Signatures that name no hash of their own (Ed25519, Ed448) have no binding by
 * that text; SHA-256 and the one inside RSASSA-PSS's parameters are what OpenSSL-based clients use.
 */
export function serverEndPoint(certificateDer: Buffer): Buffer {
  return createHash(signatureHash(certificateDer)).update(certificateDer).digest()
}

/** DER of the OIDs of signature algorithms that hash with SHA-384 or SHA-512. Every other is SHA-256 here. */
const hashes: readonly (readonly [oid: string, hash: string])[] = [
  ['2a864886f70d01010c', 'sha384'], // sha384WithRSAEncryption
  ['2a864886f70d01010d', 'sha512'], // sha512WithRSAEncryption
  ['2a864886f70d01010e', 'sha224'], // sha224WithRSAEncryption
  ['2a8648ce3d040301', 'sha224'], // ecdsa-with-SHA224
  ['2a8648ce3d040303', 'sha384'], // ecdsa-with-SHA384
  ['2a8648ce3d040304', 'sha512'], // ecdsa-with-SHA512
]

const pss = '2a864886f70d01010a'
const pssHashes: readonly (readonly [oid: string, hash: string])[] = [
  ['608648016503040202', 'sha384'],
  ['608648016503040203', 'sha512'],
]

function signatureHash(certificateDer: Buffer): string {
  const { oid, parameters } = signatureAlgorithm(certificateDer)
  if (oid === pss) return pssHashes.find(([hashOid]) => parameters.includes(hashOid))?.[1] ?? 'sha256'
  return hashes.find(([known]) => known === oid)?.[1] ?? 'sha256'
}

/** Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OID, parameters }, signature } (RFC 5280). */
function signatureAlgorithm(der: Buffer): { oid: string; parameters: string } {
  const certificate = element(der, 0)
  const tbs = element(der, certificate.start)
  const algorithm = element(der, tbs.end)
  const oid = element(der, algorithm.start)
  return {
    oid: der.subarray(oid.start, oid.end).toString('hex'),
    parameters: der.subarray(oid.end, algorithm.end).toString('hex'),
  }
}

function element(der: Buffer, offset: number): { start: number; end: number } {
  const first = der.readUInt8(offset + 1)
  if (first < 0x80) return { start: offset + 2, end: offset + 2 + first }
  const bytes = first & 0x7f
  const start = offset + 2 + bytes
  return { start, end: start + der.readUIntBE(offset + 2, bytes) }
}
