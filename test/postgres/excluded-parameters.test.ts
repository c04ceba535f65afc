import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { controlPlaneDatabase } from '../support/database.js'
import { direct, eventually } from '../support/direct.js'
import { Stack } from '../support/stack.js'

/** `recordParameters: false`: what is bound to statements reaches the target, and the reviewer for as long as it waits, and no record. */
const folder = mkdtempSync(path.join(tmpdir(), 'sallyport-parameters-'))
const planted = 'planted-parameter'
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
  session: { recordParameters: false, recordResults: 0 }
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

test('a statement runs with its parameters, an error that quotes one comes to the client, and none of them is on record', async () => {
  expect((await client.query('INSERT INTO orders (customer_id, status) VALUES ($1, $2) RETURNING id', [1, `${planted}-1`])).rowCount).toBe(1)
  expect(await direct(stack, 'SELECT 1 FROM orders WHERE status = $1', [`${planted}-1`])).toHaveLength(1)
  await expect(client.query('SELECT $1::int', [`${planted}-2`])).rejects.toThrow(`${planted}-2`)
  const update = client.query('UPDATE orders SET status = $1 WHERE id = $2', [`${planted}-3`, '2'])
  const approval = await eventually(async () => (await stack.api('GET', '/v1/approvals?state=pending', undefined, stack.token('dana'))).body.items[0], 'it waits for approval')
  expect(approval.parameters).toEqual([`${planted}-3`, '2'])
  expect((await stack.api('POST', `/v1/approvals/${approval.id}/approve`, { reason: 'fine' }, stack.token('dana'))).status).toBe(200)
  expect((await update).rowCount).toBe(1)
  expect((await stack.api('GET', `/v1/approvals/${approval.id}`, undefined, stack.token('dana'))).body).not.toHaveProperty('parameters')

  const commands = await eventually(async () => {
    const found = await stack.events('kind=command')
    return found.length >= 3 && found
  }, 'the commands are on record')
  expect(commands.map(({ event }) => event.parameters_excluded).sort((a: number, b: number) => a - b)).toEqual([1, 2, 2])
  const failed = (await eventually(async () => {
    const found = await stack.events('kind=command.end')
    return found.length >= 3 && found
  }, 'their ends, too')).find(({ event }) => event.status === 'error')
  expect(failed?.event).toMatchObject({ error_code: '22P02' })
  expect(failed?.event).not.toHaveProperty('error_message')
})

test('no table of the control plane, no spool, no log holds one', async () => {
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
