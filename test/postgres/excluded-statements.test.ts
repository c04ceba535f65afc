import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { controlPlaneDatabase } from '../support/database.js'
import { direct, eventually } from '../support/direct.js'
import { Stack } from '../support/stack.js'

/** `recordStatements: normalised`: values in statements reach the target, and the reviewer for as long as a statement waits, and no record. */
const folder = mkdtempSync(path.join(tmpdir(), 'sallyport-statements-'))
const planted = 'planted-literal'
let stack: Stack
let client: pg.Client

beforeAll(async () => {
  const policyFile = path.join(folder, 'policy.yaml')
  writeFileSync(policyFile, `apiVersion: sallyport.dev/v1
kind: Policy
metadata: { name: private }
spec:
  subjects: [{ workload: shop-ci }]
  targets: { names: [orders-db] }
  session: { recordStatements: normalised, recordResults: 0 }
  rules:
    - { allow: [sql.select, sql.insert], on: "public.*" }
    - { hold: sql.update, on: "public.*", approvers: { groups: [dba] } }
`)
  stack = await Stack.start({ policyFile })
  const env = await stack.pgEnv()
  client = new pg.Client({ host: 'localhost', port: stack.line.gateway.postgresPort, user: env['PGUSER'], password: env['PGPASSWORD'], database: 'orders', ssl: { ca: readFileSync(env['PGSSLROOTCERT'] ?? '', 'utf8') } })
  await client.connect()
})

afterAll(async () => {
  await client?.end().catch(() => undefined)
  await stack?.stop()
  rmSync(folder, { recursive: true, force: true })
})

function filesBelow(directory: string): string[] {
  return readdirSync(directory).flatMap((name) => {
    const file = path.join(directory, name)
    return statSync(file).isDirectory() ? filesBelow(file) : [file]
  })
}

test('statements run, errors come to the client, a reviewer sees all of a held one until it is decided; records have shapes', async () => {
  expect((await client.query(`INSERT INTO orders (customer_id, status) VALUES (1, '${planted}-1') -- ${planted}-2`)).rowCount).toBe(1)
  expect(await direct(stack, 'SELECT 1 FROM orders WHERE status = $1', [`${planted}-1`])).toHaveLength(1)
  await expect(client.query(`SELECT '${planted}-3'::int FROM orders`)).rejects.toThrow(`${planted}-3`)
  await expect(client.query(`SELECT '${planted}-4' FROM orders WHERE`)).rejects.toThrow()
  await expect(client.query(`DELETE FROM orders WHERE status = '${planted}-5'`)).rejects.toThrow()
  const update = client.query(`UPDATE orders SET status = '${planted}-6' WHERE id = $1`, ['2'])
  const approval = await eventually(async () => (await stack.api('GET', '/v1/approvals?state=pending', undefined, stack.token('dana'))).body.items[0], 'it waits for approval')
  expect(approval).toMatchObject({ text: `UPDATE orders SET status = '${planted}-6' WHERE id = $1`, parameters: ['2'] })
  expect((await stack.api('POST', `/v1/approvals/${approval.id}/approve`, { reason: 'fine' }, stack.token('dana'))).status).toBe(200)
  expect((await update).rowCount).toBe(1)
  const decided = (await stack.api('GET', `/v1/approvals/${approval.id}`, undefined, stack.token('dana'))).body
  expect(decided).toMatchObject({ text: 'UPDATE orders SET status = ? WHERE id = $1', digest: approval.digest })
  expect(decided).not.toHaveProperty('parameters')

  const commands = await eventually(async () => {
    const found = await stack.events('kind=command')
    return found.length >= 5 && found
  }, 'the commands are on record')
  const texts = commands.map(({ event }) => event.text)
  expect(texts).toEqual(expect.arrayContaining(['INSERT INTO orders (customer_id, status) VALUES (?, ?)', 'SELECT ?::int FROM orders', 'DELETE FROM orders WHERE status = ?', 'UPDATE orders SET status = ? WHERE id = $1']))
  expect(commands.every(({ event }) => event.statement_excluded === 'normalised' && /^[0-9a-f]{64}$/.test(event.digest))).toBe(true)
  const held = commands.find(({ event }) => event.text.startsWith('UPDATE'))
  expect(held?.event.digest).toBe(approval.digest)
  // Shapes can be searched.
  expect((await stack.events('statement=delete%20orders')).length).toBeGreaterThan(0)
  expect((await stack.events('kind=approval.requested'))[0]?.event).toMatchObject({ text: 'UPDATE orders SET status = ? WHERE id = $1', statement_excluded: 'normalised' })
  await eventually(async () => (await stack.events('kind=command.end')).length >= 3, 'their ends, too')
  expect((await stack.api('GET', '/v1/audit/verify')).body).toMatchObject({ ok: true })
})

test('no table of the control plane, no spool, no log holds a value of one', async () => {
  const database = await controlPlaneDatabase(stack)
  try {
    const { rows: tables } = await database.query<{ name: string }>("SELECT quote_ident(relname) AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
    for (const { name } of tables) {
      const { rows } = await database.query<{ text: string }>(`SELECT t::text AS text FROM ${name} t`)
      expect(rows.filter(({ text }) => text.includes(planted)), name).toEqual([])
    }
  } finally {
    await database.end()
  }
  let bytes = 0
  for (const directory of [stack.line.logsDir, ...stack.line.agents.map((agent) => agent.dataDir)]) {
    for (const file of filesBelow(directory)) {
      const content = readFileSync(file)
      bytes += content.length
      expect(content.includes(planted), file).toBe(false)
    }
  }
  expect(bytes).toBeGreaterThan(1000)
})
