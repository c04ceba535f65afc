/** One place in a document or one field of a request that is wrong. */
export interface ProblemItem {
  readonly path?: string
  readonly line?: number
  readonly column?: number
  readonly message: string
  readonly suggestion?: string
}

/**
 * An error that a client is meant to read (RFC 9457). `code` is stable and upper case; `detail` is one sentence for a
 * person and never holds internals; `hint` says what to do next.
 */
export class Problem extends Error {
  override readonly name = 'Problem'
  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    readonly more: {
      readonly hint?: string
      readonly errors?: readonly ProblemItem[]
      /** Further members of the problem object. */
      readonly extra?: { readonly [name: string]: unknown }
    } = {},
  ) {
    super(detail)
  }
}

export const badRequest = (code: string, detail: string, hint?: string): Problem => new Problem(400, code, detail, hint ? { hint } : {})
export const forbidden = (code: string, detail: string, hint?: string): Problem => new Problem(403, code, detail, hint ? { hint } : {})
export const notFound = (what: string): Problem => new Problem(404, 'NOT_FOUND', `There is no ${what}.`)
export const conflict = (code: string, detail: string, hint?: string): Problem => new Problem(409, code, detail, hint ? { hint } : {})
