import { constants, deflateRawSync, deflateSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { StreamsError } from '../errors.js'
import { MAX_HEADERS, MAX_SPDY_CONTROL } from '../limits.js'
import { cut, payload, places } from '../testing/chunks.js'
import { headerDictionary } from './dictionary.js'
import { dataHead, goAway, ping, rstStream, SpdyDecoder, SpdyEncoder, types, type SpdySink } from './frames.js'
import { decodeHeaders, DICTIONARY_ID, encodeHeaders, HeaderDeflater, HeaderInflater } from './headers.js'

function decode(...chunks: readonly Buffer[]): string[] {
  const events: string[] = []
  let data = ''
  const sink: SpdySink = {
    synStream: (id, headers, fin, uni) => events.push(`syn ${id} ${JSON.stringify([...headers])}${fin ? ' fin' : ''}${uni ? ' uni' : ''}`),
    synReply: (id, fin) => events.push(`reply ${id}${fin ? ' fin' : ''}`),
    headersFin: (id) => events.push(`headers fin ${id}`),
    rstStream: (id) => events.push(`reset ${id}`),
    ping: (id) => events.push(`ping ${id}`),
    goAway: () => events.push('goaway'),
    data: (id, bytes) => (data += `${id}:${bytes.toString('hex')} `),
    dataFin: (id) => events.push(`fin ${id} ${data.replaceAll(` ${id}:`, '').trim()}`),
  }
  const decoder = new SpdyDecoder(sink)
  for (const chunk of chunks) decoder.push(chunk)
  return events
}

function control(type: number, body: Buffer, flags = 0, version = 3): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt16BE(0x8000 | version, 0)
  head.writeUInt16BE(type, 2)
  head.writeUInt8(flags, 4)
  head.writeUIntBE(body.length, 5, 3)
  return Buffer.concat([head, body])
}

const words = (...values: readonly number[]): Buffer => {
  const bytes = Buffer.alloc(4 * values.length)
  values.forEach((value, i) => bytes.writeUInt32BE(value, 4 * i))
  return bytes
}

/** A header block as a compressing peer (Go's zlib with the dictionary) sends it first. */
function compressed(plain: Buffer): Buffer {
  return deflateSync(plain, { dictionary: headerDictionary, finishFlush: constants.Z_SYNC_FLUSH })
}

const synStream = (block: Buffer): Buffer => control(types.synStream, Buffer.concat([words(1, 0), Buffer.alloc(2), block]))

const headerMap = fc.dictionary(fc.stringMatching(/^[a-z-]{1,12}$/), fc.stringMatching(/^[ -~]{0,20}$/), { maxKeys: 5 }).map((object) => new Map(Object.entries(object)))

const frame = fc.oneof(
  headerMap.map((headers) => ({ kind: 'syn' as const, headers })),
  fc.constant({ kind: 'reply' as const }),
  payload.map((bytes) => ({ kind: 'data' as const, bytes })),
  fc.constantFrom('reset', 'ping', 'goaway').map((kind) => ({ kind: 'plain' as const, name: kind })),
)

