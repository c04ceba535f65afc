import { readFileSync } from 'node:fs'
import { TemporaryServer } from '@sallyport/embedded-postgres'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  analyse, canonical, catalogQueries, loadAnalyser, parseCatalogRows, parseSessionRow, quoteIdent, sessionQuery,
  type NameContext, type SnapshotCatalog,
} from './index.js'
import { readCases } from './testing/cases.js'

/** SQLSTATEs that say that a name means nothing: then we must have said so too. */
const unknownName = new Set(['42P01', '42703', '42702', '42P02', '3F000'])

/**
 * The server's own word on what names mean: its RowDescription names each output column's table and attribute. Whatever it says a
 * column comes from, our lineage must say too.
 */
describe('against a real PostgreSQL', () => {
  let server: TemporaryServer | undefined
  let client: pg.Client | undefined
  let catalog: SnapshotCatalog | undefined

  beforeAll(async () => {
    await loadAnalyser()
    server = await TemporaryServer.start()
    client = new pg.Client({ connectionString: server.server.url() })
    await client.connect()
    await client.query(`SET statement_timeout = '5s'`)
    await client.query(readFileSync(new URL('./testing/shop.sql', import.meta.url), 'utf8'))
    catalog = await load()
  }, 60_000)

  afterAll(async () => {
    await client?.end()
    await server?.stop()
  })

  async function ask(query: string): Promise<string[]> {
    if (!client) throw new Error('not connected')
    const result = await client.query<[string]>({ text: query, rowMode: 'array' })
    return result.rows.map(([text]) => text)
  }

  async function load(): Promise<SnapshotCatalog> {
    const rows: string[] = []
    for (const query of catalogQueries) rows.push(...(await ask(query)))
    return parseCatalogRows(rows)
  }

  async function context(): Promise<NameContext> {
    const [row = ''] = await ask(sessionQuery)
    return { ...parseSessionRow(row), prepared: new Map(), cursors: new Map() }
  }

  /** Compares one query under the session's names of now; undefined when all agrees. */
  async function compare(text: string): Promise<string | undefined> {
    if (!client || !catalog) throw new Error('not connected')
    const known = catalog
    const names = await context()
    const { statements } = analyse(text, known, names)
    const [statement] = statements
    if (!statement) return 'no statement'
    const result = await client.query({ text, rowMode: 'array' })
    if (statement.output.kind === 'unknown') return undefined
    const columns = statement.output.kind === 'columns' ? statement.output.columns : []
    if (result.fields.length !== columns.length) {
      return `${String(columns.length)} columns, the server gives ${String(result.fields.length)}`
    }
    for (const [index, field] of result.fields.entries()) {
      const column = columns[index]
      if (column?.name !== field.name) return `column ${String(index)} is named ${String(column?.name)}, by the server ${field.name}`
      if (field.tableID === 0) continue
      const relation = known.relationByOid(field.tableID) ?? names.temporary?.find((one) => one.oid === field.tableID)
      const attribute = relation?.columns.find((one) => one.number === field.columnID)
      if (!relation || !attribute) continue
      const origin = `${canonical(relation.schema, relation.name)}.${quoteIdent(attribute.name)}`
      if (!column.sources.includes(origin)) return `${field.name} comes from ${origin}, not from ${column.sources.join(', ')}`
    }
    return undefined
  }

  const corpus = ['evasion.cases', 'functions.cases']
    .flatMap((name) => readCases(new URL(`./cases/${name}`, import.meta.url)))
    .filter((one) => !one.expected.includes('  ! ') && !one.expected.includes('sql.call') && !one.sql.includes(';'))
    .filter((one) => /^\s*(SELECT|WITH|TABLE|VALUES|INSERT|UPDATE|DELETE|MERGE|EXPLAIN)/i.test(one.sql))
    .filter((one) => !/\$\d|CURRENT OF|INTO|pg_authid SET|current_setting|set_config|shop\.public|REPEATABLE|evil|seq1/.test(one.sql))

  it('has a corpus', () => {
    expect(corpus.length).toBeGreaterThan(80)
  })

  it('agrees with the server on every query that both accept', async () => {
    const differences: string[] = []
    let compared = 0
    for (const { sql } of corpus) {
      await client?.query('BEGIN')
      try {
        const difference = await compare(sql)
        compared++
        if (difference !== undefined) differences.push(`${sql}: ${difference}`)
      } catch (error) {
        if (!(error instanceof pg.DatabaseError)) throw error
        // Data and features: an error of the server's own is no answer to compare with; an unknown name is one.
        if (unknownName.has(error.code ?? '') && !sql.includes('c.lower')) differences.push(`${sql}: the server says ${error.message}`)
      } finally {
        await client?.query('ROLLBACK')
      }
    }
    expect(differences).toEqual([])
    expect(compared).toBeGreaterThan(70)
  }, 60_000)

  it('K3: whatever shows a marked value, comes from the column that holds it', async () => {
    await client?.query(`
      INSERT INTO customers
        VALUES (7001, 'mark-name.', 'mark-email.', 'mark-phone.', 'mark-ssn.', 'mark-card_number.', '{"mark-notes.": 1}');
      INSERT INTO orders VALUES (7001, 7001, 1, 'mark-status.'); INSERT INTO api_keys VALUES (1, 'mark-name.', 'mark-secret.');
      REFRESH MATERIALIZED VIEW mv_emails`)
    const names = await context()
    const leaks: string[] = []
    let marked = 0
    for (const { sql } of corpus) {
      if (!client || !catalog) throw new Error('not connected')
      const { output } = analyse(sql, catalog, names).statements[0] ?? { output: { kind: 'none' } }
      await client.query('BEGIN')
      const result = await client.query<unknown[]>({ text: sql, rowMode: 'array' }).catch(() => undefined)
      await client.query('ROLLBACK')
      if (output.kind !== 'columns') continue
      for (const row of result?.rows ?? []) {
        for (const [index, cell] of row.entries()) {
          for (const [, column = ''] of (JSON.stringify(cell) ?? '').matchAll(/mark-([a-z_]+)\./g)) {
            marked++
            if (!output.columns[index]?.sources.some((source) => source.endsWith(`.${column}`) || source.endsWith('.*'))) {
              leaks.push(`${sql}: ${column} shows in column ${String(index)}`)
            }
          }
        }
      }
    }
    await client?.query('TRUNCATE customers, orders, api_keys CASCADE')
    expect(leaks).toEqual([])
    expect(marked).toBeGreaterThan(100)
  }, 60_000)

  it('resolves like the server under other search paths, with temporary tables in the way', async () => {
    const queries = [
      'SELECT email FROM customers',
      'SELECT * FROM customers',
      'SELECT c.* FROM customers c, public.customers p',
      'SELECT relname FROM pg_class LIMIT 1',
      'SELECT m FROM public.v_outer',
    ]
    const paths = ['public', 'app, public', '"$user", app', 'pg_catalog, app', 'app, pg_catalog', 'public, pg_temp']
    for (const temporary of [false, true]) {
      if (temporary) await client?.query('CREATE TEMP TABLE customers (email text, mine int); CREATE TEMP TABLE pg_class (relname text)')
      for (const path of paths) {
        await client?.query(`SET search_path = ${path}`)
        for (const query of queries) {
          expect(await compare(query).catch((error: unknown) => String(error)), `${query} under ${path}`).toBeUndefined()
        }
      }
    }
    await client?.query('RESET search_path; DISCARD TEMP')
  }, 60_000)

  it.each(['psql-describe.sql', 'drivers.sql'])('%s: what drivers and psql ask is harmless', async (name) => {
    if (!catalog) throw new Error('not connected')
    const names = await context()
    for (const block of readFileSync(new URL(`./testing/${name}`, import.meta.url), 'utf8').split(/\n\s*\n/)) {
      const effects = analyse(block, catalog, names).statements.flatMap((statement) => statement.effects)
      expect(effects.filter((effect) => !effect.harmless), block).toEqual([])
    }
  })

  it('reads the whole catalog: triggers, cascades, domains, partitions, rules, operators', () => {
    expect(catalog?.relationNamed('public.orders')?.triggers).toEqual([{ function: 'public.audit', events: ['update'] }])
    expect(catalog?.relationNamed('public.customers')?.cascades).toEqual([{ table: 'public.orders', on: 'delete', action: 'delete' }])
    expect(catalog?.relationNamed('public.contacts')?.columns[1]?.calls).toEqual(['public.chk'])
    expect(catalog?.relationNamed('public.events')?.children).toEqual(['public.events_2024'])
    expect(catalog?.relationNamed('public.ruled')?.hasRules).toBe(true)
    expect(catalog?.relationNamed('public.v_outer')?.definition).toContain('v_customers')
    expect(catalog?.operators('===')).toEqual([{ schema: 'public', name: '===', function: 'public.op_f' }])
    expect(catalog?.type('public', 'mail')).toEqual({ schema: 'public', name: 'mail', kind: 'domain', calls: ['public.chk'] })
    expect(catalog?.relation('pg_catalog', 'pg_class')?.columns[0]?.name).toBe('oid')
    expect(catalog?.functions('public', 'pure')).toEqual([{ schema: 'public', name: 'pure', volatile: 'i', returnsSet: false }])
  })

  it('reads the same catalog whatever a user put in the way', async () => {
    await client?.query(`CREATE SCHEMA trap; CREATE FUNCTION trap.f(oid, oid) RETURNS bool LANGUAGE sql AS 'SELECT false';
      CREATE OPERATOR trap.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = trap.f); CREATE TABLE trap.pg_class (oid oid);
      CREATE FUNCTION trap.current_schemas(bool) RETURNS name[] LANGUAGE sql AS 'SELECT NULL::name[]';
      SET search_path = trap, pg_catalog, public`)
    const trapped = await load()
    expect(trapped.relationNamed('public.orders')?.triggers).toHaveLength(1)
    expect(trapped.definitionPath).toEqual(['trap', 'pg_catalog', 'public'])
    expect((await context()).searchPath).toEqual(['trap', 'pg_catalog', 'public'])
    await client?.query('RESET search_path; DROP SCHEMA trap CASCADE')
  })
})
