import { Catch, HttpException, Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common'
import type { Request, Response } from 'express'
import { AuditUnavailableError } from '../audit/chain-writer.js'
import { Problem } from './problem.js'
import { requestId } from './request-id.js'

/** Every error leaves as problem+json. What isn't meant for a client becomes a bare 500 with the request's id. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  readonly #log = new Logger(ProblemFilter.name)

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp()
    const request: Request = http.getRequest()
    const response: Response = http.getResponse()
    const id = requestId(request)
    const problem = toProblem(error)
    if (problem.status >= 500) this.#log.error({ message: 'request failed', request_id: id, method: request.method, error: describe(error) })
    if (response.headersSent) {
      response.destroy()
      return
    }
    if (problem.status === 401) response.setHeader('WWW-Authenticate', 'Bearer realm="sallyport"')
    response
      .status(problem.status)
      .type('application/problem+json')
      .send(
        JSON.stringify({
          type: 'about:blank',
          title: titles[problem.status] ?? 'Error',
          status: problem.status,
          code: problem.code,
          detail: problem.detail,
          ...(problem.more.hint === undefined ? {} : { hint: problem.more.hint }),
          ...(problem.more.errors === undefined ? {} : { errors: problem.more.errors }),
          ...problem.more.extra,
          request_id: id,
        }),
      )
  }
}

/** Maps any error to what a client may see. Recognised by type alone: the text of a foreign error stays here. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  if (error instanceof AuditUnavailableError) {
    return new Problem(503, 'AUDIT_UNAVAILABLE', 'The audit trail cannot be written, so nothing was done.', { hint: 'Try again when the database is back.' })
  }
  if (error instanceof HttpException) {
    const status = error.getStatus()
    return new Problem(status, httpCodes[status] ?? 'ERROR', httpDetails[status] ?? titles[status] ?? 'The request was refused.')
  }
  // express's body parser raises plain errors that carry a status.
  const status = statusOf(error)
  if (status === 413) return new Problem(413, 'TOO_LARGE', 'The request body is too large.')
  if (status !== undefined && status >= 400 && status < 500) return new Problem(status, 'INVALID_REQUEST', 'The request body cannot be read.')
  return new Problem(500, 'INTERNAL', 'Something failed in the control plane.', { hint: "Look for this request_id in the control plane's log." })
}

function statusOf(error: unknown): number | undefined {
  return error instanceof Error && 'status' in error && typeof error.status === 'number' ? error.status : undefined
}

/** For the log: type and stack, which hold no request data. Prisma puts query arguments into messages, so its message stays out. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return typeof error
  const frames = error.stack?.split('\n').filter((line) => line.startsWith('    at ')).slice(0, 8).join('\n') ?? ''
  const message = error.name.startsWith('Prisma') ? '' : `: ${error.message.slice(0, 300)}`
  const cause = error.cause instanceof Error ? ` (cause: ${error.cause.name})` : ''
  return `${error.name}${message}${cause}\n${frames}`
}

const titles: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  413: 'Content Too Large',
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
}

const httpCodes: Readonly<Record<number, string>> = {
  400: 'INVALID_REQUEST',
  401: 'UNAUTHENTICATED',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  405: 'METHOD_NOT_ALLOWED',
  413: 'TOO_LARGE',
  415: 'UNSUPPORTED_MEDIA_TYPE',
  429: 'TOO_MANY_REQUESTS',
  503: 'UNAVAILABLE',
}

const httpDetails: Readonly<Record<number, string>> = {
  400: 'The request is not valid.',
  401: 'A valid API token is needed.',
  403: 'You are not permitted to do this.',
  404: 'There is nothing at this address.',
  503: 'The control plane is not ready.',
}
