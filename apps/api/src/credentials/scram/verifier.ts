import { createHash, createHmac, pbkdf2Sync, timingSafeEqual } from 'node:crypto'

/** RFC 5802, section 3, with SHA-256 (RFC 7677). What is stored instead of a secret. */
export interface ScramVerifier {
  readonly salt: Uint8Array
  readonly iterations: number
  readonly storedKey: Uint8Array
  readonly serverKey: Uint8Array
}

/** RFC 7677's minimum; enough, because our secrets are 256 random bits and can't be guessed at any speed. */
export const scramIterations = 4096
export const scramKeyBytes = 32

export const hmac = (key: Uint8Array, data: string | Uint8Array): Buffer => createHmac('sha256', key).update(data).digest()
export const hash = (data: Uint8Array): Buffer => createHash('sha256').update(data).digest()

/** Secrets of ours are ASCII: SASLprep leaves them as they are. */
export function makeVerifier(secret: string, salt: Uint8Array, iterations: number): ScramVerifier {
  const salted = pbkdf2Sync(secret, salt, iterations, scramKeyBytes, 'sha256')
  return { salt, iterations, storedKey: hash(hmac(salted, 'Client Key')), serverKey: hmac(salted, 'Server Key') }
}

/** Whether the secret is the one that the verifier was made from. Constant time. */
export function verifySecret(secret: string, verifier: ScramVerifier): boolean {
  const made = makeVerifier(secret, verifier.salt, verifier.iterations)
  return timingSafeEqual(made.storedKey, verifier.storedKey)
}
