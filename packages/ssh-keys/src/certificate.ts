import { malformed } from './errors.js'
import { limits } from './limits.js'
import { keyType, parsePublicKey, readKeyFields, type PublicKeyType, type SshPublicKey } from './public-key.js'
import { WireReader, WireWriter } from './wire.js'

/** An OpenSSH certificate (PROTOCOL.certkeys), read and not yet checked: see verifyCertificate. */
export interface SshCertificate {
  /** `ssh-ed25519-cert-v01@openssh.com` … */
  readonly algorithm: string
  readonly blob: Buffer
  readonly subject: SshPublicKey
  readonly serial: bigint
  readonly type: 'user' | 'host'
  readonly keyId: string
  readonly principals: readonly string[]
  /** Seconds since the epoch, unsigned 64 bits. */
  readonly validAfter: bigint
  readonly validBefore: bigint
  readonly criticalOptions: ReadonlyMap<string, Buffer>
  readonly extensions: ReadonlyMap<string, Buffer>
  /** The key that is said to have signed it. */
  readonly authority: SshPublicKey
  readonly signature: Buffer
  /** What `signature` covers. */
  readonly signedPart: Buffer
}

const suffix = '-cert-v01@openssh.com'
const certificateTypes = { user: 1, host: 2 } as const

export function isCertificateType(type: string): boolean {
  return type.endsWith(suffix)
}

export function certificateAlgorithm(type: PublicKeyType): string {
  return type.replace(/@openssh\.com$/, '') + suffix
}

/** The algorithm of the key in a certificate: what signs, and how. */
export function plainAlgorithm(algorithm: string): string {
  const plain = algorithm.slice(0, -suffix.length)
  return plain.startsWith('sk-') ? `${plain}@openssh.com` : plain
}

/**
 * Every field, with its length, order and range; nothing may be left over.
 * @throws {SshKeyError}
 */
export function parseCertificate(blob: Uint8Array): SshCertificate {
  if (blob.length > limits.blob) throw malformed('the certificate is too long')
  const reader = new WireReader(blob)
  const algorithm = reader.name()
  if (!isCertificateType(algorithm)) throw malformed('not a certificate')
  const subjectType = keyType(plainAlgorithm(algorithm))
  const nonce = reader.string()
  if (nonce.length < 16 || nonce.length > 64) throw malformed('the certificate has an impossible nonce')
  const start = reader.position
  readKeyFields(subjectType, reader)
  const subject = parsePublicKey(new WireWriter().string(subjectType).raw(blob.subarray(start, reader.position)).bytes())
  const serial = reader.uint64()
  const type = reader.uint32()
  if (type !== certificateTypes.user && type !== certificateTypes.host) throw malformed('the certificate is of an unknown type')
  const keyId = reader.text(limits.keyId)
  const principals = readPrincipals(reader.string())
  const validAfter = reader.uint64()
  const validBefore = reader.uint64()
  const criticalOptions = readOptions(reader.string())
  const extensions = readOptions(reader.string())
  // OpenSSH ignores this field; if it ever means something, it may be a restriction that we don't know.
  if (reader.string().length > 0) throw malformed('the certificate uses a reserved field')
  // A certificate in this place would be a certificate as an authority: parsePublicKey refuses it.
  const authority = parsePublicKey(reader.string())
  const signedPart = Buffer.from(blob.subarray(0, reader.position))
  const signature = Buffer.from(reader.string())
  reader.end()
  return {
    algorithm,
    blob: Buffer.from(blob),
    subject,
    serial,
    type: type === certificateTypes.user ? 'user' : 'host',
    keyId,
    principals,
    validAfter,
    validBefore,
    criticalOptions,
    extensions,
    authority,
    signature,
    signedPart,
  }
}

function readPrincipals(bytes: Buffer): string[] {
  const reader = new WireReader(bytes)
  const principals: string[] = []
  while (!reader.isAtEnd) {
    if (principals.length === limits.principals) throw malformed('the certificate names too many principals')
    principals.push(reader.text(limits.userName))
  }
  return principals
}

/** Sorted by name, each once, as PROTOCOL.certkeys demands: of two readings of one list only one may exist. */
function readOptions(bytes: Buffer): ReadonlyMap<string, Buffer> {
  const reader = new WireReader(bytes)
  const options = new Map<string, Buffer>()
  let before = ''
  while (!reader.isAtEnd) {
    const name = reader.name()
    if (name <= before) throw malformed('the certificate’s options are not in order')
    if (options.size === limits.options) throw malformed('the certificate has too many options')
    options.set(name, Buffer.from(reader.string()))
    before = name
  }
  return options
}

/** A line of a `-cert.pub` file. @throws {SshKeyError} */
export function parseCertificateLine(text: string): SshCertificate {
  const [type = '', base64 = ''] = text.trim().split(/ +/, 3)
  if (base64.length > limits.blob * 2 || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) throw malformed('not an OpenSSH certificate line')
  const certificate = parseCertificate(Buffer.from(base64, 'base64'))
  if (certificate.algorithm !== type) throw malformed('the certificate is of another type than its line says')
  return certificate
}

export function certificateLine(certificate: SshCertificate, comment = ''): string {
  return `${certificate.algorithm} ${certificate.blob.toString('base64')}${comment === '' ? '' : ` ${comment}`}`
}
