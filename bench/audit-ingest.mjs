// npm run bench -- audit ingest: events through agent, gateway and control plane into the database, beside what the database takes by
// itself; what a record costs in the spool; what each audit mode costs a command.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { generateKeyPairSync, sign } from 'node:crypto'
import path from 'node:path'
import pg from 'pg'
import { apply, clientEnvironment, drained, load, median, metric, pipelineScript, policyText, quantile, rate, root, row, title, withSystem } from './support/system.mjs'

const seconds = Number(process.env.BENCH_SECONDS ?? 6)
const commands = Number(process.env.BENCH_COMMANDS ?? 400)
const modes = ['spooled', 'strict', 'best_effort']

async function main(directory, start) {
  const parts = (process.env.BENCH_PARTS ?? 'append ingest latency').split(' ')
  if (parts.includes('append')) await appendCost(directory)
  if (parts.length === 1 && parts[0] === 'append') return
  const stack = await start()
  const database = await controlDatabase(stack)
  const env = await clientEnvironment(stack)
  if (parts.includes('ingest')) {
    await ingest(stack, database, env, directory)
    await bareInserts(database)
  }
  if (parts.includes('latency')) await latency(stack, env)
  await database.end()
}

/** Statements twenty in a pipeline, as pgbench sends them: two events for each. */
async function ingest(stack, database, env, directory) {
  title(`events through agent, gateway and control plane: ${seconds} s of pipelined statements, then until everything is stored`)
  const script = path.join(directory, 'pipeline.sql')
  writeFileSync(script, pipelineScript)
  await load(env, script, 4, Math.max(seconds, 8))
  await drained(stack)
  for (const clients of [1, 4, 16]) {
    const before = await stored(database)
    const begun = performance.now()
    await load(env, script, clients, seconds)
    const during = (await stored(database)) - before
    const loaded = (performance.now() - begun) / 1000
    const waiting = await metric(stack, 'spool_records_behind')
    const bytes = await metric(stack, 'spool_bytes')
    await drained(stack)
    const all = (await stored(database)) - before
    const took = (performance.now() - begun) / 1000
    const draining = waiting === 0 ? 'nothing waited' : `then ${rate(all - during, took - loaded)}/s`
    row(`${clients} sessions`, [`${rate(all / 2, loaded)} commands/s`, `stored ${rate(during, loaded)}/s meanwhile`, `${waiting} waited (${(bytes / 1e6).toFixed(0)} MB)`, draining, `sustained ${rate(all, took)} events/s`])
    sustained.set(clients, all / took)
  }
  const { rows } = await database.query("SELECT count(*)::int AS events, (SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('event'))::int AS bytes, avg(octet_length(body))::int AS body, avg(octet_length(body) - position(',\"event\":' IN body) - 9)::int AS record FROM event WHERE kind IN ('command', 'command.end')")
  row('bytes per event', [`spool ${rows[0].record + 8}`, `database ${Math.round(rows[0].bytes / rows[0].events)} with its indexes, of which the body is ${rows[0].body}`])
}

const sustained = new Map()

/** The same rows, into a table like the event table, by the same number at a time: nothing but the database. */
async function bareInserts(database) {
  title("the database's own rate: the same rows into a like table, one transaction for each 500")
  await database.query('CREATE TABLE bench_event (LIKE event INCLUDING ALL)')
  const { rows } = await database.query('SELECT min("position")::bigint AS first, max("position")::bigint AS last FROM event')
  const first = BigInt(rows[0].first)
  const last = BigInt(rows[0].last)
  const begun = performance.now()
  let inserted = 0
  for (let at = first; at <= last && inserted < 40_000; at += 500n) {
    inserted += (await database.query('INSERT INTO bench_event SELECT * FROM event WHERE "position" >= $1 AND "position" < $2', [String(at), String(at + 500n)])).rowCount
  }
  const own = inserted / ((performance.now() - begun) / 1000)
  await database.query('DROP TABLE bench_event')
  row('insert', [`${Math.round(own)} events/s`, ...[...sustained].map(([clients, one]) => `${clients} sessions: ${(one / own).toFixed(2)} of it`)])
}

