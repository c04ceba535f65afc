import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  SftpFrames,
  TransferProtocolError,
  encodeExtended,
  encodePacket,
  encodeStatus,
  encodeString,
  filterVersion,
  maxPacketBytes,
  packet,
  parseInit,
  parseReply,
  parseRequest,
} from './sftp-codec.js'

const attributes = Buffer.concat([u32(0x8000000f), u64(7n), u32(1), u32(2), u32(0o644), u32(3), u32(4), u32(1), encodeString('n'), encodeString('v')])
const handle = encodeString('h')
const path = encodeString('/a')

const requests: Buffer[] = [
  encodePacket(packet.open, 1, [path, 3, attributes]),
  encodePacket(packet.close, 2, [handle]),
  encodePacket(packet.read, 3, [handle, u64(5n), 32768]),
  encodePacket(packet.write, 4, [handle, u64(5n), encodeString('data')]),
  encodePacket(packet.lstat, 5, [path]),
  encodePacket(packet.fstat, 6, [handle]),
  encodePacket(packet.setstat, 7, [path, attributes]),
  encodePacket(packet.fsetstat, 8, [handle, attributes]),
  encodePacket(packet.opendir, 9, [path]),
  encodePacket(packet.readdir, 10, [handle]),
  encodePacket(packet.remove, 11, [path]),
  encodePacket(packet.mkdir, 12, [path, attributes]),
  encodePacket(packet.rmdir, 13, [path]),
  encodePacket(packet.realpath, 14, [path]),
  encodePacket(packet.stat, 15, [path]),
  encodePacket(packet.rename, 16, [path, path]),
  encodePacket(packet.readlink, 17, [path]),
  encodePacket(packet.symlink, 18, [path, path]),
  encodeExtended(19, 'posix-rename@openssh.com', [path, path]),
  encodeExtended(20, 'hardlink@openssh.com', [path, path]),
  encodeExtended(21, 'statvfs@openssh.com', [path]),
  encodeExtended(22, 'fstatvfs@openssh.com', [handle]),
  encodeExtended(23, 'fsync@openssh.com', [handle]),
  encodeExtended(24, 'lsetstat@openssh.com', [path, attributes]),
  encodeExtended(25, 'limits@openssh.com', []),
  encodeExtended(26, 'expand-path@openssh.com', [path]),
  encodeExtended(27, 'copy-data', [handle, u64(0n), u64(0n), handle, u64(0n)]),
  encodeExtended(28, 'home-directory', [encodeString('root')]),
  encodeExtended(29, 'users-groups-by-id@openssh.com', [encodeString(u32(0)), encodeString('')]),
]

const replies: Buffer[] = [
  encodeStatus(1, 3, 'Permission denied'),
  encodePacket(packet.handle, 2, [handle]),
  encodePacket(packet.data, 3, [encodeString('data')]),
  encodePacket(packet.name, 4, [2, path, path, attributes, path, path, attributes]),
  encodePacket(packet.attrs, 5, [attributes]),
]

describe('frames', () => {
  test('come out whole however the stream is cut', () => {
    const stream = Buffer.concat(requests)
    for (let at = 1; at < stream.length; at++) {
      const frames = new SftpFrames()
      const seen: Buffer[] = []
      for (const part of [stream.subarray(0, at), stream.subarray(at)]) {
        frames.push(part)
        for (let frame = frames.next(); frame !== undefined; frame = frames.next()) seen.push(frame)
      }
      expect(Buffer.concat(seen).equals(stream)).toBe(true)
      expect(frames.buffered).toBe(0)
    }
  })

  test('byte by byte, what was handed out is not overwritten', () => {
    const frames = new SftpFrames()
    const seen: Buffer[] = []
    for (const byte of Buffer.concat(requests)) {
      frames.push(Buffer.of(byte))
      for (let frame = frames.next(); frame !== undefined; frame = frames.next()) seen.push(frame)
    }
    expect(seen).toEqual(requests)
  })

  test('S7 a length that no packet has is refused before its bytes come', () => {
    for (const length of [0, 1, 4, maxPacketBytes + 1, 2 ** 31, 2 ** 32 - 1]) {
      const frames = new SftpFrames()
      frames.push(u32(length))
      expect(() => frames.next()).toThrow(TransferProtocolError)
    }
    const frames = new SftpFrames()
    frames.push(u32(maxPacketBytes))
    expect(frames.next()).toBeUndefined()
  })
})

