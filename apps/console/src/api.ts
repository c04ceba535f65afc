import { ApiProblem, createApi, type Schemas } from '@sallyport/api-client'

let csrf: string | undefined

/** The control plane that served this page, with the cookie of the sign-in. */
export const api = createApi({ baseUrl: '', csrf: () => csrf })

/** What GET /v1/whoami gave: everything that changes something is sent with it. */
export function keepCsrf(token: string | undefined): void {
  csrf = token
}

export type Approval = Schemas['Approval']
export type Session = Schemas['Session']
export type AuditEvent = Schemas['Event']
export type WhoAmI = Schemas['WhoAmI']
export type Lock = Schemas['Lock']
export type Node = Schemas['Node']
export type Explanation = Schemas['Explanation']
export type Applied = Schemas['Applied']

export const isSignedOut = (error: unknown): boolean => error instanceof ApiProblem && error.status === 401

/** What a refused apply tells besides its words. */
export function partsOf(error: unknown): { readonly errors: ApiProblem['errors']; readonly tests: Applied['tests'] } {
  if (!(error instanceof ApiProblem)) return { errors: [], tests: [] }
  const { tests } = error.body
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the API's own description of POLICY_TESTS_FAILED
  return { errors: error.errors, tests: Array.isArray(tests) ? (tests as Applied['tests']) : [] } // decoder: of the answer
}

/** An error in words, with what to do next. */
export function wordsOf(error: unknown): { readonly what: string; readonly next: string } {
  if (error instanceof ApiProblem) return { what: error.detail, next: error.hint }
  return { what: error instanceof Error ? error.message : 'Something went wrong.', next: 'Try again; see whether the control plane runs.' }
}
