import { randomBytes } from 'node:crypto'
import { zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openPart, PartError, sealPart, type PartPlace, type Piece } from './part.js'

const key = randomBytes(32)
const place: PartPlace = { session: '019a0a21-0000-7000-8000-000000000001', first: 7n, last: 40n }
const pieces: Piece[] = [{ seq: 7n, payload: Buffer.from('{"d":"one"}\n') }, { seq: 9n, payload: Buffer.alloc(0) }, { seq: 40n, payload: randomBytes(3000) }]
const sealed = sealPart(key, place, pieces)

test('what is packed comes out again, and nothing of it can be read in the part', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 7, max: 40 }), { maxLength: 20 }), fc.uint8Array({ maxLength: 500 }), (seqs, payload) => {
      const given = seqs.sort((a, b) => a - b).map((seq) => ({ seq: BigInt(seq), payload }))
      const part = sealPart(key, place, given)
      expect([...openPart(key, place, part)]).toEqual(given.map((piece) => [piece.seq, Buffer.from(piece.payload)]))
      expect(sealPart(key, place, given)).toEqual(part)
      if (payload.length >= 8) expect(part.includes(Buffer.from(payload))).toBe(false)
    }),
  )
})

test('every byte that is changed, and every length that is cut or added, is found out', () => {
  for (let at = 0; at < sealed.length; at++) {
    const changed = Buffer.from(sealed)
    changed.writeUInt8((changed[at] ?? 0) ^ (1 << at % 8), at)
    expect(() => openPart(key, place, changed), `byte ${at}`).toThrow(PartError)
    expect(() => openPart(key, place, sealed.subarray(0, at)), `cut at ${at}`).toThrow(PartError)
  }
  expect(() => openPart(key, place, Buffer.concat([sealed, Buffer.of(0)]))).toThrow(PartError)
})

test('a part of another session, place or key is not taken', () => {
  expect(openPart(key, place, sealed).size).toBe(3)
  const others: PartPlace[] = [{ ...place, session: '019a0a21-0000-7000-8000-000000000002' }, { ...place, first: 6n }, { ...place, last: 41n }]
  for (const other of others) expect(() => openPart(key, other, sealed)).toThrow(PartError)
  expect(() => openPart(randomBytes(32), place, sealed)).toThrow(PartError)
})

test('other content never shares a nonce', () => {
  const nonces = Array.from({ length: 50 }, (_, i) => sealPart(key, place, [{ seq: 8n, payload: Buffer.from(`${i}`) }]).subarray(42, 54).toString('hex'))
  expect(new Set(nonces).size).toBe(50)
})

test('unpacking is bounded: a head can not say more than a part may hold', () => {
  const bomb = Buffer.from(sealed)
  bomb.writeUInt32BE(0xffffffff, 38)
  expect(() => openPart(key, place, bomb)).toThrow(/larger than a part may be/)
  expect(zstdCompressSync(Buffer.alloc(65 * 1024 * 1024)).length).toBeLessThan(10_000)
  expect(() => sealPart(key, place, [{ seq: 7n, payload: Buffer.alloc(65 * 1024 * 1024) }])).toThrow(RangeError)
})

test('a place that can not be is told as a broken part, not thrown as something else', () => {
  for (const other of [{ ...place, first: -1n }, { ...place, last: 2n ** 64n }, { ...place, session: 'none' }]) expect(() => openPart(key, other, sealed)).toThrow(PartError)
})
