import fc from 'fast-check'
import { serialize } from 'pg-protocol'
import { describe, expect, test } from 'vitest'
import {
  backend,
  decodeBind,
  decodeExecute,
  decodeNamedObject,
  decodeNotice,
  decodeParse,
  decodeQuery,
  decodeRowDescription,
  encodeNotice,
  FrameReader,
  frontend,
  maxClientMessageBytes,
  maxStartupPacketBytes,
  message,
  parseOptions,
  ProtocolError,
  readStartupPacket,
  rowsOfTag,
  targetSettings,
} from './index.js'

const known = new Set<number>(Object.values(frontend))
const limit = (type: number): number => (known.has(type) ? 1_000_000 : 0)

function frames(reader: FrameReader): { type: number; bytes: string }[] {
  const out: { type: number; bytes: string }[] = []
  while (reader.next()) out.push({ type: reader.type, bytes: reader.buffer.toString('hex', reader.start, reader.end) })
  return out
}

const anyFrame = fc
  .tuple(fc.constantFrom(...known), fc.uint8Array({ maxLength: 300 }))
  .map(([type, body]) => message(type, body))

describe('FrameReader', () => {
  test('P11 gives the same messages however the stream is cut', () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { minLength: 1, maxLength: 12 }), fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 40 }), (list, cuts) => {
        const stream = Buffer.concat(list)
        const reader = new FrameReader(limit)
        const seen: { type: number; bytes: string }[] = []
        let offset = 0
        for (let index = 0; offset < stream.length; index += 1) {
          const size = cuts[index % cuts.length] ?? 1
          reader.push(Buffer.from(stream.subarray(offset, offset + size)))
          seen.push(...frames(reader))
          offset += size
        }
        expect(seen).toEqual(list.map((frame) => ({ type: frame[0], bytes: frame.toString('hex') })))
        expect(reader.buffered).toBe(0)
      }),
      { numRuns: 300 },
    )
  })

  test('views of a message stay valid while more arrives', () => {
    const reader = new FrameReader(limit)
    const first = message(frontend.query, Buffer.from('SELECT 1\0'))
    reader.push(Buffer.concat([first, first.subarray(0, 3)]))
    expect(reader.next()).toBe(true)
    const view = reader.buffer.subarray(reader.start, reader.end)
    reader.next()
    for (const byte of first.subarray(3)) {
      reader.push(Buffer.from([byte]))
      reader.next()
    }
    expect(view.equals(first)).toBe(true)
  })

  for (const length of [0, 1, 2, 3, -1, -2147483648, 2147483647, 1_000_000]) {
    test(`P11 refuses the announced length ${length} before anything is waited for`, () => {
      const reader = new FrameReader(limit)
      const head = Buffer.alloc(5)
      head[0] = frontend.query
      head.writeInt32BE(length, 1)
      reader.push(head)
      expect(() => reader.next()).toThrow(ProtocolError)
    })
  }

  for (const type of [0, 1, 0x21, 0x79, 0xff]) {
    test(`P12 refuses the unknown type ${type} on its first byte`, () => {
      const reader = new FrameReader(limit)
      reader.push(Buffer.from([type]))
      expect(() => reader.next()).toThrow(ProtocolError)
    })
  }

  test('a large message is buffered once, not once a chunk', () => {
    const reader = new FrameReader((type) => (type === frontend.copyData ? maxClientMessageBytes : 0))
    const big = message(frontend.copyData, Buffer.alloc(4_000_000, 7))
    for (let offset = 0; offset < big.length; offset += 16_384) {
      reader.push(big.subarray(offset, offset + 16_384))
      const whole = reader.next()
      expect(whole).toBe(offset + 16_384 >= big.length)
    }
    expect(reader.end - reader.start).toBe(big.length)
  })
})

describe('frontend messages, against pg-protocol', () => {
  const whole = (bytes: Buffer): [Buffer, number, number] => [bytes, 0, bytes.length]
  const text = fc.string({ unit: 'grapheme', maxLength: 60 }).filter((value) => !value.includes('\0') && value.isWellFormed())

  test('Query, Parse, Bind, Describe, Close, Execute', () => {
    fc.assert(
      fc.property(text, text, fc.array(fc.option(text), { maxLength: 8 }), (name, sql, values) => {
        expect(decodeQuery(...whole(serialize.query(sql)))).toBe(sql)
        expect(decodeParse(...whole(serialize.parse({ name: name.slice(0, 60), text: sql, types: [25, 23] })))).toEqual({ name: name.slice(0, 60), text: sql, parameterTypes: [25, 23] })
        const bind = decodeBind(...whole(serialize.bind({ portal: name, statement: name, values })))
        expect(bind.parameters.map((value) => value?.toString() ?? null)).toEqual(values)
        expect(decodeNamedObject(...whole(serialize.describe({ type: 'P', name })))).toEqual({ kind: 'portal', name })
        expect(decodeNamedObject(...whole(serialize.close({ type: 'S', name })))).toEqual({ kind: 'statement', name })
        expect(decodeExecute(...whole(serialize.execute({ portal: name, rows: 5 })))).toEqual({ portal: name, maxRows: 5 })
      }),
      { numRuns: 200 },
    )
  })

  test('P11 any damage is a protocol error or another message, never anything else', () => {
    const good = serialize.bind({ portal: 'p', statement: 's', values: ['abc', null, 'x'] })
    fc.assert(
      fc.property(fc.integer({ min: 5, max: good.length - 1 }), fc.integer({ min: 0, max: 255 }), (at, byte) => {
        const bad = Buffer.from(good)
        bad[at] = byte
        try {
          decodeBind(bad, 0, bad.length)
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError)
        }
      }),
    )
    for (let length = 5; length < good.length; length += 1) expect(() => decodeBind(good.subarray(0, length), 0, length)).toThrow(ProtocolError)
  })

  test('P14 text that is not UTF-8, or ends early, or has more behind its NUL, is refused', () => {
    for (const body of [Buffer.from([0x53, 0xff, 0]), Buffer.from([0xed, 0xa0, 0x80, 0]), Buffer.from('SELECT 1'), Buffer.from('SELECT 1\0; DROP\0')]) {
      const bytes = message(frontend.query, body)
      expect(() => decodeQuery(bytes, 0, bytes.length)).toThrow(ProtocolError)
    }
  })
})

