import { fingerprint } from '@sallyport/ssh-keys'
import { stateOf, type CredentialRow } from './credentials.repository.js'
import type { IssuedCredential } from './credentials.service.js'

/** What the one who asked for a credential gets, once. */
export function issuedView(issued: IssuedCredential) {
  return {
    access_token: issued.secret,
    expires_in: issued.expiresInSeconds,
    credential_id: issued.id,
    target: { name: issued.target.name, protocol: issued.target.protocol },
    username: issued.username,
    ...(issued.publicKey === undefined ? {} : { key_fingerprint: fingerprint(issued.publicKey.blob) }),
    connection: issued.connection,
  }
}

export function credentialView(row: CredentialRow, now: Date) {
  return {
    id: row.id,
    identity: { kind: row.identityKind, name: row.identity },
    target: row.target,
    created_at: row.createdAt,
    expires_at: row.expiresAt,
    single_use: row.singleUse,
    ...(row.keyFingerprint === null ? {} : { key_fingerprint: row.keyFingerprint }),
    ...(row.serial === null ? {} : { serial: row.serial.toString() }),
    used_at: row.usedAt,
    revoked_at: row.revokedAt,
    state: stateOf(row, now),
  }
}
