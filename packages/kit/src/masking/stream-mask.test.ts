import { compileMasks } from '@sallyport/policy'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { StreamMask } from './stream-mask.js'

const masks = compileMasks([{ policy: 'p', index: 0, with: 'redact', detect: ['credit_card', 'email', 'private_key', 'jwt'] }])
const secrets = ['4111111111111111', 'dana@example.com', 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJkYW5hIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ']
const key = `-----BEGIN PRIVATE KEY-----\n${'MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n'.repeat(8)}-----END PRIVATE KEY-----`

function through(pieces: readonly Buffer[], terminal = false): { shown: Buffer; masked: number } {
  const out: Buffer[] = []
  const stream = new StreamMask({ emit: (bytes) => out.push(Buffer.from(bytes)), masks: () => masks, terminal })
  for (const piece of pieces) stream.push(piece)
  stream.end()
  return { shown: Buffer.concat(out), masked: stream.masked }
}

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = [...new Set(at.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b)
  return [0, ...places].map((place, index) => bytes.subarray(place, places[index] ?? bytes.length))
}

describe('StreamMask', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  test('finds what is cut anywhere, and leaves everything around it as it is', () => {
    const word = fc.constantFrom('lorem', 'ipsum', 'dólor', '-', '12', '\t', 'x=1')
    const line = fc.tuple(fc.array(word, { maxLength: 6 }), fc.option(fc.constantFrom(...secrets, key)), fc.array(word, { maxLength: 6 }))
    fc.assert(
      fc.property(fc.array(line, { maxLength: 12 }), fc.array(fc.nat(), { maxLength: 30 }), (lines, at) => {
        const text = lines.map(([before, secret, after]) => [...before, ...(secret === null ? [] : [secret]), ...after].join(' ')).join('\n')
        const expected = lines.map(([before, secret, after]) => [...before, ...(secret === null ? [] : ['[redacted]']), ...after].join(' ')).join('\n')
        expect(through(cut(Buffer.from(text), at)).shown.toString()).toBe(expected)
      }),
      { numRuns: 300 },
    )
  })

  test('bytes that are no text pass as they are, however they are cut', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 4000 }), fc.array(fc.nat(), { maxLength: 20 }), (bytes, at) => {
        const input = Buffer.concat([Buffer.of(0xff, 0x00), Buffer.from(bytes)])
        if (!/[\t\r\n\u001b -~]{8,}/.test(input.toString('latin1'))) expect(through(cut(input, at)).shown.equals(input)).toBe(true)
      }),
    )
    const mixed = Buffer.concat([Buffer.of(0xff, 0), Buffer.from('mail dana@example.com end'), Buffer.of(0, 0xfe)])
    expect(through([mixed]).shown).toEqual(Buffer.concat([Buffer.of(0xff, 0), Buffer.from('mail [redacted] end'), Buffer.of(0, 0xfe)]))
  })

  test('a key whose end does not come is not shown, however long it is', () => {
    const { shown, masked } = through([Buffer.from('before\n-----BEGIN PRIVATE KEY-----\n'), ...Array.from({ length: 50 }, () => Buffer.from('QUJD'.repeat(16).concat('\n').repeat(100)))])
    expect(shown.toString()).not.toContain('QUJD')
    expect(shown.toString().startsWith('before\n')).toBe(true)
    expect(masked).toBeGreaterThan(0)
  })

  test('a line without end holds back no more than its bound', () => {
    let shown = 0
    const stream = new StreamMask({ emit: (bytes) => (shown += bytes.length), masks: () => masks, terminal: false })
    for (let index = 0; index < 40; index += 1) stream.push(Buffer.alloc(16 * 1024, 'ab cd '))
    expect(40 * 16 * 1024 - shown).toBeLessThanOrEqual(80 * 1024)
  })

  test('a prompt is seen after a moment, a word that has not ended later, at a terminal at once', () => {
    const seen: string[] = []
    const stream = new StreamMask({ emit: (bytes) => seen.push(bytes.toString()), masks: () => masks, terminal: false })
    stream.push(Buffer.from('Password: '))
    vi.advanceTimersByTime(120)
    expect(seen.join('')).toBe('Password: ')
    stream.push(Buffer.from('card 4111'))
    vi.advanceTimersByTime(120)
    expect(seen.join('')).toBe('Password: card ')
    stream.push(Buffer.from('111111111111\n'))
    expect(seen.join('')).toBe('Password: card [redacted]\n')
    const typed: string[] = []
    const terminal = new StreamMask({ emit: (bytes) => typed.push(bytes.toString()), masks: () => masks, terminal: true })
    terminal.push(Buffer.from('ls -la'))
    vi.advanceTimersByTime(20)
    expect(typed.join('')).toBe('ls -la')
  })
})
