import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { controlPlaneDatabase } from '../support/database.js'
import { eventually } from '../support/direct.js'
import { Stack } from '../support/stack.js'

/** A reviewer and the person behind a CI run, in the whole system, until they are erased. */
const folder = mkdtempSync(path.join(tmpdir(), 'sallyport-privacy-'))
const names = ['zelda-reviewer', 'zelda@example.com', 'octoyork-actor']
let stack: Stack
let client: pg.Client

beforeAll(async () => {
  const policyFile = path.join(folder, 'policy.yaml')
  writeFileSync(policyFile, `apiVersion: sallyport.dev/v1
kind: Policy
metadata: { name: reviewed }
spec:
  subjects: [{ workload: shop-ci }]
  targets: { names: [orders-db] }
  rules:
    - { allow: sql.select, on: "public.*" }
    - { hold: sql.update, on: "public.*", approvers: { groups: [dba] } }
`)
  stack = await Stack.start({ policyFile })
  const env = await stack.pgEnv({ token: await stack.mint({ actor: 'octoyork-actor', ref: 'refs/heads/octoyork-actor/fix' }) })
  client = new pg.Client({ host: 'localhost', port: stack.line.gateway.postgresPort, user: env['PGUSER'], password: env['PGPASSWORD'], database: 'orders', ssl: { ca: readFileSync(env['PGSSLROOTCERT'] ?? '', 'utf8') } })
  client.on('error', () => undefined)
  await client.connect()
})

afterAll(async () => {
  await client?.end().catch(() => undefined)
  await stack?.stop()
  rmSync(folder, { recursive: true, force: true })
})

const reviewer = `apiVersion: sallyport.dev/v1
kind: User
metadata: { name: zelda-reviewer }
spec: { groups: [dba], email: zelda@example.com }
`

async function apply(documents: readonly { readonly path: string; readonly text: string }[], prune = false): Promise<void> {
  const { status, body } = await stack.api('POST', '/v1/apply', { documents, prune })
  expect({ status, body: JSON.stringify(body).slice(0, 500) }).toMatchObject({ status: 200 })
}

/** Rows of all tables, as `table: row`, that hold a name. */
async function rowsWith(only = /./): Promise<string[]> {
  const database = await controlPlaneDatabase(stack)
  try {
    const { rows: tables } = await database.query<{ name: string }>("SELECT quote_ident(relname) AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
    const found: string[] = []
    for (const { name } of tables.filter((table) => only.test(table.name))) {
      const { rows } = await database.query<{ text: string }>(`SELECT t::text AS text FROM ${name} t`)
      found.push(...rows.flatMap(({ text }) => (names.some((one) => text.includes(one)) ? [`${name}: ${text.slice(0, 300)}`] : [])))
    }
    return found
  } finally {
    await database.end()
  }
}

async function inDatabase(...statements: readonly string[]): Promise<void> {
  const database = await controlPlaneDatabase(stack)
  try {
    for (const statement of statements) await database.query(statement)
  } finally {
    await database.end()
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

/** Files of the control plane, its database, gateways and agents that hold a name; the write-ahead log holds what was until it is used again. */
function filesWith(): { found: string[]; bytes: number } {
  const found: string[] = []
  let bytes = 0
  for (const name of readdirSync(stack.line.dataDir).filter((entry) => /^(api|agent|gateway|logs)/.test(entry))) {
    for (const file of filesBelow(path.join(stack.line.dataDir, name)).filter((one) => !one.includes('/pg_wal/'))) {
      const content = existsSync(file) ? readFileSync(file) : Buffer.alloc(0)
      bytes += content.length
      for (const one of names) if (content.includes(one)) found.push(`${file}: ${one}`)
    }
  }
  return { found, bytes }
}

test('the names of who asked, approved and was cut are on no record of an agent, in nothing that is hashed, in no log', async () => {
  await apply([{ path: 'zelda.yaml', text: reviewer }])
  const { token } = (await stack.api('POST', '/v1/tokens', { user: 'zelda-reviewer', name: 'test' })).body
  const update = client.query("UPDATE orders SET status = 'held' WHERE id = 1")
  const approval = await eventually(async () => (await stack.api('GET', '/v1/approvals?state=pending', undefined, token)).body.items[0], 'it waits for approval')
  expect(approval).toMatchObject({ ci: { actor: 'octoyork-actor' } })
  expect((await stack.api('POST', `/v1/approvals/${approval.id}/approve`, { reason: 'zelda-reviewer lets octoyork-actor do this' }, token)).status).toBe(200)
  expect((await update).rowCount).toBe(1)
  expect((await stack.api('POST', `/v1/sessions/${approval.session_id}/kill`, { reason: 'octoyork-actor is done' })).status).toBe(204)
  const [end] = await eventually(async () => {
    const found = await stack.events(`kind=session.end&session=${approval.session_id}`)
    return found.length > 0 && found
  }, 'the end is on record')
  expect(end?.event).toMatchObject({ reason: 'killed', detail: 'octoyork-actor is done' })
  const [released] = await stack.events(`kind=command.released&session=${approval.session_id}`)
  expect(released?.event).toMatchObject({ reviewers: ['zelda-reviewer'], reason: 'zelda-reviewer lets octoyork-actor do this' })
  expect(await rowsWith(/^event/)).toEqual([])
  expect((await rowsWith(/^(session|vote|document)/)).length).toBeGreaterThan(2)
  for (const { dataDir } of stack.line.agents) for (const file of filesBelow(dataDir)) for (const one of names) expect(readFileSync(file).includes(one), `${file}: ${one}`).toBe(false)
  for (const file of filesBelow(stack.line.logsDir)) for (const one of names) expect(readFileSync(file).includes(one), `${file}: ${one}`).toBe(false)
})

test('erased: no row and, once the database has rewritten its files, no file holds a name; the log proves itself', async () => {
  // The scan sees names where they are.
  await inDatabase('CHECKPOINT')
  expect(filesWith().found).not.toEqual([])
  const kept = (await stack.api('GET', '/v1/documents')).body.items.filter((item: any) => item.name !== 'zelda-reviewer')
  expect(kept.length).toBeGreaterThan(3)
  await apply(kept.map((item: any, index: number) => ({ path: `${index}.yaml`, text: item.text })), true)
  const erased = await stack.api('POST', '/v1/privacy/erase', { identifiers: ['zelda-reviewer', 'octoyork-actor'], reason: 'asked to' })
  expect(erased, JSON.stringify(erased.body)).toMatchObject({ status: 200, body: { still_named_in: [] } })
  expect(await rowsWith()).toEqual([])
  expect((await stack.api('GET', '/v1/audit/verify')).body).toMatchObject({ ok: true })
  for (const name of names) expect(await stack.events(`who=${encodeURIComponent(name)}`)).toEqual([])

  // Also what the planner keeps of columns' most common values.
  await inDatabase('VACUUM (FULL, ANALYZE)', 'VACUUM FULL pg_statistic', 'CHECKPOINT')
  const { found, bytes } = filesWith()
  expect(found).toEqual([])
  expect(bytes).toBeGreaterThan(5_000_000)
})
