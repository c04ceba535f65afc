export type SigninCode =
  | 'SIGNIN_UNKNOWN_PROVIDER' | 'SIGNIN_PROVIDER_UNAVAILABLE' | 'SIGNIN_EXPIRED' | 'SIGNIN_REFUSED_BY_PROVIDER' | 'SIGNIN_INVALID' | 'SIGNIN_NO_ACCESS' | 'SIGNIN_NAME_TAKEN' | 'SIGNIN_DISABLED'

/** A sign-in that comes to nothing, in words for the one who tried. */
export class SigninError extends Error {
  override readonly name = 'SigninError'

  constructor(
    readonly code: SigninCode,
    message: string,
    /** What to do next. */
    readonly hint: string,
    /** Who tried, as far as it is known. */
    readonly user?: string,
  ) {
    super(message)
  }
}
