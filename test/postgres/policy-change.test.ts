import { readFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { direct, eventually } from '../support/direct.js'
import { bind, errorOf, execute, message, parse, RawClient, scramProof, nonce, startup, sync, types, type ServerMessage } from '../support/raw-client.js'
import { Stack } from '../support/stack.js'

/*
 * P4, P6: what was cleared, bound, begun or opened under an older policy is decided again under the one of now. Each test changes the
 * policy, or takes the credential away, while a session holds something that was permitted before.
 */

let stack: Stack
let version = 0
const demo = readFileSync(path.resolve(import.meta.dirname, '../../examples/demo/policy.yaml'), 'utf8')
const inserting = "INSERT INTO orders (customer_id, status) VALUES (1, 'by-old-policy')"

beforeAll(async () => {
  stack = await Stack.start()
})

afterAll(async () => {
  await stack?.stop()
})

afterEach(async () => {
  await apply(demo)
})

async function apply(policy: string): Promise<void> {
  const { status, body } = await stack.api('POST', '/v1/apply', { documents: [{ path: 'policy.yaml', text: policy }] })
  expect({ status, body: JSON.stringify(body).slice(0, 500) }).toMatchObject({ status: 200 })
}

/** Applies a changed policy and waits until this very session has it: a mask of a new name tells. */
async function tighten(client: RawClient, ...changes: readonly (readonly [string, string])[]): Promise<void> {
  const name = `probe_${++version}`
  let text = demo.replace('  mask:\n', `  mask:\n    - { names: ["${name}"], with: redact }\n`).replace(/ {2}tests:[^]*/, '')
  for (const [from, to] of changes) {
    expect(text).toContain(from)
    text = text.replace(from, to)
  }
  await apply(text)
  await eventually(async () => {
    client.query(`SELECT 'old' AS ${name}`)
    return (await client.until('Z')).some((item) => item.type === 'D' && item.body.includes('[redacted]'))
  }, 'the session has the new policy')
}

const noInsert = ['allow: [sql.insert, sql.copy_in]', 'allow: [sql.copy_in]'] as const
const heldInsert = ['- hold: [sql.update,', '- hold: [sql.insert, sql.update,'] as const
const noCustomers = ['  rules:\n', '  rules:\n    - { deny: sql.select, on: public.customers, reason: not any more }\n'] as const
const maskedName = ['  mask:\n', '  mask:\n    - { columns: ["public.customers.name"], with: redact }\n'] as const

const inserted = async (): Promise<number> => (await direct(stack, "SELECT 1 FROM orders WHERE status = 'by-old-policy'")).length
const rows = (messages: readonly ServerMessage[]): string[] => messages.filter((item) => item.type === 'D').map((item) => item.body.toString('latin1').slice(6))

async function begun(...messages: readonly Buffer[]): Promise<{ client: RawClient; got: ServerMessage[] }> {
  const client = await RawClient.login(stack)
  client.query('BEGIN')
  await client.until('Z')
  client.write(Buffer.concat([...messages, sync]))
  return { client, got: await client.until('Z') }
}

async function deniedOnRecord(text: string): Promise<void> {
  await eventually(async () => (await stack.events(`kind=command&decision=deny&text=${encodeURIComponent(text)}`)).length > 0, 'the denial is on record')
}

describe('P4 the policy is tightened between the steps of one statement', () => {
  test('P4 after Parse: Bind and Execute run nothing', async () => {
    const client = await RawClient.login(stack)
    client.write(Buffer.concat([parse('ins', inserting), sync]))
    expect(types(await client.until('Z'))).toBe('1Z')
    await tighten(client, noInsert)
    client.write(Buffer.concat([bind('', 'ins'), execute(''), sync]))
    expect(errorOf(await client.until('Z'))).toMatchObject({ C: '42501' })
    expect(await inserted()).toBe(0)
    await deniedOnRecord('by-old-policy')
    client.destroy()
  })

  test('P4 after Bind: Execute runs nothing, and the transaction has failed on both sides', async () => {
    const { client, got } = await begun(parse('', `${inserting} /* bound */`), bind('p', ''))
    expect(types(got)).toBe('12Z')
    await tighten(client, noInsert)
    client.write(Buffer.concat([execute('p'), sync]))
    const messages = await client.until('Z')
    expect(errorOf(messages)).toMatchObject({ C: '42501' })
    expect(messages.at(-1)?.body.toString()).toBe('E')
    await deniedOnRecord('bound')
    client.query('COMMIT')
    expect((await client.until('Z')).find((item) => item.type === 'C')?.body.toString()).toContain('ROLLBACK')
    expect(await inserted()).toBe(0)
    client.destroy()
  })

  test('P4 after Bind: what needs an approval by now does not run without one', async () => {
    const { client } = await begun(parse('', inserting), bind('p', ''))
    await tighten(client, noInsert, heldInsert)
    client.write(Buffer.concat([execute('p'), sync]))
    const error = errorOf(await client.until('Z'))
    expect(error['C']).toBe('42501')
    expect(error['M']).toMatch(/needs an approval now/)
    client.query('COMMIT')
    await client.until('Z')
    expect(await inserted()).toBe(0)
    client.destroy()
  })

  test('P4 after Bind: what would copy a column that is masked by now does not run', async () => {
    const { client } = await begun(parse('', "INSERT INTO orders (customer_id, status) SELECT id, 'by-old-policy' || name FROM customers WHERE id = 1"), bind('p', ''))
    await tighten(client, maskedName)
    client.write(Buffer.concat([execute('p'), sync]))
    expect(errorOf(await client.until('Z'))['M']).toMatch(/masked column public.customers.name/)
    client.query('COMMIT')
    await client.until('Z')
    expect(await direct(stack, "SELECT 1 FROM orders WHERE status LIKE 'by-old-policy%'")).toHaveLength(0)
    client.destroy()
  })

  test('P4 after PREPARE: EXECUTE, and Bind of its name, run nothing', async () => {
    const client = await RawClient.login(stack)
    client.query(`PREPARE ins AS ${inserting}`)
    await client.until('Z')
    await tighten(client, noInsert)
    client.query('EXECUTE ins')
    expect(errorOf(await client.until('Z'))['C']).toBe('42501')
    client.write(Buffer.concat([bind('', 'ins'), execute(''), sync]))
    expect(errorOf(await client.until('Z'))['C']).toBe('42501')
    expect(await inserted()).toBe(0)
    client.destroy()
  })

  test('the twin: what the new policy still allows goes on', async () => {
    const { client } = await begun(parse('', inserting), bind('p', ''))
    await tighten(client, noCustomers)
    client.write(Buffer.concat([execute('p'), sync]))
    expect(types(await client.until('Z'))).toBe('CZ')
    client.query('ROLLBACK')
    await client.until('Z')
    client.destroy()
  })
})

describe('P6 rows that were begun under an older policy', () => {
  const names = 'SELECT name FROM customers ORDER BY id'

  test('P6 a suspended portal gives no more rows once the table is denied', async () => {
    const { client, got } = await begun(parse('', names), bind('p', ''), execute('p', 2))
    expect(rows(got)).toHaveLength(2)
    await tighten(client, noCustomers)
    client.write(Buffer.concat([execute('p', 2), sync]))
    const messages = await client.until('Z')
    expect(errorOf(messages)['C']).toBe('42501')
    expect(rows(messages)).toEqual([])
    client.destroy()
  })

  test('P6 a suspended portal goes on under the masks of now', async () => {
    const { client, got } = await begun(parse('', names), bind('p', ''), message('D', 'Pp\0'), execute('p', 2))
    expect(rows(got).some((row) => row.includes('[redacted]'))).toBe(false)
    expect(rows(got)).toHaveLength(2)
    await tighten(client, maskedName)
    client.write(Buffer.concat([execute('p', 2), sync]))
    const after = rows(await client.until('Z'))
    expect(after).toHaveLength(2)
    expect(after.every((row) => row.includes('[redacted]'))).toBe(true)
    client.destroy()
  })

  test('P6 a cursor gives no more rows once the table is denied, and masked ones once it is masked', async () => {
    const client = await RawClient.login(stack)
    client.query('BEGIN')
    await client.until('Z')
    client.query(`DECLARE c CURSOR FOR ${names}`)
    await client.until('Z')
    client.query('FETCH 1 FROM c')
    expect(rows(await client.until('Z')).join()).not.toContain('[redacted]')
    await tighten(client, maskedName)
    client.query('FETCH 1 FROM c')
    expect(rows(await client.until('Z'))).toEqual(['[redacted]'].map((text) => expect.stringContaining(text)))
    await tighten(client, noCustomers)
    client.query('FETCH 1 FROM c')
    const last = await client.until('Z')
    expect(errorOf(last)['C']).toBe('42501')
    expect(rows(last)).toEqual([])
    client.destroy()
  })
})

describe('P6 the credential is revoked', () => {
  async function loginWithCredential(): Promise<{ client: RawClient; credential: string }> {
    const exchanged = await stack.exchange()
    const client = await RawClient.connect(stack)
    await client.startTls(stack)
    client.write(startup({ user: exchanged.username, database: 'orders' }))
    await client.until('R')
    const first = `n=,r=${nonce()}`
    const initial = Buffer.from(`n,,${first}`)
    const length = Buffer.alloc(4)
    length.writeInt32BE(initial.length)
    client.write(message('p', Buffer.concat([Buffer.from('SCRAM-SHA-256\0'), length, initial])))
    const [challenge] = await client.until('R')
    client.write(message('p', scramProof(exchanged.access_token, first, challenge?.body.subarray(4).toString() ?? '')))
    await client.until('Z')
    return { client, credential: exchanged.credential_id }
  }

  async function revoke(credential: string): Promise<void> {
    expect((await stack.api('DELETE', `/v1/credentials/${credential}`)).status).toBeLessThan(300)
  }

  test('P6 an idle session ends within 2 s, with a reason; a suspended portal gives no more rows', async () => {
    const idle = await loginWithCredential()
    idle.client.query('BEGIN')
    await idle.client.until('Z')
    idle.client.write(Buffer.concat([parse('', 'SELECT id FROM customers ORDER BY id'), bind('p', ''), execute('p', 2), sync]))
    expect(types(await idle.client.until('Z'))).toContain('s')
    const at = Date.now()
    await revoke(idle.credential)
    const messages = await idle.client.ended(5000)
    expect(Date.now() - at).toBeLessThan(2000)
    expect(errorOf(messages)).toMatchObject({ S: 'FATAL', C: '57P01' })
    expect(rows(messages)).toEqual([])
  })

  test('P6 a statement that runs, and one pipelined behind it, end at the target too', async () => {
    const { client, credential } = await loginWithCredential()
    client.write(Buffer.concat([parse('', 'SELECT count(*) FROM generate_series(1, 3000000001)'), bind('', ''), execute(''), parse('', inserting), bind('', ''), execute(''), sync]))
    const active = async (): Promise<number> => (await direct(stack, "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%3000000001%' AND pid <> pg_backend_pid() AND state = 'active'")).length
    await eventually(async () => (await active()) > 0, 'it runs')
    await revoke(credential)
    expect(errorOf(await client.ended(5000))).toMatchObject({ S: 'FATAL', C: '57P01' })
    await eventually(async () => (await active()) === 0, 'it ends at the target')
    expect(await inserted()).toBe(0)
  })
})
