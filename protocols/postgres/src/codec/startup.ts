import { decodeUtf8 } from './cursor.js'
import { ProtocolError } from './errors.js'
import { maxStartupPacketBytes } from './limits.js'

/** Request codes that stand in the place of a protocol version (PostgreSQL protocol, "Message Formats"). */
const cancelCode = 80877102
const sslCode = 80877103
const gssCode = 80877104

export type StartupPacket =
  | { readonly kind: 'ssl' }
  | { readonly kind: 'gss' }
  | { readonly kind: 'cancel'; readonly pid: number; readonly secret: Buffer }
  | { readonly kind: 'startup'; readonly minor: number; readonly parameters: ReadonlyMap<string, string> }

export interface StartupRead {
  readonly packet: StartupPacket
  /** Bytes used. */
  readonly length: number
}

/**
 * Reads the one message without a type byte. Undefined while it isn't whole.
 * @throws {ProtocolError} as soon as the length is out of bounds, before the rest is waited for
 */
export function readStartupPacket(bytes: Buffer): StartupRead | undefined {
  if (bytes.length < 4) return undefined
  const length = bytes.readUInt32BE(0)
  if (length < 8 || length > maxStartupPacketBytes) throw new ProtocolError('invalid length of startup packet')
  if (bytes.length < length) return undefined
  return { packet: decode(bytes.subarray(0, length)), length }
}

function decode(bytes: Buffer): StartupPacket {
  const code = bytes.readUInt32BE(4)
  if (code === sslCode || code === gssCode) {
    if (bytes.length !== 8) throw new ProtocolError('invalid length of startup packet')
    return { kind: code === sslCode ? 'ssl' : 'gss' }
  }
  if (code === cancelCode) {
    // Protocol 3.2 allows keys of up to 256 bytes; ours have 4, so any other length can't match and is refused at the look-up.
    if (bytes.length < 13 || bytes.length > 12 + 256) throw new ProtocolError('invalid length of query cancel packet')
    return { kind: 'cancel', pid: bytes.readInt32BE(8), secret: Buffer.from(bytes.subarray(12)) }
  }
  const major = code >>> 16
  if (major !== 3) {
    throw new ProtocolError(`unsupported frontend protocol ${major}.${code & 0xffff}: server supports 3.0`, '0A000')
  }
  return { kind: 'startup', minor: code & 0xffff, parameters: decodeParameters(bytes.subarray(8)) }
}

function decodeParameters(bytes: Buffer): Map<string, string> {
  const parameters = new Map<string, string>()
  let position = 0
  const next = (): string => {
    const nul = bytes.indexOf(0, position)
    if (nul === -1) throw new ProtocolError('invalid startup packet layout: expected terminator as last byte')
    const text = decodeUtf8(bytes.subarray(position, nul))
    position = nul + 1
    return text
  }
  for (;;) {
    const name = next()
    if (name === '') break
    if (parameters.has(name)) throw new ProtocolError(`startup parameter "${name.slice(0, 64)}" is given twice`)
    parameters.set(name, next())
  }
  if (position !== bytes.length) throw new ProtocolError('invalid startup packet layout: expected terminator as last byte')
  return parameters
}
