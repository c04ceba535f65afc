/** A request that isn't even decided, because it can't be read in exactly one way or asks for what can't be enforced. */
export class RequestRefusedError extends Error {
  override readonly name = 'RequestRefusedError'
  /** HTTP status. */
  readonly status: number
  /** Stable name of the built-in rule. */
  readonly rule: string
  readonly hint: string

  constructor(refusal: { readonly status: number; readonly rule: string; readonly message: string; readonly hint: string }) {
    super(refusal.message)
    this.status = refusal.status
    this.rule = refusal.rule
    this.hint = refusal.hint
  }
}

export const badPath = (message: string): RequestRefusedError =>
  new RequestRefusedError({ status: 400, rule: 'canonical-path', message, hint: 'Paths are taken in their one canonical form only: no escapes, no empty or dot segments.' })

export const badQuery = (message: string): RequestRefusedError =>
  new RequestRefusedError({ status: 400, rule: 'canonical-query', message, hint: "Only the query parameters of Kubernetes' API reference are taken, each once." })

export const badBody = (message: string): RequestRefusedError =>
  new RequestRefusedError({ status: 400, rule: 'canonical-body', message, hint: 'Send one object that agrees with the path, as JSON or YAML.' })
