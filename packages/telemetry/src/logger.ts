import { pino, stdTimeFunctions, type DestinationStream, type Logger as PinoLogger } from 'pino'

export type Logger = PinoLogger

export interface LogOptions {
  /** `trace`, `debug`, `info`, `warn`, `error`, `fatal` or `silent`. Default: SALLYPORT_LOG_LEVEL, else `info`. */
  readonly level?: string
  /** Default: standard output, written synchronously, so that the last line before a crash is there. */
  readonly destination?: DestinationStream
}

/**
 * Names under which a secret could be logged by mistake. Defence in depth only: what is secret is a `Secret<T>`
 * (which prints a placeholder by itself), and statements, rows and keys are never handed to a logger.
 */
const secretNames = [
  'password', 'passphrase', 'secret', 'token', 'access_token', 'id_token', 'refresh_token', 'subject_token', 'api_key',
  'authorization', 'cookie', 'credential', 'private_key', 'key_pem', 'mask_key', 'grant', 'jws', 'proof', 'verifier',
  'sasl_response', 'database_url', 'text', 'statement', 'parameters', 'rows',
]

const levels = new Set(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])

/**
 * A logger that writes one JSON object per line: `level`, `time` (RFC 3339 UTC), `service`, `pid`, `message` and the
 * call's own snake_case fields. Messages are constants; data goes into fields.
 * @throws when the level is unknown, naming the variable.
 */
export function createLogger(name: string, options: LogOptions = {}): Logger {
  const level = options.level ?? process.env['SALLYPORT_LOG_LEVEL'] ?? 'info'
  if (!levels.has(level)) throw new Error(`SALLYPORT_LOG_LEVEL must be one of ${[...levels].join(', ')}`)
  return pino(
    {
      level,
      messageKey: 'message',
      base: { service: name, pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: errorFields, err: errorFields },
      redact: { paths: secretNames.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]), censor: '[redacted]' },
    },
    options.destination ?? pino.destination({ dest: 1, sync: true }),
  )
}

/**
 * Only these of an error. Drivers hang whole requests on their errors (statement, parameters, headers), which the
 * library's own serialiser would print.
 */
function errorFields(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: typeof error === 'string' ? error : typeof error }
  const code = 'code' in error && (typeof error.code === 'string' || typeof error.code === 'number') ? error.code : undefined
  return { type: error.name, ...(code === undefined ? {} : { code }), message: error.message, stack: error.stack }
}
