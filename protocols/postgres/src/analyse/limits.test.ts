import { beforeAll, describe, expect, it } from 'vitest'
import { analyse, AnalysisCache, AnalysisError, loadAnalyser, postgresDescriptor, quoteIdent } from './index.js'
import { TargetSpecError } from '@sallyport/kit'
import { shop, shopNames } from './testing/shop.js'

beforeAll(loadAnalyser)

function failure(text: string, maxBytes?: number): AnalysisError | undefined {
  try {
    analyse(text, shop, shopNames, maxBytes === undefined ? {} : { maxBytes })
    return undefined
  } catch (error) {
    if (error instanceof AnalysisError) return error
    throw error
  }
}

const deep: Readonly<Record<string, (n: number) => string>> = {
  parentheses: (n) => `SELECT ${'('.repeat(n)}1${')'.repeat(n)}`,
  or: (n) => `SELECT 1 FROM customers WHERE ${Array.from({ length: n }, () => '(id = 1 OR ').join('')}true${')'.repeat(n)}`,
  plus: (n) => `SELECT ${Array.from({ length: n }, () => '1').join('+')}`,
  union: (n) => Array.from({ length: n }, () => 'SELECT 1').join(' UNION '),
  subqueries: (n) => `SELECT * FROM ${'(SELECT * FROM '.repeat(n)}customers${') x'.repeat(n)}`,
  not: (n) => `SELECT ${'NOT '.repeat(n)}true`,
  arrays: (n) => `SELECT ${'ARRAY['.repeat(n)}1${']'.repeat(n)}`,
  calls: (n) => `SELECT ${'abs('.repeat(n)}1${')'.repeat(n)}`,
  casts: (n) => `SELECT 1${'::int'.repeat(n)}`,
  joins: (n) => `SELECT 1 FROM customers c0${Array.from({ length: n }, (_, i) => ` JOIN orders o${String(i)} ON true`).join('')}`,
}

describe('P14 K11: hostile sizes', () => {
  it.each(Object.entries(deep))('%s, nested 5,000 and 50,000 deep, end in too_complex', (name, make) => {
    for (const n of [5_000, 50_000]) {
      const text = make(n)
      const error = failure(text)
      // Parentheses around a constant vanish in the tree: there is nothing left to be deep.
      if (error === undefined) expect(name).toBe('parentheses')
      else expect(['too_complex', ...(text.length > 1 << 20 ? ['too_large'] : [])]).toContain(error.code)
    }
  })

  it('goes on after the grammar was torn, as soon as its spare is there', async () => {
    for (let round = 0; round < 4; round++) {
      failure(deep['plus']?.(50_000) ?? '')
      await loadAnalyser()
      await new Promise((resolve) => setTimeout(resolve, 200))
      expect(failure('SELECT email FROM customers')).toBeUndefined()
    }
  })

  it('takes a flat list of many values', () => {
    expect(
      failure(`SELECT * FROM customers WHERE id IN (${Array.from({ length: 20_000 }, (_, i) => String(i)).join(',')})`),
    ).toBeUndefined()
    expect(
      failure(`INSERT INTO orders (id) VALUES ${Array.from({ length: 20_000 }, (_, i) => `(${String(i)})`).join(',')}`),
    ).toBeUndefined()
  })

  it('bounds queries that double their columns', () => {
    const ctes = Array.from({ length: 30 }, (_, i) => `c${String(i + 1)} AS (SELECT a.*, b.* FROM c${String(i)} a, c${String(i)} b)`)
    expect(failure(`WITH c0 AS (SELECT * FROM customers), ${ctes.join(', ')} SELECT * FROM c30`)?.code).toBe('too_complex')
  })

  it('refuses NUL, half surrogates and long texts', () => {
    expect(failure('SELECT 1\0; DROP TABLE orders')?.code).toBe('unparsable')
    expect(failure("SELECT '\ud800'")?.code).toBe('unparsable')
    expect(failure(`SELECT '${'x'.repeat(2 << 20)}'`)?.code).toBe('too_large')
    expect(failure(`SELECT '${'é'.repeat(60)}'`, 100)?.code).toBe('too_large')
  })

  it('counts positions in characters', () => {
    expect(failure("SELECT 'é', nope FROM customers")?.position).toBe(13)
    expect(failure("SELECT '😀' FROMM customers, x")?.position).toBe(18)
  })
})

