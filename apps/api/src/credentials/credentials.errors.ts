/** Why no credential is issued, or one is refused. `message` and `hint` are for the client. */
export class CredentialError extends Error {
  override readonly name = 'CredentialError'
  constructor(
    readonly code: 'TARGET_UNKNOWN' | 'TARGET_LOCKED' | 'POLICY_DENIED' | 'TOKEN_REPLAYED' | 'CREDENTIAL_REFUSED' | 'PUBLIC_KEY_REFUSED',
    message: string,
    readonly hint: string,
  ) {
    super(message)
  }
}
