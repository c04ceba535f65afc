import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, type JsonWebKey, type KeyObject } from 'node:crypto'
import { malformed, SshKeyError } from './errors.js'
import { limits } from './limits.js'
import { curveOf, parsePublicKey, publicKeyLine, publicKeyOf, type SshPublicKey } from './public-key.js'
import { WireReader, WireWriter } from './wire.js'

const magic = Buffer.from('openssh-key-v1\0', 'latin1')
const blockBytes = 8

export interface GeneratedKeyPair {
  readonly privateKey: KeyObject
  /** OpenSSH's own format, unencrypted: it belongs in a file of mode 0600. Secret. */
  readonly privateKeyPem: string
  readonly publicKey: SshPublicKey
  /** `ssh-ed25519 AAAA… comment` */
  readonly publicKeyLine: string
}

/** A new key, Ed25519 unless a host needs ECDSA for old clients. */
export function generateKeyPair(comment = '', type: 'ssh-ed25519' | 'ecdsa-sha2-nistp256' = 'ssh-ed25519'): GeneratedKeyPair {
  const { privateKey } = type === 'ssh-ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const publicKey = publicKeyOf(privateKey)
  return { privateKey, privateKeyPem: privateKeyPem(privateKey, comment), publicKey, publicKeyLine: publicKeyLine(publicKey, comment) }
}

/**
 * PROTOCOL.key of OpenSSH, without a passphrase.
 * @throws {SshKeyError} for types other than Ed25519 and ECDSA
 */
export function privateKeyPem(privateKey: KeyObject, comment = ''): string {
  const publicKey = publicKeyOf(privateKey)
  const { d = '', x = '' } = privateKey.export({ format: 'jwk' })
  const secret = Buffer.from(d, 'base64url')
  const check = randomBytes(4)
  const fields = new WireWriter().raw(check).raw(check)
  if (publicKey.type === 'ssh-ed25519') {
    const point = Buffer.from(x, 'base64url')
    fields.string(publicKey.type).string(point).string(Buffer.concat([secret, point]))
  } else if (curveOf(publicKey.type) !== undefined) fields.raw(publicKey.blob).positiveInteger(secret)
  else throw new SshKeyError('UNSUPPORTED_KEY', 'only Ed25519 and ECDSA keys are written')
  fields.string(comment)
  for (let pad = 1; fields.bytes().length % blockBytes !== 0; pad += 1) fields.byte(pad)
  const body = new WireWriter().raw(magic).string('none').string('none').string('').uint32(1).string(publicKey.blob).string(fields.bytes()).bytes()
  const base64 = body.toString('base64').replace(/.{70}/g, '$&\n').trimEnd()
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${base64}\n-----END OPENSSH PRIVATE KEY-----\n`
}

/**
 * A private key from a file: OpenSSH's format (Ed25519, ECDSA, RSA), PKCS#8, or what else OpenSSL reads; never encrypted.
 * @throws {SshKeyError} whose text says nothing of the key itself
 */
export function parsePrivateKey(pem: string): KeyObject {
  if (pem.length > limits.privateKeyText) throw malformed('the private key is too long')
  const base64 = /^-----BEGIN OPENSSH PRIVATE KEY-----\s+([A-Za-z0-9+/=\s]+?)\s+-----END OPENSSH PRIVATE KEY-----\s*$/.exec(pem)?.[1]
  if (base64 !== undefined) return parseOpenssh(Buffer.from(base64, 'base64'))
  try {
    return createPrivateKey(pem)
  } catch {
    throw malformed('not an unencrypted private key in PEM')
  }
}

function parseOpenssh(bytes: Buffer): KeyObject {
  if (!bytes.subarray(0, magic.length).equals(magic)) throw malformed('not an OpenSSH private key')
  const reader = new WireReader(bytes.subarray(magic.length))
  if (reader.name() !== 'none') throw new SshKeyError('UNSUPPORTED_KEY', 'the private key is encrypted: store it without a passphrase, in a file of mode 0600')
  if (reader.name() !== 'none' || reader.string().length > 0 || reader.uint32() !== 1) throw malformed('not a private key file with one key')
  const publicKey = parsePublicKey(reader.string())
  const inner = new WireReader(reader.string())
  reader.end()
  if (inner.uint32() !== inner.uint32()) throw malformed('the private key is damaged')
  if (inner.name() !== publicKey.type) throw malformed('the private key is damaged')
  const key = readPrivateFields(publicKey, inner)
  // A private half that belongs to another public key would sign what nobody can check.
  if (!publicKeyOf(createPublicKey(key)).blob.equals(publicKey.blob)) throw malformed('the private key is damaged')
  return key
}

function readPrivateFields(publicKey: SshPublicKey, inner: WireReader): KeyObject {
  const jwk = publicKey.key.export({ format: 'jwk' })
  const curve = curveOf(publicKey.type)
  if (publicKey.type === 'ssh-ed25519') {
    const point = inner.string()
    const both = inner.string()
    // The public half stands here three times. One that differs was changed by someone: signing with it leaks the key.
    if (both.length !== 64 || !both.subarray(32).equals(point) || jwk.x !== point.toString('base64url')) throw malformed('the private key is damaged')
    return imported({ ...jwk, d: both.subarray(0, 32).toString('base64url') })
  }
  if (curve !== undefined) {
    inner.string()
    inner.string()
    const scalar = inner.positiveInteger()
    if (scalar.length > curve.coordinateBytes) throw malformed('the private key is damaged')
    return imported({ ...jwk, d: Buffer.concat([Buffer.alloc(curve.coordinateBytes - scalar.length), scalar]).toString('base64url') })
  }
  // n, e, d, iqmp, p, q; JWK wants the two exponents as well.
  const [, , d, qi, p, q] = Array.from({ length: 6 }, () => inner.positiveInteger())
  if (d === undefined || qi === undefined || p === undefined || q === undefined) throw malformed('the private key is damaged')
  const exponent = (prime: Buffer): string => {
    const value = big(d) % (big(prime) - 1n)
    const hex = value.toString(16)
    return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex').toString('base64url')
  }
  if (big(p) < 2n || big(q) < 2n) throw malformed('the private key is damaged')
  const text = (value: Buffer): string => value.toString('base64url')
  return imported({ ...jwk, d: text(d), p: text(p), q: text(q), qi: text(qi), dp: exponent(p), dq: exponent(q) })
}

function big(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex') || '0'}`)
}

function imported(jwk: JsonWebKey): KeyObject {
  try {
    return createPrivateKey({ key: { ...jwk }, format: 'jwk' })
  } catch {
    throw malformed('the private key is damaged')
  }
}
