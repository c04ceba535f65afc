export type RefusalCode =
  | 'AUTHENTICATION_FAILED'
  | 'EXCHANGE_REQUIRED'
  | 'TARGET_UNKNOWN'
  | 'DATABASE_REFUSED'
  | 'PARAMETERS_REFUSED'
  | 'NO_AGENT'
  | 'POLICY_DENIED'
  | 'LOCKED'
  | 'UNAVAILABLE'
  | 'PROTOCOL_VIOLATION'

/** No session. All three go to the client in its own protocol's words. */
export class SessionRefusal extends Error {
  override readonly name = 'SessionRefusal'
  constructor(
    readonly code: RefusalCode,
    message: string,
    readonly hint: string,
  ) {
    super(message)
  }
}
