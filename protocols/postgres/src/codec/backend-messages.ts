import { MessageCursor } from './cursor.js'
import { ProtocolError } from './errors.js'
import { backend } from './message-types.js'

/** Encoders and decoders of what a server sends (PostgreSQL protocol, "Message Formats", backend messages). */

export interface FieldDescription {
  readonly name: string
  readonly tableOid: number
  readonly attribute: number
  readonly typeOid: number
  readonly format: number
}

export function decodeRowDescription(buffer: Buffer, start: number, end: number): FieldDescription[] {
  const cursor = new MessageCursor(buffer, start, end)
  const count = cursor.uint16()
  const fields: FieldDescription[] = []
  for (let index = 0; index < count; index += 1) {
    const name = cursor.cstring()
    const tableOid = cursor.uint32()
    const attribute = cursor.int16()
    const typeOid = cursor.uint32()
    cursor.skip(6)
    fields.push({ name, tableOid, attribute, typeOid, format: cursor.int16() })
  }
  cursor.done()
  return fields
}

/** Fields of ErrorResponse and NoticeResponse by their one-letter code. */
export type NoticeFields = Map<string, string>

export function decodeNotice(buffer: Buffer, start: number, end: number): NoticeFields {
  const cursor = new MessageCursor(buffer, start, end)
  const fields: NoticeFields = new Map()
  for (;;) {
    const code = cursor.byte()
    if (code === 0) break
    fields.set(String.fromCharCode(code), cursor.cstring())
  }
  cursor.done()
  return fields
}

export function encodeNotice(type: number, fields: NoticeFields): Buffer {
  const parts: Buffer[] = []
  for (const [code, value] of fields) parts.push(Buffer.from(`${code}${value.replaceAll('\0', '')}\0`, 'utf8'))
  parts.push(Buffer.from([0]))
  return message(type, ...parts)
}

export interface ErrorText {
  readonly severity: 'ERROR' | 'FATAL' | 'NOTICE' | 'WARNING'
  readonly sqlstate: string
  readonly message: string
  readonly detail?: string
  readonly hint?: string
  readonly position?: number
}

export function encodeError(error: ErrorText): Buffer {
  const fields: NoticeFields = new Map([
    ['S', error.severity],
    ['V', error.severity],
    ['C', error.sqlstate],
    ['M', error.message],
  ])
  if (error.detail) fields.set('D', error.detail)
  if (error.hint) fields.set('H', error.hint)
  if (error.position !== undefined) fields.set('P', String(error.position))
  const notice = error.severity === 'NOTICE' || error.severity === 'WARNING'
  return encodeNotice(notice ? backend.noticeResponse : backend.errorResponse, fields)
}

export function encodeReadyForQuery(status: number): Buffer {
  return Buffer.from([backend.readyForQuery, 0, 0, 0, 5, status])
}

export function decodeReadyForQuery(buffer: Buffer, start: number, end: number): number {
  const cursor = new MessageCursor(buffer, start, end)
  const status = cursor.byte()
  cursor.done()
  if (status !== 0x49 && status !== 0x54 && status !== 0x45) throw new ProtocolError('unknown transaction status')
  return status
}

export function decodeCommandTag(buffer: Buffer, start: number, end: number): string {
  const cursor = new MessageCursor(buffer, start, end)
  const tag = cursor.cstring()
  cursor.done()
  if (!commandTag.test(tag)) throw new ProtocolError('it sent a command tag that PostgreSQL has none of')
  return tag
}

/** Words, and at most the numbers that belong there (PostgreSQL protocol, CommandComplete): the tag is shown as it is, so nothing else may be in it. */
const commandTag = /^(?:INSERT \d{1,10} \d{1,20}|[A-Z][A-Z ]{1,60}(?: \d{1,20})?)$/

/** Rows in a CommandComplete tag: `SELECT 5`, `INSERT 0 5`, `COPY 5`. */
export function rowsOfTag(tag: string): number {
  const last = tag.slice(tag.lastIndexOf(' ') + 1)
  return /^\d{1,15}$/.test(last) ? Number(last) : 0
}

export function decodeParameterStatus(buffer: Buffer, start: number, end: number): { name: string; value: string } {
  const cursor = new MessageCursor(buffer, start, end)
  const name = cursor.cstring()
  const value = cursor.cstring()
  cursor.done()
  return { name, value }
}

export function encodeParameterStatus(name: string, value: string): Buffer {
  return message(backend.parameterStatus, Buffer.from(`${name}\0${value}\0`, 'utf8'))
}

export function decodeNotification(buffer: Buffer, start: number, end: number): { pid: number; channel: string; payload: string } {
  const cursor = new MessageCursor(buffer, start, end)
  const pid = cursor.int32()
  const channel = cursor.cstring()
  const payload = cursor.cstring()
  cursor.done()
  return { pid, channel, payload }
}

export function encodeNotification(pid: number, channel: string, payload: string): Buffer {
  const head = Buffer.alloc(4)
  head.writeInt32BE(pid)
  return message(backend.notificationResponse, head, Buffer.from(`${channel}\0${payload}\0`, 'utf8'))
}

export const authenticationOk = Buffer.from([backend.authentication, 0, 0, 0, 8, 0, 0, 0, 0])
export const authenticationCleartext = Buffer.from([backend.authentication, 0, 0, 0, 8, 0, 0, 0, 3])

export function encodeAuthenticationSasl(mechanisms: readonly string[]): Buffer {
  return message(backend.authentication, int32(10), Buffer.from(`${mechanisms.join('\0')}\0\0`, 'latin1'))
}

export function encodeAuthenticationSaslContinue(data: Uint8Array): Buffer {
  return message(backend.authentication, int32(11), data)
}

export function encodeAuthenticationSaslFinal(data: Uint8Array): Buffer {
  return message(backend.authentication, int32(12), data)
}

export function encodeBackendKeyData(pid: number, secret: Uint8Array): Buffer {
  return message(backend.backendKeyData, int32(pid), secret)
}

/** Answer to a minor version above 3.0 or to `_pq_.` options: 3.0 is what is spoken, and these options are not known. */
export function encodeNegotiateProtocolVersion(unknownOptions: readonly string[]): Buffer {
  const names = unknownOptions.map((name) => Buffer.from(`${name}\0`, 'utf8'))
  return message(backend.negotiateProtocolVersion, int32(0x30000), int32(unknownOptions.length), ...names)
}

export function message(type: number, ...parts: readonly Uint8Array[]): Buffer {
  let length = 4
  for (const part of parts) length += part.length
  const bytes = Buffer.allocUnsafe(length + 1)
  bytes[0] = type
  bytes.writeInt32BE(length, 1)
  let offset = 5
  for (const part of parts) {
    bytes.set(part, offset)
    offset += part.length
  }
  return bytes
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
