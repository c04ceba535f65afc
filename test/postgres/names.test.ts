import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { direct } from '../support/direct.js'
import { leaked, markers, row, where } from '../support/leak-corpus.js'
import { bind, execute, message, parse, RawClient, sync, type ServerMessage } from '../support/raw-client.js'
import { Stack } from '../support/stack.js'

let stack: Stack

beforeAll(async () => {
  stack = await Stack.start()
  await direct(stack, 'UPDATE customers SET ssn = $1 WHERE id = $2', [markers.ssn, row])
})

afterAll(async () => {
  await stack.stop()
})

/** State of names: what the protocol does under a name must not be taken for what SQL did under it, and the other way round. */
describe('P3, P5: a name never stands for another statement than the one decided', () => {
  const close = (kind: 'S' | 'P', name: string): Buffer => message('C', `${kind}${name}\0`)
  /** One row, so that a hole found by one test does not hide the next. */
  const held = "DELETE FROM api_keys WHERE ctid = (SELECT min(ctid) FROM api_keys) RETURNING 'ran'"
  const keys = async (): Promise<number> => (await direct<{ n: number }>(stack, 'SELECT count(*)::int AS n FROM api_keys'))[0]?.n ?? 0

  async function session(...steps: readonly Buffer[]): Promise<Buffer> {
    const own = await RawClient.login(stack)
    const got: ServerMessage[] = []
    try {
      for (const step of steps) {
        own.write(step)
        got.push(...(await own.until('Z')))
      }
    } catch {
      got.push(...own.messages)
    }
    own.destroy()
    return Buffer.concat(got.map((item) => Buffer.concat([Buffer.from(item.type), item.body])))
  }
  const query = (sql: string): Buffer => message('Q', `${sql}\0`)
  const batch = (...parts: Buffer[]): Buffer => Buffer.concat([...parts, sync])

  test.each([
    ['PREPARE, Close, Parse, EXECUTE', [query('PREPARE x AS SELECT 1'), batch(close('S', 'x')), batch(parse('x', held)), query('EXECUTE x')]],
    ['the same in one batch', [query('PREPARE x AS SELECT 1'), batch(close('S', 'x'), parse('x', held), parse('', 'EXECUTE x'), bind('', ''), execute(''))]],
    ['a PREPARE that fails because Parse has the name', [batch(parse('x', held)), query('PREPARE x AS SELECT 1'), query('EXECUTE x')]],
    ['Parse, DEALLOCATE, PREPARE, Bind', [batch(parse('x', 'SELECT 1')), query('DEALLOCATE x'), query(`PREPARE x AS ${held}`), batch(parse('', 'SELECT 1'), bind('', 'nothing'), execute(''))]],
    ['names that the server cuts to 63 bytes', [batch(parse('a'.repeat(63), 'SELECT 1')), batch(close('S', `${'a'.repeat(63)}y`)), batch(parse(`${'a'.repeat(63)}z`, held)), batch(bind('', 'a'.repeat(63)), execute(''))]],
    ['a named portal bound before its statement is closed', [batch(parse('x', held)), batch(close('S', 'x'), bind('p', 'x'), execute('p'))]],
  ])('%s', async (_name, steps) => {
    const before = await keys()
    const bytes = await session(...steps)
    expect(bytes.includes('ran')).toBe(false)
    expect(await keys()).toBe(before)
  })

  const raw = `SELECT ssn||'' FROM customers ${where}`
  test.each([
    ['a cursor of a transaction that has ended', [query('BEGIN'), query('DECLARE c CURSOR FOR SELECT name FROM customers'), query('COMMIT'), query('BEGIN'), batch(parse('', raw), bind('c', '')), query('FETCH ALL FROM c')]],
    ['a cursor closed by Close', [query('BEGIN'), query('DECLARE c CURSOR FOR SELECT name FROM customers'), batch(close('P', 'c')), batch(parse('', raw), bind('c', '')), query('FETCH ALL FROM c')]],
    ['the same, pipelined', [query('BEGIN'), query('DECLARE c CURSOR FOR SELECT name FROM customers'), batch(close('P', 'c'), parse('', raw), bind('c', ''), parse('', 'FETCH ALL FROM c'), bind('', ''), execute(''))]],
    ['a DECLARE that fails because a portal has the name', [query('BEGIN'), batch(parse('', raw), bind('c', '')), query('SAVEPOINT s'), query('DECLARE c CURSOR FOR SELECT name FROM customers'), query('ROLLBACK TO s'), query('FETCH ALL FROM c')]],
    ['FETCH of a protocol portal', [query('BEGIN'), batch(parse('', raw), bind('c', '')), query('FETCH ALL FROM c')]],
    ['a result format that changes from Bind to Bind', [batch(parse('x', raw), bind('', 'x'), execute(''), message('B', Buffer.from('\0x\0\0\0\0\0\0\x01\0\x01', 'latin1')), execute(''))]],
  ])('%s', async (_name, steps) => {
    expect(leaked(await session(...steps))).toBeUndefined()
  })
})