describe.each([
  [
    'requests',
    requests,
    (
      'open close read write lstat fstat setstat fsetstat opendir readdir remove mkdir rmdir realpath stat rename readlink symlink ' +
      'posix-rename hardlink statvfs fstatvfs fsync lsetstat limits expand-path copy-data home-directory users-groups'
    ).split(' '),
    parseRequest,
  ],
  ['answers', replies, ['status', 'handle', 'data', 'name', 'attrs'], parseReply],
])('%s', (_, samples, kinds, parse: (frame: Buffer) => { readonly kind: string; readonly id: number }) => {
  test('are read', () => {
    expect(samples.map((frame) => parse(frame).kind)).toEqual(kinds)
    expect(samples.map((frame) => parse(frame).id)).toEqual(samples.map((frame) => frame.readUInt32BE(5)))
  })

  test('a missing or surplus byte is refused', () => {
    for (const frame of samples) {
      // A status may leave out its texts; nothing else may end early.
      const shortest = frame[4] === packet.status ? frame.length : 5
      for (let end = shortest; end < frame.length; end++) expect(() => parse(frame.subarray(0, end)), String(frame[4])).toThrow()
      expect(() => parse(Buffer.concat([frame, Buffer.of(0)])), String(frame[4])).toThrow(TransferProtocolError)
    }
  })

  test('changed bytes are read or refused, never more', () => {
    fc.assert(
      fc.property(fc.nat(samples.length - 1), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }), (which, changes) => {
        const frame = Buffer.from(samples[which] ?? Buffer.alloc(9))
        for (const [at, value] of changes) frame[4 + (at % (frame.length - 4))] = value
        try {
          parse(frame)
        } catch (error) {
          expect(error).toBeInstanceOf(TransferProtocolError)
        }
      }),
      { numRuns: 3000 },
    )
  })
})

test('unknown request types, unknown open flags, unknown attributes and monstrous offsets are refused', () => {
  for (const type of [0, 1, 2, 21, 99, 101, 199, 201, 255]) expect(() => parseRequest(encodePacket(type, 1, [path]))).toThrow(TransferProtocolError)
  expect(() => parseRequest(encodePacket(packet.open, 1, [path, 64, u32(0)]))).toThrow('unknown flag')
  expect(() => parseRequest(encodePacket(packet.setstat, 1, [path, u32(0x10)]))).toThrow('unknown SFTP attribute')
  expect(() => parseRequest(encodePacket(packet.read, 1, [handle, u64(2n ** 60n), 1]))).toThrow('offset')
  expect(() => parseRequest(encodePacket(packet.close, 1, [encodeString(Buffer.alloc(257))]))).toThrow('handle')
  expect(() => parseRequest(encodePacket(packet.stat, 1, [encodeString(Buffer.alloc(4097, 'a'))]))).toThrow('too long')
  expect(parseRequest(encodeExtended(9, 'new@example.com', [u32(1)]))).toEqual({ kind: 'unknown-extended', id: 9, name: 'new@example.com' })
})

test('VERSION keeps only extensions that are understood, in the version understood', () => {
  const pairs = ['posix-rename@openssh.com', '1', 'evil@example.com', '1', 'statvfs@openssh.com', '3', 'copy-data', '1']
  const filtered = filterVersion(encodePacket(packet.version, 3, pairs.map(encodeString)))
  expect([...filtered.extensions]).toEqual(['posix-rename@openssh.com', 'copy-data'])
  expect(filtered.packet).toEqual(encodePacket(packet.version, 3, ['posix-rename@openssh.com', '1', 'copy-data', '1'].map(encodeString)))
  for (const version of [2, 4, 6]) expect(() => filterVersion(encodePacket(packet.version, version, []))).toThrow(TransferProtocolError)
})

test('INIT: version 3 or later, with or without extensions, nothing else first', () => {
  parseInit(encodePacket(packet.init, 3, []))
  parseInit(encodePacket(packet.init, 6, [encodeString('a'), encodeString('b')]))
  expect(() => parseInit(encodePacket(packet.init, 2, []))).toThrow(TransferProtocolError)
  expect(() => parseInit(encodePacket(packet.init, 3, [encodeString('a')]))).toThrow(TransferProtocolError)
  expect(() => parseInit(encodePacket(packet.open, 3, []))).toThrow(TransferProtocolError)
})

function u32(value: number): Buffer {
  const out = Buffer.alloc(4)
  out.writeUInt32BE(value)
  return out
}

function u64(value: bigint): Buffer {
  const out = Buffer.alloc(8)
  out.writeBigUInt64BE(value)
  return out
}
