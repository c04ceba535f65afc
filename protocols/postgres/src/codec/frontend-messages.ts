import { MessageCursor } from './cursor.js'
import { ProtocolError } from './errors.js'

/** Decoders of what a client sends after start-up (PostgreSQL protocol, "Message Formats", frontend messages). */

export function decodeQuery(buffer: Buffer, start: number, end: number): string {
  const cursor = new MessageCursor(buffer, start, end)
  const text = cursor.cstring()
  cursor.done()
  return text
}

export interface Parse {
  readonly name: string
  readonly text: string
  readonly parameterTypes: readonly number[]
}

export function decodeParse(buffer: Buffer, start: number, end: number): Parse {
  const cursor = new MessageCursor(buffer, start, end)
  const name = cursor.cstring()
  const text = cursor.cstring()
  const count = cursor.uint16()
  const parameterTypes: number[] = []
  for (let index = 0; index < count; index += 1) parameterTypes.push(cursor.uint32())
  cursor.done()
  return { name, text, parameterTypes }
}

export interface Bind {
  readonly portal: string
  readonly statement: string
  /** 0 text, 1 binary; one for each value. */
  readonly parameterFormats: readonly number[]
  readonly parameters: readonly (Buffer | null)[]
  /** As sent: none (all text), one (for all) or one per column. */
  readonly resultFormats: readonly number[]
}

export function decodeBind(buffer: Buffer, start: number, end: number): Bind {
  const cursor = new MessageCursor(buffer, start, end)
  const portal = cursor.cstring()
  const statement = cursor.cstring()
  const formats = decodeFormats(cursor)
  const count = cursor.uint16()
  if (formats.length > 1 && formats.length !== count) {
    throw new ProtocolError(`bind message has ${formats.length} parameter formats but ${count} parameters`)
  }
  const parameterFormats: number[] = []
  const parameters: (Buffer | null)[] = []
  for (let index = 0; index < count; index += 1) {
    const length = cursor.int32()
    if (length < -1) throw new ProtocolError('invalid parameter length in bind message')
    parameters.push(length === -1 ? null : cursor.bytes(length))
    parameterFormats.push((formats.length === 1 ? formats[0] : formats[index]) ?? 0)
  }
  const resultFormats = decodeFormats(cursor)
  cursor.done()
  return { portal, statement, parameterFormats, parameters, resultFormats }
}

function decodeFormats(cursor: MessageCursor): number[] {
  const count = cursor.uint16()
  const formats: number[] = []
  for (let index = 0; index < count; index += 1) {
    const format = cursor.int16()
    if (format !== 0 && format !== 1) throw new ProtocolError(`unsupported format code: ${format}`, '22023')
    formats.push(format)
  }
  return formats
}

/** Describe and Close: of a prepared statement or a portal. */
export interface NamedObject {
  readonly kind: 'statement' | 'portal'
  readonly name: string
}

export function decodeNamedObject(buffer: Buffer, start: number, end: number): NamedObject {
  const cursor = new MessageCursor(buffer, start, end)
  const kind = cursor.byte()
  const name = cursor.cstring()
  cursor.done()
  if (kind !== 0x53 && kind !== 0x50) throw new ProtocolError(`invalid DESCRIBE or CLOSE message subtype ${kind}`)
  return { kind: kind === 0x53 ? 'statement' : 'portal', name }
}

export interface Execute {
  readonly portal: string
  readonly maxRows: number
}

export function decodeExecute(buffer: Buffer, start: number, end: number): Execute {
  const cursor = new MessageCursor(buffer, start, end)
  const portal = cursor.cstring()
  const maxRows = cursor.int32()
  cursor.done()
  return { portal, maxRows }
}

export function requireEmpty(buffer: Buffer, start: number, end: number): void {
  new MessageCursor(buffer, start, end).done()
}
