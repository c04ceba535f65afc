import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { psql } from '../support/client.js'
import { direct, eventually } from '../support/direct.js'
import { columns, expressions, filled, leaked, markers, preparation, reading, reversed, row, where, writing } from '../support/leak-corpus.js'
import { bind, execute, message, parse, RawClient, sync, type ServerMessage } from '../support/raw-client.js'
import { Stack } from '../support/stack.js'

/* A statement of the corpus may be denied, fail or be masked; nothing that the client is sent or that is kept may hold a marker. */

let stack: Stack
let client: RawClient
const policyFile = path.resolve(import.meta.dirname, '../../examples/demo/policy.yaml')

/** The demo's masks, under rules that permit what the analyser can see through: nothing but the masks stands in the way. */
const permissive = `  rules:
    - { allow: sql }
    - { allow: [sql.read, sql.write], on: "public.*" }
    - { deny: [sql.code, sql.copy_program, sql.copy_file] }
    - { deny: sql.call, on: ["function pg_catalog.pg_terminate_backend", "function pg_catalog.pg_advisory_lock"] }
  mask:`

beforeAll(async () => {
  stack = await Stack.start()
  await direct(stack, preparation)
  client = await RawClient.login(stack)
})

afterAll(async () => {
  client?.destroy()
  await stack?.stop()
})

/** All that comes back up to so many ReadyForQuery, or up to the end of the connection; then there is a new one. */
async function attempt(bytes: Buffer, readies = 1): Promise<Buffer> {
  if (client.closed) client = await RawClient.login(stack)
  client.write(bytes)
  const got: ServerMessage[] = []
  try {
    for (let index = 0; index < readies; index += 1) got.push(...(await client.until('Z', 20_000)))
  } catch {
    got.push(...client.messages)
    client.destroy()
    client = await RawClient.login(stack)
  }
  return Buffer.concat(got.map((item) => Buffer.concat([Buffer.from(item.type), item.body])))
}

const query = (sql: string): Buffer => message('Q', `${sql}\0`)
const transaction = (messages: readonly string[]): Promise<Buffer> => attempt(Buffer.concat(['BEGIN', ...messages, 'ROLLBACK'].map(query)), messages.length + 2)

/** Sends them all. Says which ones got something through, and how many were masked rather than refused. */
async function check<T>(list: readonly T[], send: (item: T) => Promise<Buffer>): Promise<{ found: string[]; masked: number }> {
  const found: string[] = []
  let masked = 0
  for (const item of list) {
    const bytes = await send(item)
    if (/\[redacted\]|\*\*\*@|text is not shown/.test(bytes.toString('latin1'))) masked += 1
    const marker = leaked(bytes)
    if (marker !== undefined) found.push(`${String(item)} → ${marker}`)
  }
  return { found, masked }
}

/** Unnamed, no values, all results binary. */
const binaryBind = message('B', Buffer.from([0, 0, 0, 0, 0, 0, 0, 1, 0, 1]))
const single = reading().filter((sql) => !sql.includes(';'))
const copies = columns.flatMap((column) =>
  expressions.map((text, index) => `COPY (SELECT ${filled(text, column)} FROM customers ${where}) TO STDOUT (FORMAT ${['text', 'csv', 'binary'][index % 3]})`))

describe('the corpus', () => {
  test('the check sees a marker in every spelling', async () => {
    const [plain] = await direct<{ ssn: string }>(stack, 'SELECT ssn FROM customers WHERE id = $1', [row])
    expect(leaked(Buffer.from(`x${plain?.ssn}`))).toBeDefined()
    for (const marker of Object.values(markers)) {
      for (const text of [marker, reversed(marker), marker.toUpperCase(), Buffer.from(`ab${marker}`).toString('base64'), Buffer.from(marker).toString('hex')]) {
        expect(leaked(Buffer.from(`\0${text}y`))).toBeDefined()
      }
    }
    expect(leaked(Buffer.from('nothing of it'))).toBeUndefined()
  })

  test('most of it shows a marker at the target itself', async () => {
    const shown: string[] = []
    const all = [...single.map((sql) => [sql]), ...writing()].filter((list) => !list.some((sql) => /^COPY|pg_terminate|pg_advisory/.test(sql)))
    const own = new pg.Client({ connectionString: stack.target.superuserUrl })
    await own.connect()
    const seen: string[] = []
    own.on('notice', (notice) => seen.push(JSON.stringify(notice)))
    for (const list of all) {
      seen.length = 0
      await own.query('BEGIN')
      try {
        for (const sql of list) seen.push(JSON.stringify((await own.query({ text: sql, rowMode: 'array' })).rows))
      } catch (error) {
        seen.push(JSON.stringify({ ...Object(error), message: String(error) }))
      }
      await own.query('ROLLBACK')
      if (leaked(Buffer.from(seen.join('\n'))) !== undefined) shown.push(list.join('; '))
    }
    await own.end()
    expect(shown.length / all.length).toBeGreaterThan(0.6)
  })
})

