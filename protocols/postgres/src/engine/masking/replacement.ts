import type { CompiledMasks, MaskMethod } from '@sallyport/policy'
import { classOf, encodeValue, redactedJson, valueText } from './value-types.js'

/**
 * What stands in place of a value under a mask, in the column's own type and format; null for NULL. A type that can't
 * carry the mask's text (a date, an array) becomes NULL, never something the client could take for a value.
 */
export function replaceValue(masks: CompiledMasks, method: MaskMethod, bytes: Buffer, typeOid: number, format: number): Buffer | null {
  if (method === 'null') return null
  const kind = classOf(typeOid)
  if (method === 'hash' && (kind === 'integer' || kind === 'uuid')) return hashed(masks, bytes, typeOid, format)
  if (kind === 'json') return encodeValue(redactedJson, typeOid, format)
  if (kind !== 'text') return null
  const text = valueText(bytes, typeOid, format)
  const replaced = text === undefined ? null : masks.applyText(method, text)
  return replaced === null ? null : encodeValue(replaced, typeOid, format)
}

/** A stable stand-in of the same type, so that joins and groups over the masked column still work. */
function hashed(masks: CompiledMasks, bytes: Buffer, typeOid: number, format: number): Buffer | null {
  if (typeOid === 2950) {
    const text = format === 1 ? bytes.toString('hex') : bytes.toString('latin1').replaceAll('-', '').toLowerCase()
    const hex = `${masks.applyText('hash', text) ?? ''}${masks.applyText('hash', `${text}2`) ?? ''}`
    if (!/^[0-9a-f]{32}$/.test(hex)) return null
    return format === 1 ? Buffer.from(hex, 'hex') : Buffer.from(hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'))
  }
  const text = valueText(bytes, typeOid, format)
  const hex = text === undefined ? null : masks.applyText('hash', text)
  if (hex === null || !/^[0-9a-f]{16}$/.test(hex)) return null
  const bits = typeOid === 20 ? 53n : typeOid === 23 ? 31n : 15n
  const value = BigInt(`0x${hex}`) & ((1n << bits) - 1n)
  if (format === 0) return Buffer.from(String(value))
  const out = Buffer.alloc(typeOid === 20 ? 8 : typeOid === 23 ? 4 : 2)
  if (typeOid === 20) out.writeBigInt64BE(value)
  else if (typeOid === 23) out.writeInt32BE(Number(value))
  else out.writeInt16BE(Number(value))
  return out
}
