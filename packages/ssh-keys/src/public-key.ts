import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import { malformed, SshKeyError } from './errors.js'
import { limits } from './limits.js'
import { WireReader, WireWriter } from './wire.js'

/** Of a security token (FIDO): what it signs names the application, whether somebody touched it, and a counter. */
export type TokenKeyType = 'sk-ssh-ed25519@openssh.com' | 'sk-ecdsa-sha2-nistp256@openssh.com'

export type PublicKeyType = 'ssh-ed25519' | 'ecdsa-sha2-nistp256' | 'ecdsa-sha2-nistp384' | 'ecdsa-sha2-nistp521' | 'ssh-rsa' | TokenKeyType

export interface SshPublicKey {
  readonly type: PublicKeyType
  /** RFC 4253, section 6.6. One key has one blob: other encodings of it are refused. */
  readonly blob: Buffer
  readonly key: KeyObject
  /** Of a security token's key only: `ssh:` and what its owner added (PROTOCOL.u2f). */
  readonly application?: string
}

export interface KeyFields {
  readonly key: KeyObject
  readonly application?: string
}

const tokenKeys = { 'sk-ssh-ed25519@openssh.com': 'ssh-ed25519', 'sk-ecdsa-sha2-nistp256@openssh.com': 'ecdsa-sha2-nistp256' } as const

/** The plain type of a security token's key; undefined for all others. */
export function plainTypeOf(type: string): PublicKeyType | undefined {
  return type === 'sk-ssh-ed25519@openssh.com' || type === 'sk-ecdsa-sha2-nistp256@openssh.com' ? tokenKeys[type] : undefined
}

interface Curve {
  readonly type: PublicKeyType
  readonly name: string
  readonly jwk: string
  readonly coordinateBytes: number
  readonly hash: string
}

const curves: readonly Curve[] = [
  { type: 'ecdsa-sha2-nistp256', name: 'nistp256', jwk: 'P-256', coordinateBytes: 32, hash: 'sha256' },
  { type: 'ecdsa-sha2-nistp384', name: 'nistp384', jwk: 'P-384', coordinateBytes: 48, hash: 'sha384' },
  { type: 'ecdsa-sha2-nistp521', name: 'nistp521', jwk: 'P-521', coordinateBytes: 66, hash: 'sha512' },
]

/** RFC 5656, sections 3 and 6.2.1. Undefined when the type isn't one of them. */
export function curveOf(type: string): Curve | undefined {
  return curves.find((curve) => curve.type === type)
}

/** @throws {SshKeyError} */
export function parsePublicKey(blob: Uint8Array): SshPublicKey {
  if (blob.length > limits.blob) throw malformed('the public key is too long')
  const reader = new WireReader(blob)
  const type = keyType(reader.name())
  const fields = readKeyFields(type, reader)
  reader.end()
  return { type, blob: Buffer.from(blob), ...fields }
}

/** What stands in a key blob after the type, and in a certificate after the nonce. */
export function readKeyFields(type: PublicKeyType, reader: WireReader): KeyFields {
  const plain = plainTypeOf(type)
  if (plain === undefined) return { key: readKey(type, reader) }
  const key = readKey(plain, reader)
  const application = reader.text(limits.application)
  // Tokens also log in to web sites: their signatures are for `https:` applications, and no good here.
  if (!application.startsWith('ssh:')) throw malformed("the security token's key is not one for SSH")
  return { key, application }
}

function readKey(type: PublicKeyType, reader: WireReader): KeyObject {
  if (type === 'ssh-ed25519') {
    const bytes = reader.string()
    if (bytes.length !== 32) throw malformed('an Ed25519 key has 32 bytes')
    return imported({ kty: 'OKP', crv: 'Ed25519', x: bytes.toString('base64url') })
  }
  if (type === 'ssh-rsa') return readRsa(reader)
  const curve = curveOf(type)
  if (curve === undefined || reader.name() !== curve.name) throw malformed('the curve is not the one that the key type names')
  const point = reader.string()
  // RFC 5656, section 3.1 allows compressed points; nobody sends them, and one key must have one blob.
  if (point.length !== 1 + 2 * curve.coordinateBytes || point[0] !== 4) throw malformed('an ECDSA key must be an uncompressed point')
  const x = point.subarray(1, 1 + curve.coordinateBytes).toString('base64url')
  const y = point.subarray(1 + curve.coordinateBytes).toString('base64url')
  return imported({ kty: 'EC', crv: curve.jwk, x, y })
}

