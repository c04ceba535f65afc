import type { components } from './schema.js'

export type Problem = components['schemas']['Problem']

/** The control plane refused, in its own words (problem+json, RFC 9457). */
export class ApiProblem extends Error {
  override readonly name = 'ApiProblem'
  /** Stable, upper case: what programs go by. Empty when the answer wasn't a problem document, as from a proxy in between. */
  readonly code: string
  /** One sentence for a person. */
  readonly detail: string
  /** What to do next; empty when the control plane doesn't say. */
  readonly hint: string
  /** By which the request is found in the control plane's log. */
  readonly requestId: string
  readonly errors: NonNullable<Problem['errors']>

  constructor(
    readonly status: number,
    /** The whole answer: some problems have further members. */
    readonly body: Readonly<Record<string, unknown>>,
  ) {
    // RFC 6749 errors (token exchange) carry error and error_description, everything else RFC 9457.
    const detail = text(body['detail']) || text(body['error_description']) || text(body['title']) || `the control plane answered ${status}`
    super(detail)
    this.detail = detail
    this.code = text(body['code']) || text(body['error'])
    this.hint = text(body['hint'])
    this.requestId = text(body['request_id'])
    this.errors = Array.isArray(body['errors']) ? body['errors'].flatMap(errorItem) : []
  }
}

/** The control plane didn't answer at all, or not in time. `cause` has what the platform says. */
export class ApiUnreachable extends Error {
  override readonly name = 'ApiUnreachable'
  constructor(
    message: string,
    /** It may have got the request: what was asked may have been done. */
    readonly timedOut: boolean,
    options: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** Makes a problem of whatever stood in the body of an answer that isn't a success. */
export function problemOf(status: number, body: unknown): ApiProblem {
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return new ApiProblem(status, { ...body })
  return new ApiProblem(status, typeof body === 'string' && body !== '' ? { detail: body.slice(0, 300) } : {})
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '')

function errorItem(item: unknown): Problem['errors'] & object {
  if (typeof item !== 'object' || item === null || !('message' in item)) return []
  const fields = new Map(Object.entries(item))
  const suggestion = text(fields.get('suggestion'))
  const [path, line, column] = [text(fields.get('path')), fields.get('line'), fields.get('column')]
  return [
    {
      message: text(item.message),
      ...(path === '' ? {} : { path }),
      ...(typeof line === 'number' ? { line } : {}),
      ...(typeof column === 'number' ? { column } : {}),
      ...(suggestion === '' ? {} : { suggestion }),
    },
  ]
}
