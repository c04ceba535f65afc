/** Why a node isn't let in. The text is for its operator; it doesn't tell a stranger what exists. */
export class EnrolmentError extends Error {
  override readonly name = 'EnrolmentError'
  constructor(
    readonly code: 'TOKEN_REFUSED' | 'REQUEST_INVALID' | 'NAME_TAKEN' | 'HOSTNAME_REFUSED' | 'RENEWAL_REFUSED' | 'TOO_MANY',
    message: string,
  ) {
    super(message)
  }
}
