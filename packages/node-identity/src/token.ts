import { createHash, createHmac } from 'node:crypto'
import { Secret } from '@sallyport/kit'
import { IdentityError } from './errors.js'

/** `spe1.<token_id>.<secret, base64url of 32 bytes>.<fingerprint, hex SHA-256 of the trust bundle>`. */
export interface EnrolmentToken {
  readonly id: string
  readonly secret: Secret<Buffer>
  readonly fingerprint: string
}

/** @throws {IdentityError} TOKEN_MALFORMED; the message never quotes the token */
export function parseEnrolmentToken(token: string): EnrolmentToken {
  const parts = /^spe1\.([A-Za-z0-9_-]{1,64})\.([A-Za-z0-9_-]{43})\.([0-9a-f]{64})$/.exec(token.trim())
  const [, id, secret, fingerprint] = parts ?? []
  if (id === undefined || secret === undefined || fingerprint === undefined) {
    throw new IdentityError('TOKEN_MALFORMED', 'the enrolment token is not of the form spe1.<id>.<secret>.<fingerprint>: copy it whole')
  }
  return { id, secret: new Secret(Buffer.from(secret, 'base64url')), fingerprint }
}

/**
 * Proves that we hold the token's secret, and binds the proof to our key: whoever relays it can neither learn the
 * secret nor enrol a key of their own. The control plane stores only SHA-256(secret), which is the HMAC's key.
 */
export function enrolmentProof(secret: Secret<Buffer>, csr: Buffer): Buffer {
  const key = createHash('sha256').update(secret.expose()).digest()
  return createHmac('sha256', key).update(csr).digest()
}