describe('the cache', () => {
  it('gives the same analysis for the same text, catalog and names only', () => {
    const cache = new AnalysisCache(1 << 20)
    let runs = 0
    const counted: typeof analyse = (...args) => {
      runs++
      return analyse(...args)
    }
    const text = 'SELECT email FROM customers'
    // Kept from its second time on.
    cache.analyse(text, shop, shopNames, 'a', counted)
    const first = cache.analyse(text, shop, shopNames, 'a', counted)
    expect(cache.analyse(text, shop, shopNames, 'a', counted)).toBe(first)
    const app = { ...shopNames, searchPath: ['app'] }
    expect(cache.analyse(text, shop, app, 'b', counted)).not.toBe(first)
    expect(cache.analyse(text, shop, shopNames, 'a', counted)).toBe(first)
    expect(runs).toBe(3)
  })

  it('does not keep what prepared statements and cursors decide', () => {
    const cache = new AnalysisCache(1 << 20)
    const prepared = analyse('PREPARE p AS SELECT email FROM customers', shop, shopNames).statements[0]?.changes[0]
    if (prepared?.kind !== 'prepare') throw new Error('no PREPARE')
    const names = { ...shopNames, prepared: new Map([['p', prepared.statement]]) }
    expect(cache.analyse('EXECUTE p', shop, names, 'a', analyse).statements[0]?.effects[0]?.resource).toBe('public.customers')
    expect(() => cache.analyse('EXECUTE p', shop, shopNames, 'a', analyse)).toThrow(AnalysisError)
  })

  it('stays within its bytes', () => {
    const cache = new AnalysisCache(200_000)
    for (let i = 0; i < 2_000; i++) cache.analyse(`SELECT ${String(i)}`, shop, shopNames, 'a', analyse)
    expect(cache.bytes).toBeLessThanOrEqual(200_000)
  })
})

describe('names', () => {
  it('quotes like quote_ident', () => {
    const names = ['orders', 'Orders', 'order', 'a b', 'a"b', '1a', 'ünder', '_x', 'a$b']
    expect(names.map(quoteIdent)).toEqual(['orders', '"Orders"', '"order"', '"a b"', '"a""b"', '"1a"', '"ünder"', '_x', '"a$b"'])
  })
})

describe('the descriptor', () => {
  it('analyses without a catalog, names taken to be in public', () => {
    const { commands, error } = postgresDescriptor.analyse('SELECT email FROM customers; DROP TABLE app.orders; SELECT * FROM pg_authid')
    expect(error).toBeUndefined()
    expect(commands.map((command) => command.effects.map((effect) => `${effect.action} ${effect.resource}`))).toEqual([
      ['sql.select public.customers'],
      ['sql.ddl.drop app.orders'],
      ['sql.select pg_catalog.pg_authid'],
    ])
    expect(postgresDescriptor.analyse('SELEC').error).toContain('syntax error')
  })

  it('keeps lineage by name offline', () => {
    const { commands } = postgresDescriptor.analyse('UPDATE orders SET status = $1 WHERE id = 5 RETURNING status')
    expect(commands[0]?.effects[0]).toMatchObject({
      action: 'sql.update',
      resource: 'public.orders',
      details: { columns_written: ['status'] },
    })
  })

  it('refuses a literal password and unknown keys', () => {
    const spec = { host: 'db', database: 'shop', user: 'agent' }
    expect(postgresDescriptor.parseTargetSpec({ ...spec, password: 'env:PGPASSWORD' })).toMatchObject({ port: 5432 })
    expect(() => postgresDescriptor.parseTargetSpec({ ...spec, password: 'hunter2' })).toThrow(TargetSpecError)
    expect(() => postgresDescriptor.parseTargetSpec({ ...spec, hots: 'x' })).toThrow(TargetSpecError)
  })

  it('documents every action that an alias names', () => {
    const { actions, aliases } = postgresDescriptor.actions
    for (const members of Object.values(aliases)) for (const member of members) expect(actions[member]).toBeDefined()
  })
})
