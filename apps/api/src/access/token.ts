import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

const form = /^spt_([0-9a-f]{20})_([A-Za-z0-9_-]{43})$/

/** A new token: `spt_<id>_<secret>`. Only the SHA-256 of the secret is kept; 256 random bits need no slow hash. */
export function makeToken(): { readonly id: string; readonly token: string; readonly secretHash: Buffer } {
  const id = randomBytes(10).toString('hex')
  const secret = randomBytes(32).toString('base64url')
  return { id, token: `spt_${id}_${secret}`, secretHash: hashSecret(secret) }
}

export function parseToken(token: string): { readonly id: string; readonly secret: string } | undefined {
  const match = form.exec(token)
  return match?.[1] === undefined || match[2] === undefined ? undefined : { id: match[1], secret: match[2] }
}

/** Constant time over the digests, whatever the secrets are. */
export function secretMatches(secret: string, hash: Uint8Array): boolean {
  const digest = hashSecret(secret)
  return hash.length === digest.length && timingSafeEqual(digest, hash)
}

const hashSecret = (secret: string): Buffer => createHash('sha256').update(secret).digest()