describe.each([
  ['the demo policy', undefined, 1 / 4],
  ['a policy that permits all but code', permissive, 1 / 2],
])('K1–K6, K9: nothing that a client can ask shows a masked value, under %s', (_name, rules, least) => {
  beforeAll(async () => {
    const demo = readFileSync(policyFile, 'utf8')
    const text = rules === undefined ? demo : demo.replace(/ {2}rules:\n[^]*? {2}mask:/, () => rules).replace(/ {2}tests:[^]*/, '')
    const { status, body } = await stack.api('POST', '/v1/apply', { documents: [{ path: 'policy.yaml', text }] })
    expect({ status, body: JSON.stringify(body).slice(0, 500) }).toMatchObject({ status: 200 })
    client.destroy()
    client = await RawClient.login(stack)
  })

  test('simple protocol, text', async () => {
    const { found, masked } = await check(reading(), (sql) => transaction([sql]))
    expect(found).toEqual([])
    expect(masked / reading().length).toBeGreaterThan(least)
  })

  test('extended protocol, binary results, without Describe', async () => {
    const { found } = await check(single, (sql) => attempt(Buffer.concat([query('ROLLBACK'), parse('', sql), binaryBind, execute(''), sync]), 2))
    expect(found).toEqual([])
  })

  test('extended protocol, described, row by row, in a transaction', async () => {
    const describePortal = message('D', 'P\0')
    const { found } = await check(single, (sql) => attempt(Buffer.concat([query('BEGIN'), parse('', sql), bind('', ''), describePortal, execute('', 1), execute('', 1), sync, query('ROLLBACK')]), 3))
    expect(found).toEqual([])
  })

  test('COPY TO STDOUT of each expression, text, CSV and binary', async () => {
    const { found } = await check(copies, (sql) => attempt(query(sql)))
    expect(found).toEqual([])
  })

  if (rules !== undefined) {
    test('what changes data or definitions, and what is read after it', async () => {
      const { found, masked } = await check(writing(), transaction)
      expect(found).toEqual([])
      expect(masked).toBeGreaterThan(40)
    })
  }
})

describe('K2: detectors read numbers in binary format', () => {
  test.each(['4111111111111111::int8', '4111111111111111::numeric', '4111111111111111.25::numeric'])('%s', async (number) => {
    const bytes = await attempt(Buffer.concat([parse('', `SELECT ${number} FROM orders LIMIT 1`), binaryBind, execute(''), sync]))
    const at = bytes.indexOf('D')
    expect(at).toBeGreaterThanOrEqual(0)
    // One column, NULL.
    expect(bytes.subarray(at + 1, at + 7).toString('hex')).toBe('0001ffffffff')
  })
})

describe('C: one statement does not stop the agent', () => {
  test('nested WITH RECURSIVE is refused, and others are served meanwhile', async () => {
    let nested = 'SELECT id FROM customers'
    for (let level = 0; level < 40; level += 1) nested = `WITH RECURSIVE c${level} AS (${nested}) SELECT id FROM c${level}`
    const begin = Date.now()
    const bytes = await attempt(query(nested))
    expect(bytes.includes('too many steps')).toBe(true)
    expect(Date.now() - begin).toBeLessThan(15_000)
    expect((await psql(await stack.pgEnv(), 'SELECT 1')).stdout.trim()).toBe('1')
  })
})

describe('C: text that is slow to scan', () => {
  test.each([['comments', '/*'], ['signs', '+-'], ['plus', '+']])('%s', async (_name, unit) => {
    const begin = Date.now()
    expect((await attempt(query(`SELECT 1 ${unit.repeat(100_000)}`))).includes('operator characters')).toBe(true)
    expect(Date.now() - begin).toBeLessThan(5000)
    expect((await attempt(query(`SELECT 1 ${'-'.repeat(5000)}\n, 'fine'`))).includes('fine')).toBe(true)
  })
})