function readRsa(reader: WireReader): KeyObject {
  const exponent = reader.positiveInteger()
  const modulus = reader.positiveInteger()
  const bits = modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24
  if (bits < limits.rsaMinimum) throw new SshKeyError('WEAK_KEY', `an RSA key needs at least ${limits.rsaMinimum} bits: make an Ed25519 key with ssh-keygen -t ed25519`)
  if (bits > limits.rsaMaximum) throw new SshKeyError('UNSUPPORTED_KEY', `an RSA key may have ${limits.rsaMaximum} bits at most`)
  const even = (bytes: Buffer): boolean => ((bytes.at(-1) ?? 0) & 1) === 0
  if (exponent.length > 8 || even(exponent) || even(modulus) || (exponent.length === 1 && (exponent[0] ?? 0) < 3)) throw malformed('an RSA key with an impossible exponent or modulus')
  return imported({ kty: 'RSA', n: modulus.toString('base64url'), e: exponent.toString('base64url') })
}

/** @throws {SshKeyError} UNSUPPORTED_KEY with what to do instead */
export function keyType(name: string): PublicKeyType {
  if (name === 'ssh-ed25519' || name === 'ssh-rsa') return name
  const curve = curveOf(name)
  if (curve !== undefined) return curve.type
  if (name === 'sk-ssh-ed25519@openssh.com' || name === 'sk-ecdsa-sha2-nistp256@openssh.com') return name
  if (name.includes('-cert-')) throw new SshKeyError('WRONG_TYPE', 'a certificate stands where a plain public key belongs')
  throw new SshKeyError('UNSUPPORTED_KEY', 'this key type is not supported: use Ed25519, ECDSA or RSA')
}

function imported(jwk: { readonly [name: string]: string }): KeyObject {
  try {
    return createPublicKey({ key: jwk, format: 'jwk' })
  } catch {
    // For example a point that isn't on its curve.
    throw malformed('the public key is not one')
  }
}

/** Of an Ed25519, ECDSA or RSA key, private or public. @throws {SshKeyError} */
export function publicKeyOf(key: KeyObject): SshPublicKey {
  const { kty, crv, x = '', y = '', n = '', e = '' } = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' })
  const part = (text: string): Buffer => Buffer.from(text, 'base64url')
  const writer = new WireWriter()
  const curve = curves.find(({ jwk }) => jwk === crv)
  if (crv === 'Ed25519') writer.string('ssh-ed25519').string(part(x))
  else if (curve !== undefined) writer.string(curve.type).string(curve.name).string(Buffer.concat([Buffer.of(4), part(x), part(y)]))
  else if (kty === 'RSA') writer.string('ssh-rsa').positiveInteger(part(e)).positiveInteger(part(n))
  else throw new SshKeyError('UNSUPPORTED_KEY', 'this key type is not supported: use Ed25519, ECDSA or RSA')
  return parsePublicKey(writer.bytes())
}

const line = /^(?<type>[!-~]{1,64}) +(?<blob>[A-Za-z0-9+/]+={0,2})(?: +[^\r\n]{0,1024})?$/

/**
 * A line of a `.pub` file: type, base64, comment. Options before the type (authorized_keys) are refused.
 * @throws {SshKeyError}
 */
export function parsePublicKeyLine(text: string): SshPublicKey {
  if (text.length > limits.blob * 2) throw malformed('the public key is too long')
  const { type, blob } = line.exec(text.trim())?.groups ?? {}
  if (type === undefined || blob === undefined) throw malformed('not an OpenSSH public key line: expected "ssh-ed25519 AAAA…"')
  const key = parsePublicKey(Buffer.from(blob, 'base64'))
  if (key.type !== type) throw malformed('the key is of another type than its line says')
  return key
}

/** As in authorized_keys. */
export function publicKeyLine(key: SshPublicKey, comment = ''): string {
  return `${key.type} ${key.blob.toString('base64')}${comment === '' ? '' : ` ${comment}`}`
}

/** As `ssh-keygen -l` shows it: `SHA256:` and unpadded base64. */
export function fingerprint(blob: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`
}
