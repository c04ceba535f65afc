import { randomFillSync } from 'node:crypto'
import { StreamProtocolError } from '../errors.js'

/** RFC 6455, section 5.2. */
export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

export interface WebSocketFrame {
  readonly fin: boolean
  readonly opcode: number
  readonly payload: Buffer
}

/** Larger than what any client of Kubernetes sends in one frame (32 KiB and a channel number). */
const maxPayload = 1024 * 1024
const maxControlPayload = 125

/** Takes bytes apart into frames. @throws {StreamProtocolError} */
export class WebSocketFrameReader {
  #pending: Buffer = Buffer.alloc(0)
  /** @param masked what the peer must do: clients mask, servers don't (section 5.1) */
  constructor(
    private readonly masked: boolean,
    private readonly onFrame: (frame: WebSocketFrame) => void,
  ) {}

  push(chunk: Buffer): void {
    let bytes = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
    for (;;) {
      const used = this.#frame(bytes)
      if (used === 0) break
      bytes = bytes.subarray(used)
    }
    // A copy, so that a small rest doesn't hold a large chunk.
    this.#pending = bytes.length === 0 ? bytes : Buffer.from(bytes)
  }

  /** Bytes that the first frame took; 0 when it isn't whole yet. */
  #frame(bytes: Buffer): number {
    if (bytes.length < 2) return 0
    const first = bytes.readUInt8(0)
    const second = bytes.readUInt8(1)
    const opcode = first & 0x0f
    const control = opcode >= 8
    if ((first & 0x70) !== 0) throw new StreamProtocolError('a WebSocket frame has reserved bits set')
    if (opcode !== opcodes.continuation && opcode !== opcodes.text && opcode !== opcodes.binary && opcode !== opcodes.close && opcode !== opcodes.ping && opcode !== opcodes.pong) throw new StreamProtocolError('a WebSocket frame has an unknown opcode')
    if (((second & 0x80) !== 0) !== this.masked) throw new StreamProtocolError(this.masked ? 'a WebSocket frame of a client is not masked' : 'a WebSocket frame of a server is masked')
    let length = second & 0x7f
    if (control && (length > maxControlPayload || (first & 0x80) === 0)) throw new StreamProtocolError('a WebSocket control frame is too long or fragmented')
    let offset = 2
    if (length === 126) {
      if (bytes.length < 4) return 0
      length = bytes.readUInt16BE(2)
      if (length < 126) throw new StreamProtocolError('the length of a WebSocket frame is not in its shortest form')
      offset = 4
    } else if (length === 127) {
      if (bytes.length < 10) return 0
      const long = bytes.readBigUInt64BE(2)
      if (long < 65_536n) throw new StreamProtocolError('the length of a WebSocket frame is not in its shortest form')
      if (long > BigInt(maxPayload)) throw new StreamProtocolError('a WebSocket frame is too large')
      length = Number(long)
      offset = 10
    }
    const maskAt = offset
    if (this.masked) offset += 4
    if (bytes.length < offset + length) return 0
    let payload = bytes.subarray(offset, offset + length)
    if (this.masked && length > 0) payload = unmasked(payload, bytes, maskAt)
    this.onFrame({ fin: (first & 0x80) !== 0, opcode, payload })
    return offset + length
  }
}

function unmasked(payload: Buffer, bytes: Buffer, maskAt: number): Buffer {
  const result = Buffer.allocUnsafe(payload.length)
  const mask = [bytes[maskAt] ?? 0, bytes[maskAt + 1] ?? 0, bytes[maskAt + 2] ?? 0, bytes[maskAt + 3] ?? 0] as const
  for (let index = 0; index < payload.length; index++) result[index] = (payload[index] ?? 0) ^ (mask[index & 3] ?? 0)
  return result
}

/**
 * One unfragmented frame.
 * @param prefix goes before the payload (a channel number); empty for none
 */
export function encodeWebSocketFrame(opcode: number, payload: Uint8Array, mask: boolean, prefix?: number): Buffer {
  const length = payload.length + (prefix === undefined ? 0 : 1)
  const extended = length < 126 ? 0 : length < 65_536 ? 2 : 8
  const start = 2 + extended + (mask ? 4 : 0)
  const frame = Buffer.allocUnsafe(start + length)
  frame.writeUInt8(0x80 | opcode, 0)
  frame.writeUInt8((mask ? 0x80 : 0) | (extended === 0 ? length : extended === 2 ? 126 : 127), 1)
  if (extended === 2) frame.writeUInt16BE(length, 2)
  else if (extended === 8) frame.writeBigUInt64BE(BigInt(length), 2)
  if (prefix !== undefined) frame.writeUInt8(prefix, start)
  frame.set(payload, start + length - payload.length)
  if (mask) {
    const key = randomFillSync(frame, start - 4, 4)
    for (let index = start; index < frame.length; index++) frame[index] = (frame[index] ?? 0) ^ (key[start - 4 + ((index - start) & 3)] ?? 0)
  }
  return frame
}
