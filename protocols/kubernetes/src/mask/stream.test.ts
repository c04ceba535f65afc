import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ResponseMaskError } from './errors.js'
import { ResponseMask } from './response-mask.js'
import { masksOf, noMasks, ofPods, ofSecrets, run, secretMasks } from './testing.js'

const json = JSON.stringify
const value = fc.jsonValue({ maxDepth: 4 })
const envelope = fc.record(
  {
    kind: fc.constantFrom('PodList', 'SecretList', 'Table', 'List', 'Secret'),
    items: fc.array(value),
    rows: fc.array(value),
    metadata: value,
    data: value,
    a: value,
  },
  { requiredKeys: [] },
)
const sizes = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 60 })
const masks = [noMasks, secretMasks, masksOf({ names: ['*a*'] }, { detect: ['secrets', 'pii'] })] as const

/** Random bytes of text, so that none is in the output by chance, none of them a label or an age. */
const planted = fc.uint8Array({ minLength: 18, maxLength: 30 }).map((bytes) => `Pw!${Buffer.from(bytes).toString('hex')}"ü`)

function formsOf(text: string): string[] {
  const bytes = Buffer.from(text)
  // Of base64, what doesn't depend on what stands beside it.
  const core = [0, 1, 2].map((shift) =>
    Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .slice(4, -6),
  )
  return [text.slice(3, -2), json(text).slice(1, -1), bytes.toString('hex'), ...core]
}

describe('pieces', () => {
  it('come to the same, however the bytes are split', () => {
    fc.assert(
      fc.property(envelope, sizes, fc.constantFrom(...masks), fc.constantFrom(ofPods, ofSecrets, {}), (object, pieces, set, resource) => {
        const text = json(object)
        const options = { ...resource, masks: () => set }
        const whole = run(text, options)
        const split = run(text, options, pieces)
        expect(split).toEqual(whole)
        if (whole.error === undefined) expect(() => JSON.parse(whole.text)).not.toThrow()
        const frames = `${json({ type: 'ADDED', object })}\n${json({ object })}`
        expect(run(frames, { ...options, shape: 'watch' }, pieces)).toEqual(run(frames, { ...options, shape: 'watch' }))
      }),
      { numRuns: 300 },
    )
  })

  it('come to the same, split at every single byte', () => {
    const text =
      '{"kind":"SecretList", "items" : [ {"data":{"ü":"YQ=="}},1.5e3 ,\n"x\\u00fc" , null,{"metadata":{"n":-0.1}}] ,"metadata":{}}'
    const bytes = Buffer.from(text)
    const whole = run(text)
    expect(whole.error).toBeUndefined()
    for (let at = 0; at <= bytes.length; at += 1) expect(run(text, {}, [at])).toEqual(whole)
    expect(
      run(
        text,
        {},
        Array.from(bytes, () => 1),
      ),
    ).toEqual(whole)
  })

  it('what is not masked passes byte by byte: blanks, escapes, order, and numbers that JavaScript can’t hold', () => {
    const text =
      ' {"kind":"PodList", "items":[ {"a":9223372036854775807,"b":1e400 , "c":-0.0,"d":1.10,"e":"\\u0041\\/"} ,{"a":1}\n] , "n":12345678901234567890 }\n'
    for (const set of masks) expect(run(text, { ...ofPods, masks: () => set }).text).toBe(text)
    const secret = '{"n":9223372036854775807,"kind":"Release","x":[{"kind":"Secret","data":{"a":"YQ=="}},1e400]}'
    expect(run(secret, ofPods).text).toMatch(/^\{"n":9223372036854775807,.*,1e400\]\}$/)
  })
})

describe('planted values', () => {
  const holders: ((text: string) => unknown)[] = [
    (text) => ({ kind: 'Secret', apiVersion: 'v1', metadata: { name: 'x' }, data: { a: Buffer.from(text).toString('base64') } }),
    (text) => ({
      kind: 'Secret',
      metadata: { annotations: { a: text, 'last-applied': json({ data: { a: text } }) } },
      stringData: { a: text },
    }),
    (text) => ({ kind: 'Secret', metadata: { managedFields: [{ fieldsV1: { [`v:${json(text)}`]: {} } }] }, data: {} }),
    (text) => ({ kind: 'Secret', metadata: {}, data: { a: { b: [text] } }, more: { text } }),
  ]
  const wraps: ((inner: unknown) => unknown)[] = [
    (inner) => ({ kind: 'SecretList', items: [inner] }),
    (inner) => ({ kind: 'Table', columnDefinitions: [], rows: [{ cells: ['a'], object: inner }] }),
    (inner) => ({ kind: 'List', items: [{ kind: 'Foo', spec: { manifests: [inner] } }] }),
    (inner) => ({ kind: 'ConfigMap', data: { file: json(inner) } }),
    (inner) => ({ kind: 'Foo', metadata: { annotations: { 'kubectl.kubernetes.io/last-applied-configuration': json(inner) } } }),
    (inner) => inner,
  ]

  it('are in no output in any coding', () => {
    fc.assert(
      fc.property(
        planted,
        fc.constantFrom(...holders),
        fc.array(fc.constantFrom(...wraps), { maxLength: 2 }),
        fc.constantFrom('object' as const, 'watch' as const),
        fc.constantFrom(...masks),
        fc.constantFrom(ofPods, ofSecrets, {}),
        sizes,
        (text, hold, around, shape, set, resource, pieces) => {
          const inner = around.reduce((object, wrap) => wrap(object), hold(text))
          const input = json(shape === 'watch' ? { type: 'MODIFIED', object: inner } : inner)
          const ran = run(input, { ...resource, shape, masks: () => set }, pieces)
          expect(ran.error).toBeUndefined()
          expect(formsOf(text).filter((form) => ran.text.includes(form))).toEqual([])
          expect(formsOf(text).some((form) => input.includes(form))).toBe(true)
          // With detectors every object is looked into; without any, only those with a sign of a Secret.
          if (set === noMasks)
            expect(run(input, { ...resource, shape, masks: () => masksOf({ detect: ['stripe_key'] }) }).text).toBe(ran.text)
        },
      ),
      { numRuns: 500 },
    )
  })
})

