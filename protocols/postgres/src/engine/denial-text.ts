import type { Denial } from '@sallyport/kit'
import type { AnalysisError } from '../analyse/index.js'
import { encodeError } from '../codec/index.js'

/** What the engine refuses by itself, as the client sees it. */
export interface Refused {
  readonly rule: string
  readonly sqlstate: string
  readonly message: string
  readonly hint: string
  readonly position?: number
}

/** SQLSTATE by cause: 42501 insufficient_privilege, 57014 query_canceled, 57P03 cannot_connect_now. */
const sqlstates = {
  denied: '42501',
  rejected: '42501',
  expired: '42501',
  refused: '42501',
  cancelled: '57014',
  unavailable: '57P03',
} as const satisfies Record<Denial['cause'], string>

export function denialError(denial: Denial): Buffer {
  return encodeError({
    severity: 'ERROR',
    sqlstate: sqlstates[denial.cause],
    message: `Sallyport: ${denial.message}`,
    detail: `Rule: ${denial.rule}`,
    hint: denial.hint,
  })
}

export function refusedError(refused: Refused): Buffer {
  return encodeError({
    severity: 'ERROR',
    sqlstate: refused.sqlstate,
    message: refused.message,
    hint: refused.hint,
    ...(refused.position === undefined ? {} : { position: refused.position }),
  })
}

/** A statement that can't be analysed, in the words and with the code that PostgreSQL's users know. */
export function fromAnalysisError(error: AnalysisError): Refused {
  const position = error.position === undefined ? {} : { position: error.position }
  switch (error.code) {
    case 'unparsable':
      return { rule: 'unparsable', sqlstate: '42601', message: error.message, hint: error.hint, ...position }
    case 'unresolved':
      return { rule: 'unresolved', sqlstate: '42501', message: `Sallyport: ${error.message}`, hint: error.hint, ...position }
    case 'too_large':
    case 'too_complex':
      return { rule: error.code, sqlstate: '54001', message: `Sallyport: ${error.message}`, hint: error.hint }
    case 'guarded_setting':
      return { rule: 'guarded-setting', sqlstate: '42501', message: `Sallyport: ${error.message}`, hint: error.hint }
  }
}

export const batchRefusal = {
  rule: 'batch',
  message: 'not run: another statement of the same message was denied',
  hint: 'Send the statements separately.',
}