describe('P14: the end of a transaction and a table put before another', () => {
  let own: Stack
  beforeAll(async () => {
    const policy = readFileSync(path.resolve(import.meta.dirname, '../../examples/demo/policy.yaml'), 'utf8').replace('  rules:\n', '  rules:\n    - { allow: [sql.temp, sql.read, sql.delete], on: "pg_temp.*" }\n')
    const file = path.join(stack.line.dataDir, 'temp-policy.yaml')
    writeFileSync(file, policy)
    own = await Stack.start({ policyFile: file })
    await direct(own, 'UPDATE customers SET ssn = $1 WHERE id = $2', [markers.ssn, row])
  })
  afterAll(async () => {
    await own.stop()
  })

  async function session(...steps: readonly (readonly [Buffer, number])[]): Promise<Buffer> {
    const raw = await RawClient.login(own)
    const got: ServerMessage[] = []
    for (const [bytes, readies] of steps) {
      raw.write(bytes)
      for (let index = 0; index < readies; index += 1) got.push(...(await raw.until('Z')))
    }
    raw.destroy()
    return Buffer.concat(got.map((item) => Buffer.concat([Buffer.from(item.type), item.body])))
  }
  const query = (sql: string): readonly [Buffer, number] => [message('Q', `${sql}\0`), 1]
  const text = `SELECT ssn||'' FROM customers WHERE id = ${row}`
  const shadow = query('CREATE TEMP TABLE customers (ssn text, id int)')

  test('ROLLBACK and the next statement in one packet', async () => {
    const bytes = await session(query('BEGIN'), shadow, query(text), [Buffer.concat([message('Q', 'ROLLBACK\0'), message('Q', `${text}\0`)]), 2])
    expect(leaked(bytes)).toBeUndefined()
    expect(bytes.includes('[redacted]')).toBe(true)
  })

  test('ROLLBACK of a failed transaction and the next statement in one batch', async () => {
    const bytes = await session(query('BEGIN'), shadow, query(text), query('SELECT 1/0'), [Buffer.concat([parse('', 'ROLLBACK'), bind('', ''), execute(''), parse('', text), bind('', ''), execute(''), sync]), 1])
    expect(leaked(bytes)).toBeUndefined()
    expect(bytes.includes('[redacted]')).toBe(true)
  })

  test('a temporary table made after PREPARE: the server goes on with the old one', async () => {
    const bytes = await session(query('CREATE TEMP TABLE other ()'), query(`PREPARE x AS ${text}`), query('EXECUTE x'), shadow, query('EXECUTE x'))
    expect(leaked(bytes)).toBeUndefined()
    expect(bytes.includes('mean something else by now')).toBe(true)
  })

  test('the same with Parse, and a DELETE that only the temporary table allows', async () => {
    const before = await direct<{ n: number }>(own, 'SELECT count(*)::int AS n FROM api_keys')
    const deletion = parse('d', 'DELETE FROM api_keys')
    const bytes = await session(query('CREATE TEMP TABLE other ()'), [Buffer.concat([deletion, sync]), 1], query('CREATE TEMP TABLE api_keys (id int)'), [Buffer.concat([bind('', 'd'), execute(''), sync]), 1])
    expect(bytes.includes('0A000')).toBe(true)
    expect(await direct(own, 'SELECT count(*)::int AS n FROM api_keys')).toEqual(before)
  })
})
