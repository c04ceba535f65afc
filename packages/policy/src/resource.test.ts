import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Glob, matchPathGlob } from './glob.js'
import { formatPath, formatResource, matchResource, PatternError, ResourcePattern, splitResource } from './resource.js'

describe('matchResource', () => {
  it('takes a file that is called * for that one file', () => {
    expect(formatPath('/tmp/*')).toBe('/tmp/"*"')
    expect(new ResourcePattern('/tmp/secret').reach(formatPath('/tmp/*'), false)).toBeUndefined()
    expect(matchResource('/tmp/*', formatPath('/tmp/*'))).toBe(true)
  })

  it.each([
    ['public.orders', 'public.orders', true],
    ['public.orders', 'public.order', false],
    ['public.Orders', 'public.orders', false],
    ['public.*', 'public.orders', true],
    ['public.*', 'public.orders.id', true],
    ['public.*', 'public', false],
    ['public.*', 'publicx.orders', false],
    ['public.order_*', 'public.order_items', true],
    ['public.order_*', 'public.order_items.id', false],
    ['*.orders', 'shop.orders', true],
    ['*.orders', 'a.b.orders', false],
    ['p*c.o*s', 'public.orders', true],
    ['*', 'public.orders', true],
    ['*', 'function public.f', true],
    ['*', '', true],
    ['public.*', '', false],
    ['public.*', 'function public.f', false],
    ['function public.*', 'function public.f', true],
    ['function public.*', 'public.f', false],
    ['function public.*', 'procedure public.f', false],
    ['function *', 'function public.f', true],
    ['setting *', 'setting app.user_id', true],
    ['foreign server x', 'foreign server x', true],
    ['public."we.ird"', 'public."we.ird"', true],
    ['public.*', 'public."we.ird"', true],
    ['public.we.ird', 'public."we.ird"', false],
    ['public."or*"', 'public.orders', false],
    ['public."or*"', 'public."or*"', true],
    ['public."order"', 'public.order', true],
    ['public."a""b"', 'public."a""b"', true],
    ['/usr/bin/*', '/usr/bin/foo.sh', true],
    ['/usr/bin/*', '/usr/sbin/foo', false],
    ['/usr/*/foo', '/usr/bin/foo', true],
    ['pods/shop/*', 'pods/shop/api.v2', true],
    ['public.*', 'public.odd/name', true],
    ['file /etc/*', 'file /etc/passwd', true],
  ])('%s on %s: %s', (pattern, resource, expected) => {
    expect(matchResource(pattern, resource)).toBe(expected)
  })

  it('needs the first segment by name for sensitive resources', () => {
    expect(matchResource('*', 'pg_catalog.pg_authid', true)).toBe(false)
    expect(matchResource('*.*', 'pg_catalog.pg_authid', true)).toBe(false)
    expect(matchResource('pg_*.pg_authid', 'pg_catalog.pg_authid', true)).toBe(false)
    expect(matchResource('pg_catalog.*', 'pg_catalog.pg_authid', true)).toBe(true)
    expect(matchResource('function pg_catalog.*', 'function pg_catalog.pg_read_file', true)).toBe(true)
    expect(new ResourcePattern('*').reach('pg_catalog.pg_authid', true)).toBe('loose')
  })

  it.each(['', ' ', 'a..b', '.a', 'a.', 'a"b', '"a', '"a"b', 'function '])('refuses the pattern %j', (pattern) => {
    expect(() => new ResourcePattern(pattern)).toThrow(PatternError)
  })

  it('any names, quoted by formatResource, match themselves literally and no other name', () => {
    const segment = fc.string({ minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1, maxLength: 4 }), segment, (segments, other) => {
        const resource = formatResource(segments)
        expect(splitResource(resource)).toEqual(segments)
        if (resource !== '*') expect(matchResource(resource, resource)).toBe(true)
        const changed = [...segments.slice(0, -1), `${other}x`]
        if (changed.at(-1) !== segments.at(-1)) expect(matchResource(resource, formatResource(changed))).toBe(false)
      }),
    )
  })

  it('splitting and matching never throw on hostile resources', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('"', '.', '/', ' ', 'a', '*', '\0') }),
        (resource) => void matchResource('a.*', resource),
      ),
    )
  })

  it('mayCover doubts in the safe direction', () => {
    const covers = (pattern: string, source: string): boolean => new ResourcePattern(pattern).mayCover(source)
    expect(covers('public.customers.email', 'public.customers.*')).toBe(true)
    expect(covers('public.customers.email', 'public.orders.*')).toBe(false)
    expect(covers('public.customers.email', '*.*.*')).toBe(true)
    expect(covers('*.*.ssn', 'public.people.ssn')).toBe(true)
    expect(covers('public.*', 'public.customers.*')).toBe(true)
    expect(covers('public.customers.email', 'public.customers."*"')).toBe(false)
  })
})

describe('Glob', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '.', '/'), maxLength: 12 })
  const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*', '/'), maxLength: 8 })
  const asRegExp = (glob: string, star: string): RegExp =>
    new RegExp(
      `^${glob
        .split(/(\*+)/)
        .map((part) => (part.startsWith('*') ? (part.length > 1 ? '[^]*' : star) : part))
        .join('')}$`,
    )

  it('agrees with a regular expression', () => {
    const escape = (part: string): string => part.replaceAll('.', '\\.')
    fc.assert(
      fc.property(
        pattern,
        text,
        (glob, value) =>
          void expect(new Glob(glob).test(value)).toBe(new RegExp(`^${glob.split(/\*+/).map(escape).join('[^]*')}$`).test(value)),
      ),
      { numRuns: 2000 },
    )
  })

  it('of paths agrees with a regular expression', () => {
    const simple = fc.string({ unit: fc.constantFrom('a', '*', '/'), maxLength: 8 })
    fc.assert(
      fc.property(simple, text, (glob, value) => void expect(matchPathGlob(glob, value)).toBe(asRegExp(glob, '[^/]*').test(value))),
      { numRuns: 2000 },
    )
  })

  it('stays linear on hostile patterns and texts', () => {
    const started = performance.now()
    new Glob('*a'.repeat(200) + 'b').test('a'.repeat(100_000))
    matchPathGlob('*a'.repeat(100) + 'b', 'a'.repeat(1000))
    expect(performance.now() - started).toBeLessThan(2000)
  })

  it.each([
    ['refs/heads/*', 'refs/heads/main', true],
    ['refs/heads/*', 'refs/heads/a/b', false],
    ['refs/heads/**', 'refs/heads/a/b', true],
    ['acme/*', 'acmeevil/x', false],
    ['acme/shop', 'acme/shop', true],
  ])('path %s on %s: %s', (glob, value, expected) => expect(matchPathGlob(glob, value)).toBe(expected))
})
