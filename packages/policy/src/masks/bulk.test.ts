import fc from 'fast-check'
import { expect, test } from 'vitest'
import { detectors as builtIn } from '../detectors/registry.js'
import { BulkFilter } from './bulk.js'
import { compileMasks } from './compiled-masks.js'

const names = ['credit_card', 'email', 'jwt', 'private_key', 'aws_access_key'] as const
const filter = BulkFilter.for(builtIn.filter((detector) => names.some((name) => name === detector.name)))
const masks = compileMasks([{ policy: 'p', index: 0, with: 'redact', detect: [...names] }])

const noise = fc.string({ unit: fc.constantFrom(...'abcXYZ .-_,;:/()0123456789é\n\t'), maxLength: 200 })
const finds = fc.constantFrom('4111111111111111', '4111 1111 1111 1111', '4111-1111-1111-1111', 'ann@example.com', 'AKIAIOSFODNN7EXAMPLE')

test('never rules out what a detector finds, wherever it stands', () => {
  fc.assert(
    fc.property(noise, finds, noise, fc.integer({ min: 0, max: 40 }), (before, find, after, pad) => {
      const text = `${'x'.repeat(pad)}${before} ${find} ${after}`
      const bytes = Buffer.from(text)
      if (masks.detectors(text).count > 0) expect(filter?.mayHold(bytes, 0, bytes.length)).toBe(true)
    }),
    { numRuns: 2000 },
  )
})

test('rules out ordinary rows', () => {
  const row = Buffer.from('lorem ipsum dolor 12345, 2024-01-31: 99.50, x9y '.repeat(20))
  expect(filter?.mayHold(row, 0, row.length)).toBe(false)
})