/** Last: after everything that the others have tried. */
describe('K13: records and logs', () => {
  async function all(route: string): Promise<any[]> {
    const items: any[] = []
    let cursor: string | undefined
    do {
      const { body } = await stack.api('GET', `${route}?limit=200${cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`}`)
      items.push(...body.items)
      cursor = body.next ?? undefined
    } while (cursor !== undefined)
    return items
  }

  test('no event or recorded result holds a marker', async () => {
    const metrics = `http://127.0.0.1:${stack.line.agents[0]?.opsPort}/metrics`
    await eventually(async () => /^sallyport_agent_spool_records_behind 0$/m.test(await (await fetch(metrics)).text()), 'all of it has reached the control plane', 30_000)
    const events = await all('/v1/events')
    for (const { id } of await all('/v1/sessions')) events.push(...(await all(`/v1/sessions/${id}/events`)))
    const found = events.filter((item) => leaked(Buffer.from(JSON.stringify(item))) !== undefined)
    expect(found.slice(0, 10)).toEqual([])
    // Results were recorded, and errors: else there would be nothing to look at.
    const text = JSON.stringify(events)
    expect(text).toContain('[redacted]')
    expect(text).toContain('the text is not shown')
  })

  test('no table of the control plane holds a marker, whatever a query would show of it', async () => {
    const directory = path.join(stack.line.dataDir, 'api')
    const port = Number(readFileSync(path.join(directory, 'postgres/postmaster.pid'), 'utf8').split('\n')[3])
    const database = new pg.Client({ host: '127.0.0.1', port, user: 'sallyport', database: 'postgres', password: readFileSync(path.join(directory, 'postgres-password'), 'utf8').trim() })
    await database.connect()
    try {
      const { rows: tables } = await database.query<{ name: string }>("SELECT quote_ident(relname) AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
      const found: string[] = []
      let rows = 0
      for (const { name } of tables) {
        for (const { text } of (await database.query<{ text: string }>(`SELECT t::text AS text FROM ${name} t`)).rows) {
          rows += 1
          const marker = leaked(Buffer.from(text))
          if (marker !== undefined) found.push(`${name}: ${marker}: ${text.slice(0, 200)}`)
        }
      }
      expect(found.slice(0, 10)).toEqual([])
      expect(tables.length).toBeGreaterThan(15)
      expect(rows).toBeGreaterThan(1000)
    } finally {
      await database.end()
    }
  })

  test('no file of the control plane, its database and its recordings, of the gateway or of the agent holds a marker', () => {
    const found: string[] = []
    let bytes = 0
    for (const name of readdirSync(stack.line.dataDir).filter((entry) => /^(api|agent|gateway|tokens|logs)/.test(entry))) {
      for (const file of filesBelow(path.join(stack.line.dataDir, name))) {
        const content = contentIfThere(file)
        bytes += content.length
        const marker = leaked(content)
        if (marker !== undefined) found.push(`${file}: ${marker}`)
      }
    }
    expect(found).toEqual([])
    // Tables and the write-ahead log among them.
    expect(bytes).toBeGreaterThan(20_000_000)
  })

  test('no spool or log file holds a marker', () => {
    const found: string[] = []
    let bytes = 0
    for (const directory of [stack.line.logsDir, ...stack.line.agents.map((agent) => agent.dataDir)]) {
      for (const file of filesBelow(directory)) {
        const content = readFileSync(file)
        bytes += content.length
        const marker = leaked(content)
        if (marker !== undefined) found.push(`${file}: ${marker}`)
      }
    }
    expect(found).toEqual([])
    // The spool of all that was tried; an empty directory would prove nothing.
    expect(bytes).toBeGreaterThan(1_000_000)
  })
})

/** The database's own files come and go. */
function contentIfThere(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    if (existsSync(file)) throw error
    return Buffer.alloc(0)
  }
}

function filesBelow(directory: string): string[] {
  if (!existsSync(directory)) return []
  return readdirSync(directory).flatMap((name) => {
    const file = path.join(directory, name)
    const stat = statSync(file, { throwIfNoEntry: false })
    return stat?.isDirectory() === true ? filesBelow(file) : stat?.isFile() === true ? [file] : []
  })
}
