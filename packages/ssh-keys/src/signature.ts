import { constants, createHash, verify } from 'node:crypto'
import { parseCertificate, isCertificateType, plainAlgorithm } from './certificate.js'
import { malformed, SshKeyError } from './errors.js'
import { limits } from './limits.js'
import { curveOf, parsePublicKey, plainTypeOf, type SshPublicKey } from './public-key.js'
import { WireReader, WireWriter } from './wire.js'

/** What a client proves a private key with (RFC 4252, section 7). */
export interface SignatureProof {
  readonly algorithm: string
  /** Public key or certificate blob. */
  readonly key: Uint8Array
  readonly signature: Uint8Array
  readonly signedData: Uint8Array
}

const certificateSuffix = '-cert-v01@openssh.com'

/**
 * Checks the signature with exactly the algorithm that the proof names. Returns the key that signed (of a certificate: its
 * subject key, and the certificate is checked by nobody yet). `ssh-rsa` (SHA-1) is refused.
 * @throws {SshKeyError} BAD_SIGNATURE, and what parsing throws
 */
export function verifySignature(proof: SignatureProof): SshPublicKey {
  if (proof.signedData.length > limits.signedData) throw malformed('the signed data is too long')
  const isCertificate = isCertificateType(typeOf(proof.key))
  if (isCertificate !== proof.algorithm.endsWith(certificateSuffix)) throw malformed('the algorithm and the key do not belong together')
  const key = isCertificate ? parseCertificate(proof.key).subject : parsePublicKey(proof.key)
  verifyBlob(key, proof.signature, proof.signedData, isCertificate ? plainAlgorithm(proof.algorithm) : proof.algorithm)
  return key
}

function typeOf(blob: Uint8Array): string {
  if (blob.length > limits.blob) throw malformed('the public key is too long')
  return new WireReader(blob).name()
}

/**
 * Checks a signature blob: string algorithm, string signature. With `algorithm` it must be that one.
 * @throws {SshKeyError}
 */
export function verifyBlob(key: SshPublicKey, signature: Uint8Array, data: Uint8Array, algorithm?: string): void {
  if (signature.length > limits.signature) throw malformed('the signature is too long')
  const reader = new WireReader(signature)
  const named = reader.name()
  const bytes = reader.string()
  const token = key.application === undefined ? undefined : { application: key.application, flags: reader.byte(), counter: reader.uint32() }
  reader.end()
  if (algorithm !== undefined && named !== algorithm) throw malformed('the signature is of another algorithm than was named')
  if (token !== undefined && (token.flags & userPresent) === 0) throw new SshKeyError('BAD_SIGNATURE', 'nobody touched the security token')
  if (!isGood(key, named, bytes, token === undefined ? data : tokenData(token, data))) throw new SshKeyError('BAD_SIGNATURE', 'the signature is not good')
}

/** PROTOCOL.u2f, flags. Whether the token asked for a PIN, too, is its owner's choice. */
const userPresent = 0x01

/** What a security token signs instead of the data (PROTOCOL.u2f, SSH U2F Signatures). Its counter is in there, but nobody keeps it: tokens may have none. */
function tokenData({ application, flags, counter }: { application: string; flags: number; counter: number }, data: Uint8Array): Buffer {
  const hash = (bytes: Uint8Array | string): Buffer => createHash('sha256').update(bytes).digest()
  return new WireWriter().raw(hash(application)).byte(flags).uint32(counter).raw(hash(data)).bytes()
}

function isGood(key: SshPublicKey, algorithm: string, signature: Buffer, data: Uint8Array): boolean {
  if (key.type === 'ssh-rsa') return isGoodRsa(key, algorithm, signature, data)
  if (algorithm !== key.type) throw malformed('the signature algorithm is not that of the key')
  const curve = curveOf(plainTypeOf(key.type) ?? key.type)
  if (curve === undefined) return signature.length === 64 && checked(() => verify(null, data, key.key, signature))
  // RFC 5656, section 3.1.2.
  const reader = new WireReader(signature)
  const parts = [reader.positiveInteger(), reader.positiveInteger()]
  reader.end()
  if (parts.some((part) => part.length > curve.coordinateBytes)) return false
  const p1363 = Buffer.concat(parts.map((part) => Buffer.concat([Buffer.alloc(curve.coordinateBytes - part.length), part])))
  return checked(() => verify(curve.hash, data, { key: key.key, dsaEncoding: 'ieee-p1363' }, p1363))
}

/** RFC 8332. */
function isGoodRsa(key: SshPublicKey, algorithm: string, signature: Buffer, data: Uint8Array): boolean {
  if (algorithm !== 'rsa-sha2-256' && algorithm !== 'rsa-sha2-512') {
    throw new SshKeyError('UNSUPPORTED_KEY', 'RSA signatures need SHA-2 (rsa-sha2-256 or rsa-sha2-512): SHA-1 is refused')
  }
  const modulusBytes = Math.ceil((key.key.asymmetricKeyDetails?.modulusLength ?? 0) / 8)
  if (signature.length !== modulusBytes) return false
  return checked(() => verify(algorithm === 'rsa-sha2-256' ? 'sha256' : 'sha512', data, { key: key.key, padding: constants.RSA_PKCS1_PADDING }, signature))
}

function checked(run: () => boolean): boolean {
  try {
    return run()
  } catch {
    // Signatures that aren't even in range are errors to OpenSSL, not false.
    return false
  }
}
