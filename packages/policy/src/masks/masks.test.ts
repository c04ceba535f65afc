import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Mask, MaskMethod } from '../rule.js'
import { compileMasks, MaskError, type ResultColumn } from './compiled-masks.js'
import { partial } from './methods.js'

const key = new Uint8Array(32).fill(7)

function mask(method: MaskMethod, more: Partial<Mask>): Mask {
  return { policy: 'p', index: 0, with: method, ...more }
}

function column(more: Partial<ResultColumn>): ResultColumn {
  return { name: 'x', sources: [], direct: true, lineageKnown: true, ...more }
}

const email = 'public.customers.email'
const ssn = 'public.customers.ssn'

describe('forColumn', () => {
  const masks = compileMasks(
    [
      mask('partial', { columns: [email] }),
      mask('redact', { columns: ['public.*.ssn'], index: 1 }),
      mask('hash', { names: ['*token*'], index: 2 }),
    ],
    key,
  )

  it('goes by origin, whatever the output is called', () => {
    expect(masks.forColumn(column({ origin: email, name: 'harmless' }))).toEqual({ method: 'partial', rule: 'p#mask0' })
    expect(masks.forColumn(column({ origin: 'public.orders.id', name: 'email' }))).toBeUndefined()
  })

  it('goes by lineage: a computed column is masked, and never in part', () => {
    expect(masks.forColumn(column({ sources: [email], direct: false }))).toEqual({ method: 'redact', rule: 'p#mask0' })
    expect(masks.forColumn(column({ sources: [email], direct: true }))?.method).toBe('partial')
    expect(masks.forColumn(column({ name: 'token', direct: false }))?.method).toBe('redact')
  })

  it('takes the strictest of several', () => {
    expect(masks.forColumn(column({ sources: [email, ssn] }))).toEqual({ method: 'redact', rule: 'p#mask1' })
    const all = (['partial', 'hash', 'redact', 'null'] as const).map((method, index) => mask(method, { names: ['x'], index }))
    expect(compileMasks(all, key).forColumn(column({}))?.method).toBe('null')
    expect(compileMasks(all.toReversed().slice(1), key).forColumn(column({}))?.method).toBe('redact')
  })

  it('goes by name without regard to case, and by the source’s name when it was renamed', () => {
    expect(masks.forColumn(column({ name: 'API_Token' }))?.method).toBe('hash')
    expect(masks.forColumn(column({ name: 'y', sources: ['public.t.token'] }))?.method).toBe('hash')
  })

  it('masks when in doubt', () => {
    expect(masks.forColumn(column({ lineageKnown: false }))).toEqual({ method: 'redact', rule: 'builtin:unknown-lineage' })
    expect(masks.forColumn(column({ sources: ['*.*.*'], direct: false }))?.method).toBe('redact')
    expect(masks.forColumn(column({ sources: ['public.customers.*'], direct: false }))?.method).toBe('redact')
    const nulls = compileMasks([mask('null', { names: ['x'] })])
    expect(nulls.forColumn(column({ lineageKnown: false }))?.method).toBe('null')
    expect(nulls.forColumn(column({ name: 'other', lineageKnown: false }))?.method).toBe('redact')
  })

  it('says nothing when no mask is by column', () => {
    const content = compileMasks([mask('redact', { detect: ['email'] })])
    expect(content.hasColumnMasks).toBe(false)
    expect(content.hasDetectors).toBe(true)
    expect(content.forColumn(column({ lineageKnown: false }))).toBeUndefined()
  })
})

