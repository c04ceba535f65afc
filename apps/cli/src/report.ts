import { ApiProblem, ApiUnreachable } from '@sallyport/api-client'
import { CommanderError } from 'commander'
import { CliError, exitCode } from './errors.js'
import { connectionFailure } from './http/wire.js'
import { visible, visibleJson } from './output/visible.js'

interface Failure {
  readonly message: string
  readonly why?: string
  readonly next?: string
  /** Of the control plane's problem. */
  readonly code?: string
  readonly status?: number
  readonly request_id?: string
  readonly exit: number
}

/** Tells an error, to standard error alone, and says with which code the program ends. */
export function report(error: unknown, argv: readonly string[] = process.argv): number {
  // Commander has said it already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCode.ok : exitCode.usage
  const failure = failureOf(error)
  process.stderr.write(wantsJson(argv) ? `${visibleJson(JSON.stringify({ error: failure }))}\n` : textOf(failure))
  return failure.exit
}

function textOf({ message, why, next }: Failure): string {
  const lines = [`sallyport: ${visible(message)}`, ...(why === undefined ? [] : [`  why:  ${visible(why)}`]), ...(next === undefined ? [] : [`  next: ${visible(next)}`])]
  return `${lines.join('\n')}\n`
}

export function failureOf(error: unknown): Failure {
  if (error instanceof ApiProblem) return refusal(error)
  if (error instanceof ApiUnreachable) {
    const why = error.timedOut ? {} : { why: connectionFailure(error.cause) }
    return { message: error.message, ...why, next: 'check that the address (SALLYPORT_URL) is right and that the control plane runs: sallyport doctor', exit: error.timedOut ? exitCode.timedOut : exitCode.unreachable }
  }
  if (error instanceof CliError) {
    const { why, next } = error.details
    return { message: error.message, ...(why === undefined ? {} : { why }), ...(next === undefined ? {} : { next }), exit: error.exit }
  }
  return { message: error instanceof Error ? error.message : String(error), exit: exitCode.error }
}

function refusal({ status, code, detail, hint, requestId }: ApiProblem): Failure {
  const next = hint || (status === 401 ? 'check the token: it may have expired or been revoked' : '')
  return {
    message: detail,
    ...(next === '' ? {} : { next }),
    ...(code === '' ? {} : { code }),
    status,
    ...(requestId === '' ? {} : { request_id: requestId }),
    exit: exitOf(status, code),
  }
}

function exitOf(status: number, code: string): number {
  switch (status) {
    case 401:
    case 403:
      return exitCode.denied
    case 404:
      return exitCode.notFound
    case 409:
      // A log that isn't what was signed is no matter of trying again.
      return code === 'AUDIT_BROKEN' ? exitCode.error : exitCode.conflict
    case 502:
    case 503:
    case 504:
      return exitCode.unreachable
    default:
      // Token exchange answers 400 with OAuth's codes.
      if (code === 'invalid_grant' || code === 'access_denied') return exitCode.denied
      return code === 'invalid_target' ? exitCode.notFound : exitCode.error
  }
}

/** Whether `-o json` was given: asked of the words, because an error may come before they were understood. */
function wantsJson(argv: readonly string[]): boolean {
  const own = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv
  return own.some((word, at) => word === '-ojson' || word === '--output=json' || ((word === '-o' || word === '--output') && own[at + 1] === 'json'))
}
