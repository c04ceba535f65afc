import fc from 'fast-check'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { RecordedChunk } from '../event.js'
import type { RecordedPiece } from '../guard.js'
import { mintPermit } from '../permit.js'
import { Recorder } from './recorder.js'

let pieces: RecordedPiece[]
let refuses: Error | undefined
let errors: unknown[]
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  pieces = []
  errors = []
  refuses = undefined
})
afterEach(() => void vi.useRealTimers())

const recorder = (maxBytes = 1_000_000): Recorder =>
  new Recorder({
    guard: {
      record: (_permit, piece) => {
        if (refuses) throw refuses
        pieces.push(piece)
      },
    },
    permit: mintPermit(1, { text: 'x', effects: [] }, 1, process.hrtime.bigint()),
    maxBytes,
    onError: (error) => errors.push(error),
  })

const bytesOf = (stream: RecordedChunk['s']): Buffer =>
  Buffer.concat(pieces.flatMap((piece) => piece.chunks).filter((chunk) => chunk.s === stream).map((chunk) => Buffer.from(chunk.d, chunk.b ? 'base64' : 'utf8')))

test('gathers for a moment, or until a piece is full', () => {
  const recording = recorder()
  recording.push('o', Buffer.from('one '))
  recording.push('o', Buffer.from('two'))
  expect(pieces).toEqual([])
  vi.advanceTimersByTime(250)
  expect(pieces).toMatchObject([{ first: 0, chunks: [{ s: 'o', d: 'one ' }, { s: 'o', d: 'two' }] }])
  recording.push('e', Buffer.alloc(40_000, 'x'))
  expect(pieces.length).toBe(3)
  for (const piece of pieces) expect(JSON.stringify(piece).length).toBeLessThan(20_000)
  recording.end()
  expect(pieces.at(-1)).toMatchObject({ first: 4, last: true })
  expect(bytesOf('e').length).toBe(40_000)
})

test('any bytes come back as they were, however they were cut, and characters stay whole', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.uint8Array({ maxLength: 20 }), fc.string({ unit: 'binary' }).map((text) => Buffer.from(text))), { maxLength: 20 }), fc.integer({ min: 1, max: 7 }), (parts, step) => {
      pieces = []
      const all = Buffer.concat(parts)
      const recording = recorder()
      for (let at = 0; at < all.length; at += step) recording.push('o', all.subarray(at, at + step))
      recording.end()
      expect(bytesOf('o').equals(all)).toBe(true)
    }),
    { numRuns: 200 },
  )
  pieces = []
  const recording = recorder()
  for (const byte of Buffer.from('aé語😀')) recording.push('o', Buffer.from([byte]))
  recording.end()
  expect(pieces[0]?.chunks.map(({ d, b }) => [d, b])).toEqual([['a', undefined], ['é', undefined], ['語', undefined], ['😀', undefined]])
})

test('stops at the cap, and says so', () => {
  const recording = recorder(1000)
  for (let i = 0; i < 100; i++) recording.push('o', Buffer.alloc(50, 'a'))
  recording.end()
  expect(bytesOf('o').length).toBeLessThan(1000)
  expect(bytesOf('o').length).toBeGreaterThan(500)
  expect(pieces.at(-1)).toMatchObject({ last: true, truncated: true })
})

test('output byte by byte, or made of what JSON escapes, costs no more than the cap allows', () => {
  const slow = recorder(2000)
  for (let i = 0; i < 5000; i++) slow.push('o', Buffer.from('a'))
  slow.end()
  expect(JSON.stringify(pieces).length).toBeLessThan(4000)
  pieces = []
  const escapes = recorder(2000)
  escapes.push('o', Buffer.alloc(5000, 0x1b))
  escapes.end()
  expect(JSON.stringify(pieces).length).toBeLessThan(4000)
})

test('a cap of 0 records nothing, nor does a command without output', () => {
  const none = recorder(0)
  none.resize(80, 24)
  none.push('o', Buffer.from('x'))
  none.end()
  recorder().end()
  vi.advanceTimersByTime(1000)
  expect(pieces).toEqual([])
})

test('sizes stand between what was shown, and nothing comes after the end', () => {
  const recording = recorder()
  recording.resize(80, 24)
  recording.push('o', Buffer.from('x'))
  recording.resize(120, 40)
  recording.end()
  recording.push('o', Buffer.from('late'))
  recording.resize(1, 1)
  recording.end()
  vi.advanceTimersByTime(1000)
  expect(pieces).toHaveLength(1)
  expect(pieces[0]?.chunks.map(({ s, d }) => s + d)).toEqual(['r80x24', 'ox', 'r120x40'])
})

test('R a record that can not be written is told once, from the timer as well', () => {
  const recording = recorder()
  refuses = new Error('full')
  recording.push('o', Buffer.from('x'))
  vi.advanceTimersByTime(250)
  recording.push('o', Buffer.alloc(20_000))
  recording.end()
  expect(errors).toEqual([refuses])
})
