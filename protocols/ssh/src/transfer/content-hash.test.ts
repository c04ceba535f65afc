import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ContentHash, WaitingBudget } from './content-hash.js'

test('pieces in any order within the window give the hash of the whole', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 20 }).chain((pieces) => fc.tuple(fc.constant(pieces), fc.shuffledSubarray([...pieces.keys()], { minLength: pieces.length }))), ([pieces, order]) => {
      const offsets = pieces.map((_, index) => pieces.slice(0, index).reduce((sum, piece) => sum + piece.length, 0))
      const content = new ContentHash(new WaitingBudget())
      for (const index of order) content.add(offsets[index] ?? 0, Buffer.from(pieces[index] ?? []))
      const whole = Buffer.concat(pieces)
      expect(content.contiguous).toBe(whole.length)
      expect(content.digest()).toBe(createHash('sha256').update(whole).digest('hex'))
    }),
  )
})

test('a gap, an overlap, a second reading and a full window leave no hash', () => {
  const budget = new WaitingBudget(10)
  const of = (...pieces: [number, string][]) => {
    const content = new ContentHash(budget)
    for (const [offset, data] of pieces) content.add(offset, Buffer.from(data))
    return content.digest()
  }
  expect(of([0, 'ab'], [3, 'd'])).toBeUndefined()
  expect(of([0, 'ab'], [1, 'b'])).toBeUndefined()
  expect(of([2, 'cd'], [0, 'abc'])).toBeUndefined()
  expect(of([0, 'ab'], [0, 'ab'])).toBeUndefined()
  expect(of([1, 'x'.repeat(11)], [0, 'a'])).toBeUndefined()
  expect(of([1, 'x'.repeat(10)], [0, 'a'])).toBeDefined()
  // What the others kept waiting was given back.
  expect(budget.take(10)).toBe(true)
})