/** The agent's spool alone, one record after the other. */
async function appendCost(directory) {
  title('one record in the spool: microseconds (median of 5 rounds of 20,000; a write(2) for each)')
  const { Spool } = await import(path.join(root, 'packages/kit/dist/index.js'))
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const signer = { key: 'k'.repeat(43), sign: (text) => sign('sha256', text, { key: privateKey, dsaEncoding: 'ieee-p1363' }) }
  const body = { command: 1, text: 'SELECT id, status FROM orders WHERE id = 7', effects: [{ action: 'sql.select', resource: 'public.orders', details: { columns: ['id', 'status'] } }], decision: { verdict: 'allow', rule: 'bench#0', reason: 'allowed by rule 0 of bench', hint: '' } }
  const kinds = {
    'without chain': { kind: 'command', ...body, decision: { ...body.decision, verdict: 'deny' }, subject: '0197a1b2-0000-7000-8000-000000000001' },
    'with chain and signatures': { kind: 'command', session: '0197a1b2-0000-7000-8000-000000000001', ...body, decision: { ...body.decision, verdict: 'deny' } },
  }
  const found = new Map(Object.keys(kinds).map((name) => [name, []]))
  for (let round = 0; round < 5; round += 1) {
    for (const [name, event] of Object.entries(kinds)) {
      const spool = new Spool({ directory: path.join(directory, `spool-${round}-${name.length}`), signer })
      for (let index = 0; index < 2000; index += 1) spool.append(event)
      const begun = performance.now()
      for (let index = 0; index < 20_000; index += 1) spool.append(event)
      found.get(name).push(((performance.now() - begun) / 20_000) * 1000)
      await spool.close()
    }
  }
  const [plain, chained] = [...found.values()].map(median)
  row('append', [...[...found].map(([name, values]) => `${name} ${median(values).toFixed(1)}`), `ratio ${(chained / plain).toFixed(2)}`])
}

async function latency(stack, env) {
  title(`one statement after the other on one connection, ${commands} of them: p50 in ms, as a ratio to spooled`)
  const found = new Map()
  const client = new pg.Client({ host: 'localhost', port: Number(env.PGPORT), user: env.PGUSER, password: env.PGPASSWORD, database: 'orders', ssl: { ca: readFileSync(env.PGSSLROOTCERT, 'utf8') } })
  await client.connect()
  for (let round = 0; round < 3; round += 1) {
    for (const mode of modes) {
      await apply(stack, policyText(mode))
      await drained(stack)
      const times = []
      for (let index = 0; index < commands / 2; index += 1) {
        const begun = performance.now()
        await client.query('SELECT id, status FROM orders WHERE id = 1')
        times.push(performance.now() - begun)
      }
      found.set(mode, [...(found.get(mode) ?? []), ...times])
    }
  }
  await client.end()
  const base = median(found.get('spooled'))
  for (const [mode, times] of found) row(mode, [`p50 ${median(times).toFixed(2)}`, `p99 ${quantile(times, 0.99).toFixed(2)}`, `ratio ${(median(times) / base).toFixed(2)}`])
}

async function controlDatabase(stack) {
  const folder = path.join(stack.dataDir, 'api')
  const port = Number(readFileSync(path.join(folder, 'postgres/postmaster.pid'), 'utf8').split('\n')[3])
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'sallyport', database: 'postgres', password: readFileSync(path.join(folder, 'postgres-password'), 'utf8').trim() })
  await client.connect()
  return client
}

const stored = async (database) => Number((await database.query('SELECT "position" FROM audit_head')).rows[0].position)

execFileSync('pgbench', ['--version'])
await withSystem(main)