describe('applyText', () => {
  const masks = compileMasks([], key)
  it.each([
    ['dana@example.com', 'd***@e***.com'],
    ['4242 4242 4242 4242', '***4242'],
    ['+1 415-555-0132', '***0132'],
    ['123-45-6789', '***6789'],
    ['Dana Meyer', 'D***'],
    ['ab', '***'],
    ['', '***'],
    ['x@y.z', 'x***@y***.z'],
    ['😀😀😀', '😀***'],
    ['@x.de', '@***'],
  ])('partial of %s', (value, expected) => expect(masks.applyText('partial', value)).toBe(expected))

  it('never gives a whole value of three characters or more back', () => {
    fc.assert(fc.property(fc.string({ minLength: 3 }), (value) => void expect(partial(value)).not.toBe(value)))
  })

  it('redacts, nulls, and hashes alike for like', () => {
    expect(masks.applyText('redact', 'x')).toBe('[redacted]')
    expect(masks.applyText('null', 'x')).toBeNull()
    expect(masks.applyText('hash', 'x')).toMatch(/^[0-9a-f]{16}$/)
    expect(masks.applyText('hash', 'x')).toBe(compileMasks([], key).applyText('hash', 'x'))
    expect(masks.applyText('hash', 'x')).not.toBe(compileMasks([], new Uint8Array(32)).applyText('hash', 'x'))
    expect(compileMasks([]).applyText('hash', 'x')).toBe('[redacted]')
  })

  it('refuses what can’t be applied', () => {
    expect(() => compileMasks([mask('hash', { names: ['x'] })])).toThrow(MaskError)
    expect(() => compileMasks([mask('redact', { detect: ['nonsense'] })])).toThrow(MaskError)
    expect(() => compileMasks([mask('redact', {})])).toThrow(MaskError)
    expect(() => compileMasks([mask('redact', { columns: ['a"'] })])).toThrow(MaskError)
  })
})

describe('detectors', () => {
  const masks = compileMasks(
    [
      mask('partial', { detect: ['pii'] }),
      mask('redact', { detect: ['secrets', 'ssn'], index: 1 }),
      mask('hash', { detect: ['iban'], index: 2 }),
    ],
    key,
  )

  it('rewrites in place, each by its strictest method, and counts', () => {
    expect(masks.detectors('mail dana@example.com, card 4242 4242 4242 4242, ssn 123-45-6789')).toEqual({
      text: 'mail d***@e***.com, card ***4242, ssn [redacted]',
      count: 3,
    })
    expect(masks.detectors('DE89370400440532013000').text).toMatch(/^[0-9a-f]{16}$/)
    expect(masks.detectors('password=hunter22&x=1')).toEqual({ text: 'password=[redacted]&x=1', count: 1 })
  })

  it('merges overlapping finds and then keeps nothing of them', () => {
    expect(masks.detectors('secret: "dana@example.com"')).toEqual({ text: 'secret: "[redacted]"', count: 1 })
  })

  it('leaves other text alone, the same string', () => {
    const text = 'The quick brown fox, 2024-01-15, 42.50'
    expect(masks.detectors(text)).toEqual({ text, count: 0 })
  })

  it('masking masked text changes nothing', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.constantFrom('dana@example.com', '4242424242424242', '123-45-6789', 'password=abcdef', ' ', ', ', 'x', '+14155550132', '"'),
        ),
        (parts) => {
          const once = compileMasks([mask('redact', { detect: ['pii', 'secrets'] })]).detectors(parts.join(' ')).text
          expect(compileMasks([mask('redact', { detect: ['pii', 'secrets'] })]).detectors(once).text).toBe(once)
        },
      ),
    )
  })

  it('mayDetect never rules out what detectors would find', () => {
    const piece = fc.constantFrom(
      'dana@example.com',
      '4242 4242 4242 4242',
      '123-45-6789',
      'password=abcdef',
      ' ',
      'ü',
      'x',
      '1',
      '-',
      '+14155550132',
    )
    fc.assert(
      fc.property(fc.array(piece), (parts) => {
        const text = parts.join('')
        if (masks.detectors(text).count > 0) expect(masks.mayDetect(Buffer.from(text))).toBe(true)
      }),
    )
    expect(masks.mayDetect(Buffer.from('plain words'))).toBe(false)
    expect(compileMasks([]).mayDetect(Buffer.from('dana@example.com'))).toBe(false)
  })
})
