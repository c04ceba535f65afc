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
    used_at: row.usedAt,
    revoked_at: row.revokedAt,
    state: stateOf(row, now),
  }
}