describe('SPDY frames', () => {
  it('come out as they went in, wherever they are cut', () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), places, (frames, at) => {
        const encoder = new SpdyEncoder()
        const wire: Buffer[] = []
        const expected: string[] = []
        for (const one of frames) {
          if (one.kind === 'syn') {
            wire.push(encoder.synStream(1, one.headers))
            expected.push(`syn 1 ${JSON.stringify([...one.headers])}`)
          } else if (one.kind === 'reply') {
            wire.push(encoder.synReply(3))
            expected.push('reply 3')
          } else if (one.kind === 'plain') {
            wire.push(one.name === 'reset' ? rstStream(5, 5) : one.name === 'ping' ? ping(7) : goAway(9, 0))
            expected.push(one.name === 'reset' ? 'reset 5' : one.name === 'ping' ? 'ping 7' : 'goaway')
          } else {
            wire.push(dataHead(1, one.bytes.length, false), one.bytes)
          }
        }
        expect(decode(...cut(Buffer.concat(wire), at))).toEqual(expected)
      }),
    )
  })

  it('carry data through every cut', () => {
    const wire = Buffer.concat([dataHead(1, 3, false), Buffer.from('abc'), dataHead(1, 0, true)])
    const bytewise = decode(...Array.from(wire, (byte) => Buffer.from([byte])))
    expect(bytewise).toEqual(['fin 1 1:616263'])
  })

  it('read a compressing peer, whose blocks refer to earlier ones', () => {
    const inflater = new HeaderInflater()
    const headers = [1, 2, 3, 4].map((n) => new Map([['streamtype', 'data'], ['port', String(8000 + n)], ['requestid', `${n}`]]))
    const blocks = streamOf(headers.map(encodeHeaders))
    expect(blocks[3]?.length).toBeLessThan(40)
    expect(blocks.map((block) => [...decodeHeaders(inflater.inflate(block))])).toEqual(headers.map((map) => [...map]))
  })

  it('keep the history that a compressor may refer to, over more than its window', () => {
    const inflater = new HeaderInflater()
    const plains = Array.from({ length: 30 }, (_, i) => encodeHeaders(new Map([['a', `${i % 3}`.repeat(1500) + 'tail'.repeat(50)], ['b', 'x'.repeat(i * 37)]])))
    streamOf(plains).forEach((block, i) => expect(inflater.inflate(block).equals(plains[i] ?? Buffer.alloc(0))).toBe(true))
  })

  it('use the dictionary of the specification', () => {
    expect(compressed(Buffer.from('x')).readUInt32BE(2)).toBe(DICTIONARY_ID)
  })

  it('skip settings and window updates, answer to headers that end a stream', () => {
    const encoder = new HeaderDeflater()
    const settings = control(types.settings, words(1, 0x04000000 + 4, 100))
    const update = control(types.windowUpdate, words(1, 65_536))
    const headers = control(types.headers, Buffer.concat([words(3), encoder.deflate(encodeHeaders(new Map()))]), 1)
    expect(decode(settings, update, headers)).toEqual(['headers fin 3'])
  })

  const zeros = encodeHeaders(new Map([['bomb', '\x01'.repeat(8_000_000)]]))
  const many = encodeHeaders(new Map(Array.from({ length: MAX_HEADERS + 1 }, (_, i) => [`h${i}`, ''])))
  const bounded: readonly (readonly [string, Buffer])[] = [
    ['a zlib bomb', synStream(compressed(zeros))],
    ['many headers', synStream(compressed(many))],
    ['a long control frame', control(types.synStream, Buffer.alloc(MAX_SPDY_CONTROL + 1))],
    ['a long unknown control frame', control(12, Buffer.alloc(MAX_SPDY_CONTROL + 1))],
  ]
  it.each(bounded)('are bounded: %s', (_name, bytes) => {
    expect(() => decode(bytes)).toThrow(expect.objectContaining({ code: 'LIMIT' }))
  })

  const block = (plain: Buffer): Buffer => new HeaderDeflater().deflate(plain)
  const pair = (name: string, value: string): Buffer => Buffer.concat([words(name.length), Buffer.from(name), words(value.length), Buffer.from(value)])
  const wrong: readonly (readonly [string, Buffer])[] = [
    ['data on stream 0', dataHead(0, 0, false)],
    ['data with unknown flags', Buffer.from([0, 0, 0, 1, 2, 0, 0, 0])],
    ['another version', control(types.ping, words(1), 0, 2)],
    ['an unknown control frame', control(10, Buffer.alloc(4))],
    ['unknown flags', control(types.synReply, words(1), 2)],
    ['stream 0', control(types.rstStream, words(0, 1))],
    ['a reset for no reason', control(types.rstStream, words(1, 0))],
    ['a short reset', control(types.rstStream, words(1))],
    ['a long ping', control(types.ping, words(1, 1))],
    ['a window update of nothing', control(types.windowUpdate, words(1, 0))],
    ['a window update of a wrong length', control(types.windowUpdate, words(1))],
    ['settings that announce more', control(types.settings, words(2, 1, 1))],
    ['a short SYN_STREAM', control(types.synStream, words(1))],
    ['no zlib stream', synStream(Buffer.from('not zlib at all\0\0\xff\xff', 'latin1'))],
    ['another dictionary', synStream(deflateSync(Buffer.from('x'), { dictionary: Buffer.from('other'), finishFlush: constants.Z_SYNC_FLUSH }))],
    ['a block without a flush', synStream(compressed(encodeHeaders(new Map())).subarray(0, -1))],
    ['garbage that ends like a flush', synStream(Buffer.from([0x78, 0x01, 0xff, 0xff, 0x00, 0x00, 0xff, 0xff]))],
    ['a cut header list', synStream(block(Buffer.concat([words(2), pair('a', 'b')])))],
    ['bytes after the headers', synStream(block(Buffer.concat([words(1), pair('a', 'b'), Buffer.alloc(1)])))],
    ['an upper-case name', synStream(block(Buffer.concat([words(1), pair('A', 'b')])))],
    ['an empty name', synStream(block(Buffer.concat([words(1), pair('', 'b')])))],
    ['two values', synStream(block(Buffer.concat([words(1), pair('a', 'b\0c')])))],
    ['a name twice', synStream(block(Buffer.concat([words(2), pair('a', 'b'), pair('a', 'c')])))],
    ['a huge length', synStream(block(words(1, 0xffffffff)))],
  ]
  it.each(wrong)('are refused: %s', (_name, bytes) => {
    expect(() => decode(bytes)).toThrow(expect.objectContaining({ code: 'PROTOCOL' }))
  })

  it('never fail in another way on arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.constantFrom(1, 2, 3, 4, 6, 7, 8, 9, 10), fc.uint8Array({ maxLength: 100 }), fc.nat(3), (type, bytes, flags) => {
        try {
          decode(control(type, Buffer.from(bytes), flags))
        } catch (error) {
          expect(error).toBeInstanceOf(StreamsError)
        }
      }),
    )
  })
})

/** One zlib stream with the dictionary, cut at its sync flushes, each block referring to what came before. */
function streamOf(plains: readonly Buffer[]): Buffer[] {
  let history = headerDictionary
  return plains.map((plain, i) => {
    const raw = deflateRawSync(plain, { dictionary: history, finishFlush: constants.Z_SYNC_FLUSH })
    history = Buffer.concat([history, plain]).subarray(-32_768)
    return i === 0 ? Buffer.concat([Buffer.from([0x78, 0xbb]), words(DICTIONARY_ID), raw]) : raw
  })
}
