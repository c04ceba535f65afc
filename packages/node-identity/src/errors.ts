/** Why a node has no usable identity. `code` is stable; the message says what to do and holds no secret. */
export class IdentityError extends Error {
  override readonly name = 'IdentityError'
  constructor(
    readonly code: IdentityErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

export type IdentityErrorCode =
  /** The enrolment token can't be read; it was cut or mistyped. */
  | 'TOKEN_MALFORMED'
  /** The control plane said no: used, expired or unknown token, revoked node. */
  | 'ENROLMENT_REFUSED'
  /** Nobody answered in time. May be retried. */
  | 'UNREACHABLE'
  /** What answered isn't the control plane that made the token. */
  | 'TRUST_BUNDLE_MISMATCH'
  /** The certificate that came back is not ours, or not from the pinned CA. */
  | 'CERTIFICATE_INVALID'
  /** The identity's files are damaged. */
  | 'IDENTITY_UNREADABLE'
  /** Other accounts may read the private key. */
  | 'KEY_PERMISSIONS'
