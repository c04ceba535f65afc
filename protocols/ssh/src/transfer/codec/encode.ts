import { packet } from './types.js'

/** A packet of `type` whose body is an id and `fields`: numbers are uint32, buffers are put in as they are. */
export function encodePacket(type: number, id: number, fields: readonly (Buffer | number)[]): Buffer {
  let length = 5
  for (const field of fields) length += typeof field === 'number' ? 4 : field.length
  const out = Buffer.allocUnsafe(length + 4)
  out.writeUInt32BE(length, 0)
  out.writeUInt8(type, 4)
  out.writeUInt32BE(id, 5)
  let position = 9
  for (const field of fields) {
    if (typeof field === 'number') position = out.writeUInt32BE(field, position)
    else position += field.copy(out, position)
  }
  return out
}

/** `length:uint32be bytes`. */
export function encodeString(value: Buffer | string): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value
  const out = Buffer.allocUnsafe(bytes.length + 4)
  out.writeUInt32BE(bytes.length, 0)
  bytes.copy(out, 4)
  return out
}

export function encodeStatus(id: number, code: number, message: string): Buffer {
  return encodePacket(packet.status, id, [code, encodeString(message), encodeString('')])
}

/** An EXTENDED request. */
export function encodeExtended(id: number, name: string, fields: readonly (Buffer | number)[]): Buffer {
  return encodePacket(packet.extended, id, [encodeString(name), ...fields])
}

/** The same packet under another id. Copies only when it has to. */
export function withId(frame: Buffer, id: number): Buffer {
  if (frame.readUInt32BE(5) === id) return frame
  const copy = Buffer.from(frame)
  copy.writeUInt32BE(id, 5)
  return copy
}

/** ATTRS that say nothing. */
export const noAttributes = Buffer.alloc(4)
