import { createHmac } from 'node:crypto'
import type { DetectorName } from '../detectors/names.js'
import type { MaskMethod } from '../rule.js'

/** What stands in place of a redacted value. */
export const redacted = '[redacted]'

/** From mildest to strictest. When several masks meet one value, the strictest wins. */
export const strictness: Readonly<Record<MaskMethod, number>> = { partial: 0, hash: 1, redact: 2, null: 3 }

export function strictest(a: MaskMethod, b: MaskMethod): MaskMethod {
  return strictness[a] >= strictness[b] ? a : b
}

/**
 * `partial`: a little stays readable. E-mail `d***@e***.com`; numbers (telephone, card, social security, account) the last
 * four; anything else its first character. Values too short to hide anything keep nothing.
 * @param kind what a detector found; without it the value's own look decides
 */
export function partial(value: string, kind?: DetectorName): string {
  if (kind === 'email' || (kind === undefined && looksLikeEmail(value))) return partialEmail(value)
  const numeric =
    kind === 'credit_card' || kind === 'phone' || kind === 'ssn' || kind === 'iban' || (kind === undefined && looksLikeNumber(value))
  const compact = numeric ? value.replace(/[^0-9A-Za-z]/g, '') : ''
  if (compact.length >= 8) return `***${compact.slice(-4)}`
  const [first, second, third] = value
  return first === undefined || second === undefined || third === undefined ? '***' : `${first}***`
}

function looksLikeEmail(value: string): boolean {
  const at = value.lastIndexOf('@')
  return at > 0 && value.length <= 320 && value.indexOf('.', at) > at + 1 && !/\s/.test(value)
}

function looksLikeNumber(value: string): boolean {
  return value.length <= 40 && /^[+(]?\d[\d .()/-]{6,38}$/.test(value)
}

function partialEmail(value: string): string {
  const at = value.lastIndexOf('@')
  if (at < 1) return '***'
  const dot = value.lastIndexOf('.')
  const [first = ''] = value
  const [host = ''] = value.slice(at + 1)
  return `${first}***@${host}***${dot > at + 1 ? value.slice(dot) : ''}`
}

/** HMAC-SHA-256, the first 16 hex digits: the same value always gives the same text, so joins and groups still work. */
export function keyedHash(value: string, key: Uint8Array): string {
  return createHmac('sha256', key).update(value, 'utf8').digest('hex').slice(0, 16)
}
