export type SshKeyErrorCode =
  | 'MALFORMED'
  | 'UNSUPPORTED_KEY'
  | 'WEAK_KEY'
  | 'BAD_SIGNATURE'
  | 'WRONG_TYPE'
  | 'UNKNOWN_AUTHORITY'
  | 'NOT_YET_VALID'
  | 'EXPIRED'
  | 'WRONG_PRINCIPAL'
  | 'CRITICAL_OPTION'
  | 'SOURCE_ADDRESS'

/** The only error that this package throws. The message names what is wrong, and never quotes key material. */
export class SshKeyError extends Error {
  override readonly name = 'SshKeyError'
  constructor(
    readonly code: SshKeyErrorCode,
    message: string,
  ) {
    super(message)
  }
}

export const malformed = (what: string): SshKeyError => new SshKeyError('MALFORMED', what)
