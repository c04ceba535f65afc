import { limitError, protocolError } from './errors.js'
import { MAX_STATUS } from './limits.js'

/** A metav1.Status as the error stream carries it (version v4 and later). */
export interface Status {
  readonly metadata: Readonly<Record<string, unknown>>
  readonly status: 'Success' | 'Failure'
  readonly message?: string
  readonly reason?: string
  readonly details?: { readonly causes?: readonly { readonly reason?: string; readonly message?: string }[] }
  readonly code?: number
}

/** The command ended with 0. */
export const successStatus: Status = { metadata: {}, status: 'Success' }

/** The status of a command that ended with `code` (0–255). */
export function exitStatus(code: number): Status {
  if (code === 0) return successStatus
  return {
    metadata: {},
    status: 'Failure',
    message: `command terminated with non-zero exit code: exit status ${code}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
  }
}

/** The status of a command that was refused or failed otherwise: kubectl prints `message` and ends with 1. */
export function failureStatus(message: string, reason = 'InternalError', code = 500): Status {
  return { metadata: {}, status: 'Failure', message, reason, code }
}

/** 0 on success, the command's exit code where the status names one (0–255), undefined for any other failure. */
export function exitCode(status: Status): number | undefined {
  if (status.status === 'Success') return 0
  if (status.reason !== 'NonZeroExitCode') return undefined
  const text = status.details?.causes?.find((cause) => cause.reason === 'ExitCode')?.message
  return text !== undefined && /^\d{1,3}$/.test(text) && Number(text) <= 255 ? Number(text) : undefined
}

/** The status as sent. */
export function encodeStatus(status: Status): Buffer {
  const bytes = Buffer.from(JSON.stringify(status))
  if (bytes.length > MAX_STATUS) throw limitError(`a status is at most ${MAX_STATUS} bytes`)
  return bytes
}

/** Reads a received status; keeps the known fields only. Throws {@link StreamsError} PROTOCOL. */
export function decodeStatus(bytes: Buffer): Status {
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch {
    throw protocolError('the final status is not JSON')
  }
  if (!isRecord(value)) throw protocolError('the final status is not an object')
  const { status, details } = value
  if (status !== 'Success' && status !== 'Failure') throw protocolError('the final status says neither Success nor Failure')
  const causes = isRecord(details) && Array.isArray(details['causes']) ? details['causes'] : undefined
  return {
    metadata: {},
    status,
    ...text('message', value['message']),
    ...text('reason', value['reason']),
    ...(causes && { details: { causes: causes.filter(isRecord).map((c) => ({ ...text('reason', c['reason']), ...text('message', c['message']) })) } }),
    ...(typeof value['code'] === 'number' && { code: value['code'] }),
  }
}

function text<K extends string>(key: K, value: unknown): Partial<Record<K, string>> {
  const found: Partial<Record<K, string>> = {}
  if (typeof value === 'string') found[key] = value
  return found
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
