import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

const prefix = 'spe1'

export interface NewEnrolmentToken {
  readonly id: string
  /** `spe1.<id>.<secret>.<fingerprint>`: shown once. */
  readonly token: string
  /** The key that proofs are checked with; the secret itself isn't kept. */
  readonly secretHash: Buffer
}

/**
 * A one-time token that lets one node enrol. It holds the trust bundle's fingerprint, so that the node can tell the true
 * control plane from a false one before it has a CA.
 */
export function makeEnrolmentToken(fingerprint: string): NewEnrolmentToken {
  const id = randomBytes(12).toString('hex')
  const secret = randomBytes(32)
  return { id, token: [prefix, id, secret.toString('base64url'), fingerprint].join('.'), secretHash: createHash('sha256').update(secret).digest() }
}

/** Whether the proof is HMAC-SHA-256 keyed with SHA-256(secret) over this certificate request. Constant time. */
export function verifyProof(secretHash: Uint8Array, csr: Uint8Array, proof: Uint8Array): boolean {
  const expected = createHmac('sha256', secretHash).update(csr).digest()
  return proof.length === expected.length && timingSafeEqual(expected, proof)
}
