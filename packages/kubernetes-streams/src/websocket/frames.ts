import { limitError, protocolError } from '../errors.js'
import { MAX_CONTROL_PAYLOAD, MAX_FRAGMENTS, MAX_MESSAGE } from '../limits.js'

/** Where decoded frames go. Payload is passed on as it comes; slices may share memory with what was pushed. */
export interface FrameSink {
  messageStart(): void
  messageBytes(bytes: Buffer): void
  messageEnd(): void
  ping(payload: Buffer): void
  pong(): void
  /** `code` is undefined when the peer gave none. The last call. */
  close(code: number | undefined): void
}

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

/**
 * RFC 6455 frames from bytes. Own rather than the `ws` package's Receiver: that one assembles messages in memory before it hands
 * them out, while a stream's bytes can be passed on at once; so a message costs nothing here, and one parser serves every role.
 * Throws {@link StreamsError} and is then not to be used again. After a close frame everything is ignored.
 */
export class FrameDecoder {
  readonly #header = Buffer.alloc(14)
  #have = 0
  #need = 2
  #inPayload = false
  #left = 0
  #offset = 0
  #opcode = 0
  #fin = false
  #masked = false
  readonly #mask = Buffer.alloc(4)
  readonly #control = Buffer.alloc(MAX_CONTROL_PAYLOAD)
  #inMessage = false
  #message = 0
  #fragments = 0
  #closed = false

  /** `masked`: whether the peer must mask, as clients must and servers must not (section 5.1). */
  constructor(
    private readonly masked: boolean,
    private readonly sink: FrameSink,
  ) {}

  push(chunk: Buffer): void {
    let at = 0
    while (!this.#closed) {
      if (this.#inPayload) {
        const take = Math.min(this.#left, chunk.length - at)
        if (take > 0) this.#payload(chunk.subarray(at, at + take))
        at += take
        if (this.#left > 0) return
        this.#frameEnd()
        continue
      }
      if (at >= chunk.length) return
      const take = Math.min(this.#need - this.#have, chunk.length - at)
      chunk.copy(this.#header, this.#have, at, at + take)
      this.#have += take
      at += take
      if (this.#have === this.#need) this.#headerPart()
    }
  }

  /** Two bytes say how long the header is; then it is read whole. */
  #headerPart(): void {
    const header = this.#header
    const length = header.readUInt8(1) & 0x7f
    if (this.#have === 2) {
      this.#firstBytes(header.readUInt8(0), header.readUInt8(1), length)
      this.#need = 2 + (length === 126 ? 2 : length === 127 ? 8 : 0) + (this.#masked ? 4 : 0)
      if (this.#need > 2) return
    }
    let size = length
    if (length === 126) {
      size = header.readUInt16BE(2)
      if (size < 126) throw protocolError('a frame length is not in its shortest form')
    } else if (length === 127) {
      if (header.readUInt32BE(2) !== 0) throw limitError(`a message is at most ${MAX_MESSAGE} bytes`)
      size = header.readUInt32BE(6)
      if (size < 65_536) throw protocolError('a frame length is not in its shortest form')
    }
    if (this.#masked) header.copy(this.#mask, 0, this.#need - 4, this.#need)
    this.#frameStart(size)
  }

  #firstBytes(first: number, second: number, length: number): void {
    if ((first & 0x70) !== 0) throw protocolError('a reserved bit is set: no extension was negotiated')
    this.#fin = (first & 0x80) !== 0
    this.#opcode = first & 0x0f
    this.#masked = (second & 0x80) !== 0
    if (this.#masked !== this.masked) throw protocolError(this.masked ? 'a client must mask its frames' : 'a server must not mask its frames')
    switch (this.#opcode) {
      case opcodes.continuation:
        if (!this.#inMessage) throw protocolError('a continuation without a message')
        return
      case opcodes.binary:
        if (this.#inMessage) throw protocolError('a message within a message')
        return
      case opcodes.text:
        throw protocolError('a text message: only binary ones are spoken')
      case opcodes.close:
      case opcodes.ping:
      case opcodes.pong:
        if (!this.#fin) throw protocolError('a fragmented control frame')
        if (length > MAX_CONTROL_PAYLOAD) throw protocolError('a control frame is too long')
        return
      default:
        throw protocolError(`unknown opcode ${this.#opcode}`)
    }
  }

  #frameStart(size: number): void {
    this.#inPayload = true
    this.#left = size
    this.#offset = 0
    if (this.#opcode >= opcodes.close) return
    if (this.#opcode === opcodes.binary) {
      this.#inMessage = true
      this.#message = 0
      this.#fragments = 0
      this.sink.messageStart()
    }
    this.#message += size
    if (this.#message > MAX_MESSAGE) throw limitError(`a message is at most ${MAX_MESSAGE} bytes`)
    if (++this.#fragments > MAX_FRAGMENTS) throw limitError(`a message has at most ${MAX_FRAGMENTS} fragments`)
  }

  #payload(bytes: Buffer): void {
    const plain = this.#masked ? xor(bytes, this.#mask, this.#offset) : bytes
    if (this.#opcode < opcodes.close) this.sink.messageBytes(plain)
    else plain.copy(this.#control, this.#offset)
    this.#offset += bytes.length
    this.#left -= bytes.length
  }

  #frameEnd(): void {
    this.#inPayload = false
    this.#have = 0
    this.#need = 2
    const payload = this.#control.subarray(0, this.#offset)
    switch (this.#opcode) {
      case opcodes.ping:
        return this.sink.ping(Buffer.from(payload))
      case opcodes.pong:
        return this.sink.pong()
      case opcodes.close:
        this.#closed = true
        return this.sink.close(closeCode(payload))
      default:
        if (!this.#fin) return
        this.#inMessage = false
        this.sink.messageEnd()
    }
  }
}

/** The code of a close frame's payload (section 7.4), or undefined for an empty one. */
function closeCode(payload: Buffer): number | undefined {
  if (payload.length === 0) return undefined
  if (payload.length === 1) throw protocolError('a close frame of one byte')
  const code = payload.readUInt16BE(0)
  const known = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999)
  if (!known) throw protocolError('an impossible close code')
  return code
}

/** The bytes masked or unmasked in a new buffer; `offset` is their place in the frame. */
function xor(bytes: Buffer, mask: Buffer, offset: number): Buffer {
  const out = Buffer.allocUnsafe(bytes.length)
  const shift = offset & 3
  for (let i = 0; i < bytes.length; i++) out[i] = (bytes[i] ?? 0) ^ (mask[(i + shift) & 3] ?? 0)
  return out
}

/** One final frame: its header and payload, masked with `mask` (4 unpredictable bytes) if given. */
export function encodeFrame(opcode: number, payload: Buffer, mask: Buffer | undefined): { readonly head: Buffer; readonly payload: Buffer } {
  const extended = payload.length < 126 ? 0 : payload.length < 65_536 ? 2 : 8
  const head = Buffer.alloc(2 + extended + (mask ? 4 : 0))
  head.writeUInt8(0x80 | opcode, 0)
  head.writeUInt8((mask ? 0x80 : 0) | (extended === 0 ? payload.length : extended === 2 ? 126 : 127), 1)
  if (extended === 2) head.writeUInt16BE(payload.length, 2)
  if (extended === 8) head.writeUInt32BE(payload.length, 6)
  if (mask === undefined) return { head, payload }
  mask.copy(head, 2 + extended)
  return { head, payload: xor(payload, mask, 0) }
}
