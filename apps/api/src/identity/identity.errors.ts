/** Stable codes of a refused token. The message names the provider and the check that failed; it never holds the token. */
export type IdentityErrorCode =
  | 'TOKEN_MALFORMED'
  | 'ISSUER_UNKNOWN'
  | 'TOKEN_INVALID'
  | 'KEYS_UNAVAILABLE'
  | 'NO_WORKLOAD'
  | 'AMBIGUOUS_WORKLOAD'
  | 'IDENTITY_GONE'
  | 'IDENTITY_LOCKED'

export class IdentityError extends Error {
  override readonly name = 'IdentityError'
  constructor(
    readonly code: IdentityErrorCode,
    message: string,
    readonly hint: string,
  ) {
    super(message)
  }
}
