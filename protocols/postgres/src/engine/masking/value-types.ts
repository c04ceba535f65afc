/** What stands in place of a redacted JSON value. */
export const redactedJson = '"[redacted]"'

/** Type OIDs (pg_type.dat) whose values are their text, in binary format as well. */
const textTypes = new Set([18, 19, 25, 142, 705, 1042, 1043, 2275])
const jsonTypes = new Set([114, 3802])
/** Fixed scalars that hold nothing a detector looks for: bool, int2, int4, oid, tid, floats, dates, times, intervals, uuid … */
const plainTypes = new Set([16, 21, 23, 24, 26, 27, 28, 29, 700, 701, 1082, 1083, 1114, 1184, 1186, 1266, 2950, 2278])

export type ValueClass = 'text' | 'json' | 'integer' | 'numeric' | 'uuid' | 'structured'

export function classOf(typeOid: number): ValueClass {
  if (textTypes.has(typeOid)) return 'text'
  if (jsonTypes.has(typeOid)) return 'json'
  if (typeOid === 20 || typeOid === 23 || typeOid === 21) return 'integer'
  if (typeOid === 1700) return 'numeric'
  if (typeOid === 2950) return 'uuid'
  return 'structured'
}

/** Whether content detectors look at values of this type. */
export function detectable(typeOid: number): boolean {
  return !plainTypes.has(typeOid)
}

/** The value as text, so that a hash is the same in both formats. Undefined when a binary form isn't understood. */
export function valueText(bytes: Buffer, typeOid: number, format: number): string | undefined {
  if (format === 0) return bytes.toString('utf8')
  const kind = classOf(typeOid)
  if (kind === 'text' || typeOid === 114) return bytes.toString('utf8')
  // jsonb's binary form is a version byte and the text (jsonb_send).
  if (typeOid === 3802) return bytes[0] === 1 ? bytes.toString('utf8', 1) : undefined
  if (typeOid === 20 && bytes.length === 8) return String(bytes.readBigInt64BE())
  if (typeOid === 23 && bytes.length === 4) return String(bytes.readInt32BE())
  if (typeOid === 21 && bytes.length === 2) return String(bytes.readInt16BE())
  if (typeOid === 1700) return numericText(bytes)
  return undefined
}

/** Whether the binary form is a number that a detector can only read as text: a card number kept as int8 or numeric. */
export function binaryNumber(typeOid: number, format: number): boolean {
  return format === 1 && (typeOid === 20 || typeOid === 1700)
}

/** The digits before the point of a binary numeric (numeric_send: digits of base 10000, the first worth 10000^weight). */
function numericText(bytes: Buffer): string | undefined {
  if (bytes.length < 8) return undefined
  const count = bytes.readInt16BE(0)
  const weight = bytes.readInt16BE(2)
  if (count < 0 || bytes.length < 8 + count * 2) return undefined
  let text = ''
  for (let index = 0; index <= weight && index < maxNumericGroups; index += 1) {
    text += index < count ? String(bytes.readInt16BE(8 + index * 2)).padStart(4, '0') : '0000'
  }
  return text.replace(/^0+/, '')
}

/** Longer numbers hold nothing that a detector looks for. */
const maxNumericGroups = 16

/** Text back into the column's format; null when the type can't carry it: the value then becomes NULL. */
export function encodeValue(text: string, typeOid: number, format: number): Buffer | null {
  const kind = classOf(typeOid)
  if (kind === 'text') return Buffer.from(text, 'utf8')
  if (kind === 'json') {
    const json = isJson(text) ? text : redactedJson
    return typeOid === 3802 && format === 1 ? Buffer.concat([jsonbVersion, Buffer.from(json, 'utf8')]) : Buffer.from(json, 'utf8')
  }
  return null
}

const jsonbVersion = Buffer.from([1])

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
