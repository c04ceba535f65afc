export { SoftwareToken } from './security-token.js'
import { sign, type KeyObject } from 'node:crypto'
import { publicKeyOf } from '../public-key.js'
import type { SignatureProof } from '../signature.js'
import { WireReader, WireWriter } from '../wire.js'

export interface ProofFacts {
  readonly privateKey: KeyObject
  readonly user: string
  readonly sessionId?: Uint8Array
  readonly service?: string
  readonly method?: string
  readonly hasSignature?: boolean
  /** As named in the request; the key's own type by default, and rsa-sha2-512 for RSA. */
  readonly algorithm?: string
  /** A certificate instead of the plain key. */
  readonly key?: Uint8Array
}

/** What an SSH client sends to prove its key (RFC 4252, section 7): for tests of whoever checks it. */
export function proofBy(facts: ProofFacts): SignatureProof {
  const { privateKey, user, service = 'ssh-connection', method = 'publickey', hasSignature = true } = facts
  const plain = publicKeyOf(privateKey)
  const key = facts.key ?? plain.blob
  const signing = plain.type === 'ssh-rsa' ? 'rsa-sha2-512' : plain.type
  const inKey = new WireReader(key).name()
  const algorithm = facts.algorithm ?? (plain.type === 'ssh-rsa' ? inKey.replace('ssh-rsa', signing) : inKey)
  const signedData = new WireWriter()
    .string(facts.sessionId ?? Buffer.alloc(32, 7))
    .byte(50)
    .string(user)
    .string(service)
    .string(method)
    .byte(hasSignature ? 1 : 0)
    .string(algorithm)
    .string(key)
    .bytes()
  const name = algorithm.replace('-cert-v01@openssh.com', '')
  return { algorithm, key, signature: new WireWriter().string(name).string(signatureBy(privateKey, name, signedData)).bytes(), signedData }
}

function signatureBy(privateKey: KeyObject, algorithm: string, data: Uint8Array): Buffer {
  if (algorithm === 'ssh-ed25519') return sign(null, data, privateKey)
  const hash = { 'rsa-sha2-256': 'sha256', 'rsa-sha2-512': 'sha512', 'ssh-rsa': 'sha1', 'ecdsa-sha2-nistp384': 'sha384', 'ecdsa-sha2-nistp521': 'sha512' }[algorithm] ?? 'sha256'
  if (!algorithm.startsWith('ecdsa-')) return sign(hash, data, privateKey)
  const both = sign(hash, data, { key: privateKey, dsaEncoding: 'ieee-p1363' })
  const half = both.length / 2
  return new WireWriter().positiveInteger(both.subarray(0, half)).positiveInteger(both.subarray(half)).bytes()
}