describe('start-up packets', () => {
  const packet = (code: number, body: Buffer = Buffer.alloc(0)): Buffer => {
    const bytes = Buffer.alloc(8 + body.length)
    bytes.writeUInt32BE(bytes.length, 0)
    bytes.writeUInt32BE(code, 4)
    body.copy(bytes, 8)
    return bytes
  }
  const startup = (text: string, code = 0x30000): Buffer => packet(code, Buffer.from(text))

  test('is whole only at its last byte', () => {
    const bytes = startup('user\0orders-db\0database\0orders\0\0')
    for (let length = 0; length < bytes.length; length += 1) expect(readStartupPacket(bytes.subarray(0, length))).toBeUndefined()
    const read = readStartupPacket(Buffer.concat([bytes, Buffer.from('Q')]))
    expect(read?.length).toBe(bytes.length)
    expect(read?.packet).toMatchObject({ kind: 'startup', minor: 0 })
  })

  test('P9 odd layouts are refused', () => {
    for (const bytes of [
      startup('user\0a\0'),
      startup('user\0a\0\0x'),
      startup('user\0a\0user\0b\0\0'),
      startup('user\0a\0\0', 0x20000),
      startup('user\0a\0\0', 0x40000),
      packet(80877103, Buffer.from([1])),
      packet(80877102, Buffer.alloc(300)),
    ]) {
      expect(() => readStartupPacket(bytes)).toThrow(ProtocolError)
    }
  })

  test('P11 lengths out of bounds are refused at the fourth byte', () => {
    for (const length of [0, 7, maxStartupPacketBytes + 1, 0x7fffffff, 0x80000000, 0xffffffff]) {
      const head = Buffer.alloc(4)
      head.writeUInt32BE(length)
      expect(() => readStartupPacket(head)).toThrow(ProtocolError)
    }
  })

  test('P9 only harmless settings get through, however they are given', () => {
    expect([...targetSettings({ user: 'a', application_name: 'x', options: '-c statement_timeout=5s --search_path=app -cTimeZone=UTC', client_encoding: 'utf8' })]).toEqual([
      ['application_name', 'x'],
      ['statement_timeout', '5s'],
      ['search_path', 'app'],
      ['timezone', 'UTC'],
    ])
    for (const bad of [
      { replication: 'database' },
      { replication: 'true' },
      { options: '-c session_preload_libraries=evil' },
      { options: '-c client_encoding=SJIS' },
      { options: '--standard-conforming-strings=off' },
      { options: '-c' },
      { options: '-d 5' },
      { options: '-c =x' },
      { client_encoding: 'SJIS' },
      { session_replication_role: 'replica' },
      { ROLE: 'postgres' },
      { options: '-c\\ role=postgres' },
    ]) {
      expect(() => targetSettings(bad)).toThrow(ProtocolError)
    }
    expect(parseOptions('-c application_name=a\\ b')).toEqual([['application_name', 'a b']])
  })
})

describe('backend messages', () => {
  test('notices survive decoding and encoding', () => {
    const fields = new Map([
      ['S', 'ERROR'],
      ['C', '42501'],
      ['M', 'permission denied für'],
    ])
    const bytes = encodeNotice(backend.errorResponse, fields)
    expect(decodeNotice(bytes, 0, bytes.length)).toEqual(fields)
  })

  test('P15 a row description that promises more than it holds is refused', () => {
    const bytes = message(backend.rowDescription, Buffer.from([0xff, 0xff, 0x61, 0]))
    expect(() => decodeRowDescription(bytes, 0, bytes.length)).toThrow(ProtocolError)
  })

  test('rows of command tags', () => {
    expect(rowsOfTag('INSERT 0 5')).toBe(5)
    expect(rowsOfTag('SELECT 100000000')).toBe(100000000)
    expect(rowsOfTag('CREATE TABLE')).toBe(0)
  })
})