describe('what can’t be masked is cut', () => {
  const item = '{"metadata":{"name":"first"}}'

  it.each([
    ['truncated', 'truncated', `{"items":[${item},{"metadata":{"name":"cut`],
    ['truncated between items', 'truncated', `{"items":[${item},`],
    ['empty', 'truncated', ''],
    ['a number with a leading zero', 'malformed', `{"items":[${item},{"name":"cut","a":01}]}`],
    ['a key without quotes', 'malformed', `{"items":[${item},{name:"cut"}]}`],
    ['a comma too many', 'malformed', `{"items":[${item},{"name":"cut",}]}`],
    ['the wrong bracket', 'malformed', `{"items":[${item},{"name":"cut"]]}`],
    ['a control character', 'malformed', `{"items":[${item},{"name":"cut\n"}]}`],
    ['an unknown escape', 'malformed', `{"items":[${item},{"name":"cut\\x"}]}`],
    ['an escape that isn’t hexadecimal', 'malformed', `{"items":[${item},{"name":"cut\\u00g0"}]}`],
    ['a misspelt literal', 'malformed', `{"items":[${item},{"name":"cut","a":nul}]}`],
    ['something behind the end', 'malformed', `{"items":[${item}]} {"name":"cut"}`],
    ['no object', 'malformed', '["cut"]'],
    ['a byte order mark', 'malformed', '\ufeff{"name":"cut"}'],
    ['too deep', 'too_deep', `{"items":[${item},{"name":"cut","a":${'['.repeat(600)}`],
  ])('%s', (_what, problem, text) => {
    for (const pieces of [[], Array.from(Buffer.from(text), () => 1)]) {
      const ran = run(text, ofPods, pieces)
      expect(ran.error).toBeInstanceOf(ResponseMaskError)
      expect(ran.error).toMatchObject({ problem })
      expect(ran.text).not.toContain('cut')
      // What was complete may have gone out, and nothing in part.
      expect(text.startsWith(ran.text) || ran.text === '').toBe(true)
    }
  })

  it('invalid UTF-8', () => {
    const bytes = Buffer.concat([Buffer.from('{"items":[{"name":"cut'), Buffer.from([0xc3, 0x28]), Buffer.from('"}]}')])
    const ran = run(bytes, ofPods)
    expect(ran.error).toMatchObject({ problem: 'not_utf8' })
    expect(ran.text).not.toContain('cut')
  })

  it('one object beyond the limit, while many that are not may come to more', () => {
    const limits = { elementBytes: 1000 }
    const small = `{"a":"${'x'.repeat(500)}"}`
    expect(
      run(
        `{"items":[${Array.from({ length: 50 }, () => small).join(',')}]}`,
        { ...ofPods, limits },
        Array.from({ length: 200 }, () => 100),
      ).error,
    ).toBeUndefined()
    for (const pieces of [[], Array.from({ length: 200 }, () => 100)]) {
      const ran = run(`{"items":[${small},{"cut":"${'x'.repeat(1000)}"}]}`, { ...ofPods, limits }, pieces)
      expect(ran.error).toMatchObject({ problem: 'too_large' })
      expect(ran.text).not.toContain('cut')
    }
    const endless = run(
      `{"a":"${'x'.repeat(2000)}`,
      { ...ofPods, limits },
      Array.from({ length: 15 }, () => 100),
    )
    expect(endless.error).toMatchObject({ problem: 'too_large' })
    expect(run(`{"object":{"cut":"${'x'.repeat(1000)}"}}`, { shape: 'watch', limits }).text).toBe('')
  })

  it('and nothing is taken afterwards', () => {
    const out: Buffer[] = []
    const mask = new ResponseMask({ masks: () => noMasks, shape: 'object', emit: (bytes) => out.push(bytes) })
    expect(() => mask.push(Buffer.from('{]'))).toThrow(ResponseMaskError)
    expect(() => mask.push(Buffer.from('{"a":1}'))).toThrow(ResponseMaskError)
    expect(() => mask.end()).toThrow(ResponseMaskError)
    expect(out).toEqual([])
  })

  it('whatever JSON.parse refuses, and nothing that it takes', () => {
    const broken = fc
      .tuple(envelope, fc.nat(), fc.constantFrom('', '"', '}', ']', ',', ':', '\\', '0', 'e', '\u0000', '{', '['))
      .map(([object, at, junk]) => {
        const text = json(object)
        const place = at % (text.length + 1)
        return text.slice(0, place) + junk + text.slice(place + (junk === '' ? 1 : 0))
      })
    fc.assert(
      fc.property(broken, sizes, (text, pieces) => {
        const ran = run(text, { ...ofPods, masks: () => secretMasks }, pieces)
        let valid = true
        try {
          const parsed: unknown = JSON.parse(text)
          valid = typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
        } catch {
          valid = false
        }
        const ambiguous = ran.error instanceof ResponseMaskError && ran.error.problem === 'ambiguous'
        if (!ambiguous) expect(ran.error === undefined).toBe(valid)
      }),
      { numRuns: 1000 },
    )
  })
})
