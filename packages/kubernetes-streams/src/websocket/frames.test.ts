import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { StreamsError } from '../errors.js'
import { MAX_FRAGMENTS, MAX_MESSAGE } from '../limits.js'
import { cut, payload, places } from '../testing/chunks.js'
import { encodeFrame, FrameDecoder, opcodes, type FrameSink } from './frames.js'

/** Records what a decoder says, one line each. */
class Record implements FrameSink {
  readonly events: string[] = []
  #message: Buffer[] = []
  messageStart(): void {
    this.#message = []
  }
  messageBytes(bytes: Buffer): void {
    this.#message.push(Buffer.from(bytes))
  }
  messageEnd(): void {
    this.events.push(`message ${Buffer.concat(this.#message).toString('hex')}`)
  }
  ping(bytes: Buffer): void {
    this.events.push(`ping ${bytes.toString('hex')}`)
  }
  pong(): void {
    this.events.push('pong')
  }
  close(code: number | undefined): void {
    this.events.push(`close ${code}`)
  }
}

const mask = Buffer.from([0x5a, 0x00, 0xff, 0x13])

function encode(opcode: number, bytes: Buffer, masked: boolean, fin = true): Buffer {
  const frame = encodeFrame(opcode, bytes, masked ? mask : undefined)
  const head = Buffer.from(frame.head)
  if (!fin) head.writeUInt8(opcode, 0)
  return Buffer.concat([head, frame.payload])
}

function decode(masked: boolean, ...chunks: readonly Buffer[]): string[] {
  const record = new Record()
  const decoder = new FrameDecoder(masked, record)
  for (const chunk of chunks) decoder.push(chunk)
  return record.events
}

/** A message in fragments with pings between them, or a ping alone. */
const item = fc.oneof(
  fc.array(payload, { minLength: 1, maxLength: 4 }).map((fragments) => ({ fragments })),
  fc.uint8Array({ maxLength: 125 }).map((bytes) => ({ ping: Buffer.from(bytes) })),
)

describe('WebSocket frames', () => {
  it('come out as they went in, wherever they are cut', () => {
    fc.assert(
      fc.property(fc.array(item, { maxLength: 6 }), fc.boolean(), places, (items, masked, at) => {
        const wire: Buffer[] = []
        const expected: string[] = []
        for (const one of items) {
          if ('ping' in one) {
            wire.push(encode(opcodes.ping, one.ping, masked))
            expected.push(`ping ${one.ping.toString('hex')}`)
            continue
          }
          one.fragments.forEach((bytes, i) => {
            const last = i === one.fragments.length - 1
            wire.push(encode(i === 0 ? opcodes.binary : opcodes.continuation, bytes, masked, last))
            if (!last) wire.push(encode(opcodes.pong, Buffer.alloc(0), masked))
            if (!last) expected.push('pong')
          })
          expected.push(`message ${Buffer.concat(one.fragments).toString('hex')}`)
        }
        expect(decode(masked, ...cut(Buffer.concat(wire), at))).toEqual(expected)
      }),
    )
  })

  it('may be cut at every byte', () => {
    const sizes = [0, 1, 125, 126, 65_535, 65_536]
    const wire = Buffer.concat(sizes.map((size) => encode(opcodes.binary, Buffer.alloc(size, 7), true)))
    const whole = decode(true, wire)
    expect(whole.map((event) => (event.length - 'message '.length) / 2)).toEqual(sizes)
    const record = new Record()
    const decoder = new FrameDecoder(true, record)
    for (const byte of wire) decoder.push(Buffer.from([byte]))
    expect(record.events).toEqual(whole)
  })

  it('end with a close: nothing after it counts', () => {
    const closing = Buffer.from([0x03, 0xe8])
    expect(decode(true, encode(opcodes.close, closing, true), encode(opcodes.binary, closing, true))).toEqual(['close 1000'])
    expect(decode(false, encode(opcodes.close, Buffer.alloc(0), false))).toEqual(['close undefined'])
  })

  const none = Buffer.alloc(0)
  const long = (first: number, second: number, ...rest: readonly number[]): Buffer => Buffer.from([first, second, ...rest])
  const wrong: readonly (readonly [string, boolean, Buffer])[] = [
    ['an unmasked frame from a client', true, encode(opcodes.binary, none, false)],
    ['a masked frame from a server', false, encode(opcodes.binary, none, true)],
    ['a reserved bit', false, long(0xc2, 0)],
    ['a text message', false, encode(opcodes.text, none, false)],
    ['a continuation of nothing', false, encode(opcodes.continuation, none, false)],
    ['a message within a message', false, Buffer.concat([encode(opcodes.binary, none, false, false), encode(opcodes.binary, none, false)])],
    ['a fragmented ping', false, encode(opcodes.ping, none, false, false)],
    ['a long ping', false, encode(opcodes.ping, Buffer.alloc(126), false)],
    ['an unknown opcode', false, encode(3, none, false)],
    ['an unknown control opcode', false, encode(11, none, false)],
    ['a length of 125 in 16 bits', false, long(0x82, 126, 0, 125)],
    ['a length of 65535 in 64 bits', false, long(0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff)],
    ['a close of one byte', false, encode(opcodes.close, Buffer.from([3]), false)],
    ['a close code for nobody', false, encode(opcodes.close, Buffer.from([0x03, 0xed]), false)],
  ]
  it.each(wrong)('are refused: %s', (_name, masked, bytes) => {
    expect(() => decode(masked, bytes)).toThrow(expect.objectContaining({ code: 'PROTOCOL' }))
  })

  const tooMuch: readonly (readonly [string, Buffer])[] = [
    ['a huge frame', long(0x82, 127, 0, 0, 0, 0, 0x01, 0, 0, 1)],
    ['a frame beyond 32 bits', long(0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0)],
    ['a message that grows too long', Buffer.concat([encode(opcodes.binary, Buffer.alloc(MAX_MESSAGE), false, false), encode(opcodes.continuation, Buffer.alloc(1), false)])],
    ['endless fragments', Buffer.concat([encode(opcodes.binary, none, false, false), ...Array.from({ length: MAX_FRAGMENTS }, () => encode(opcodes.continuation, none, false, false))])],
  ]
  it.each(tooMuch)('are bounded: %s', (_name, bytes) => {
    expect(() => decode(false, bytes)).toThrow(expect.objectContaining({ code: 'LIMIT' }))
  })

  it('never fail in another way on arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, masked) => {
        try {
          decode(masked, Buffer.from(bytes))
        } catch (error) {
          expect(error).toBeInstanceOf(StreamsError)
        }
      }),
    )
  })
})
