// npm run bench: Sallyport beside direct, a bare two-hop relay and pgbouncer (if installed), in one run.
// What counts are the ratios: the machine's own speed cancels out. Rounds are interleaved, the median is shown.
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import net from 'node:net'
import pg from 'pg'

const root = path.resolve(import.meta.dirname, '..')
const seconds = Number(process.env.BENCH_SECONDS ?? 4)
const rounds = Number(process.env.BENCH_ROUNDS ?? 3)
const warmSeconds = Number(process.env.BENCH_WARM_SECONDS ?? 12)
const directory = mkdtempSync(path.join(tmpdir(), 'sallyport-bench-'))
const children = []

async function main() {
  const stack = await startStack()
  const direct = new URL(stack.targets[0].superuserUrl)
  await prepare(direct)
  const token = await mint(stack)
  const relay = await startRelay(direct)
  const bouncer = await startBouncer(direct)
  const plain = (host, port) => ({ PGHOST: host, PGPORT: String(port), PGUSER: decodeURIComponent(direct.username), PGPASSWORD: decodeURIComponent(direct.password), PGDATABASE: direct.pathname.slice(1), PGSSLMODE: 'disable' })
  const paths = [
    { name: 'direct', env: plain(direct.hostname, direct.port) },
    { name: 'relay', env: plain('127.0.0.1', relay) },
    ...(bouncer ? [{ name: 'pgbouncer', env: plain('127.0.0.1', bouncer) }] : []),
    { name: 'sallyport', env: gatewayEnv(stack, token) },
  ]
  const parts = { transactions: () => transactions(paths, stack), bulk: () => bulk(paths), latency: () => latency(paths), memory: () => idleMemory(stack, token), growth: () => growth(stack, token) }
  const wanted = process.argv.slice(2).filter((name) => name in parts)
  for (const [name, part] of Object.entries(parts)) if (wanted.length === 0 || wanted.includes(name)) await part()
}

/**
 * Node runs new code slowly until its compilers have seen it for some seconds, while a gateway and an agent run for
 * weeks: both relay and Sallyport are warmed up before anything is measured.
 */
async function warmUp(paths) {
  title('warming up')
  for (const mode of ['simple', 'prepared']) for (const { name, env } of paths) if (name === 'relay' || name === 'sallyport') pgbench(env, mode, 8, warmSeconds)
}

async function transactions(paths, stack) {
  await warmUp(paths)
  title('pgbench -S: transactions per second (median), and as a ratio to the bare relay')
  for (const mode of ['simple', 'prepared']) {
    for (const clients of [1, 8]) {
      const tps = await interleaved(paths, (one) => pgbench(one.env, mode, clients))
      const floor = tps.get('relay')
      row(`c${clients} ${mode}`, paths.map(({ name }) => `${name} ${Math.round(tps.get(name))} (${(tps.get(name) / floor).toFixed(2)})`))
    }
  }
  const backlog = await metric(stack.agents[0].opsPort, 'sallyport_agent_spool_records_behind')
  const begun = Date.now()
  while ((await metric(stack.agents[0].opsPort, 'sallyport_agent_spool_records_behind')) > 0 && Date.now() - begun < 300_000) await new Promise((resolve) => setTimeout(resolve, 200))
  row('audit', [`${backlog} events waited at the agent when the runs ended, all stored ${((Date.now() - begun) / 1000).toFixed(1)} s later`])
}

async function bulk(paths) {
  title('a 100 MB result, masks and detectors present, nothing to mask: MB/s (median), ratio to the relay')
  const speeds = await interleaved(paths, async (one) => {
    const begun = performance.now()
    run('psql', ['-X', '-q', '-A', '-t', '-o', '/dev/null', '-c', "COPY (SELECT g, repeat('lorem ipsum dolor sit amet ', 37) FROM generate_series(1, 100000) g) TO STDOUT"], one.env)
    return 100 / ((performance.now() - begun) / 1000)
  })
  row('COPY', paths.map(({ name }) => `${name} ${Math.round(speeds.get(name))} (${(speeds.get(name) / speeds.get('relay')).toFixed(2)})`))
  const rows = await interleaved(paths, async (one) => {
    const begun = performance.now()
    run('psql', ['-X', '-q', '-A', '-t', '-o', '/dev/null', '-v', 'FETCH_COUNT=10000', '-c', "SELECT g, repeat('lorem ipsum dolor sit amet ', 37) FROM generate_series(1, 100000) g"], one.env)
    return 100 / ((performance.now() - begun) / 1000)
  })
  row('SELECT', paths.map(({ name }) => `${name} ${Math.round(rows.get(name))} (${(rows.get(name) / rows.get('relay')).toFixed(2)})`))
}

async function latency(paths) {
  title('one prepared SELECT, 3000 times on one connection: p50 and p99 in ms, and what is added to the relay')
  const found = new Map()
  for (const one of paths) found.set(one.name, [])
  for (let round = 0; round < rounds; round += 1) {
    for (const one of paths) {
      const client = new pg.Client({ host: one.env.PGHOST, port: Number(one.env.PGPORT), user: one.env.PGUSER, password: one.env.PGPASSWORD, database: one.env.PGDATABASE, ssl: one.env.PGSSLROOTCERT ? { ca: readFileSync(one.env.PGSSLROOTCERT, 'utf8') } : false })
      await client.connect()
      const query = { name: 'q', text: 'SELECT abalance FROM pgbench_accounts WHERE aid = $1' }
      for (let index = 0; index < 3200; index += 1) {
        const begun = performance.now()
        await client.query({ ...query, values: [1 + (index % 10000)] })
        if (index >= 200) found.get(one.name).push(performance.now() - begun)
      }
      await client.end()
    }
  }
  const at = (name, share) => found.get(name).toSorted((a, b) => a - b)[Math.floor(found.get(name).length * share)]
  row('latency', paths.map(({ name }) => `${name} ${at(name, 0.5).toFixed(3)} / ${at(name, 0.99).toFixed(3)} (+${(at(name, 0.5) - at('relay', 0.5)).toFixed(3)} / +${(at(name, 0.99) - at('relay', 0.99)).toFixed(3)})`))
}

async function idleMemory(stack, token) {
  title('memory of an idle session, gateway and agent together')
  const pids = [...stack.pids.gateway, ...stack.pids.agent]
  const env = gatewayEnv(stack, token)
  const open = async () => {
    const client = new pg.Client({ host: env.PGHOST, port: Number(env.PGPORT), user: env.PGUSER, password: token, database: env.PGDATABASE, ssl: { ca: readFileSync(env.PGSSLROOTCERT, 'utf8') } })
    client.on('error', () => undefined)
    await client.connect()
    await client.query('SELECT 1')
    return client
  }
  const warm = await Promise.all(Array.from({ length: 20 }, open))
  const before = await settledRss(pids)
  const count = 60
  const more = []
  for (let index = 0; index < count; index += 10) more.push(...(await Promise.all(Array.from({ length: 10 }, open))))
  const after = await settledRss(pids)
  row('idle', [`${((after - before) / count).toFixed(1)} KB a session (${count} sessions beyond ${warm.length})`])
  await Promise.all([...warm, ...more].map((client) => client.end()))
}

async function growth(stack, token) {
  title('growth over 100,000 statements on 4 connections')
  const pids = [...stack.pids.gateway, ...stack.pids.agent]
  const env = gatewayEnv(stack, token)
  const burst = (transactionsEach) => pgbenchCount(env, 'prepared', 4, transactionsEach)
  burst(10_000)
  const before = await settledRss(pids)
  burst(25_000)
  const after = await settledRss(pids)
  row('growth', [`${before} KB before, ${after} KB after: ${after - before} KB`])
}

/** Runs each path in turn, `rounds` times; the median of each. */
async function interleaved(paths, measure) {
  const values = new Map(paths.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round += 1) for (const one of paths) values.get(one.name).push(await measure(one))
  return new Map([...values].map(([name, list]) => [name, list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)]]))
}

function pgbench(env, mode, clients, duration = seconds) {
  const out = run('pgbench', ['-n', '-S', '-M', mode, '-c', String(clients), '-j', '1', '-T', String(duration), '-s', '1'], env)
  return Number(/tps = ([\d.]+)/.exec(out)?.[1])
}

function pgbenchCount(env, mode, clients, count) {
  run('pgbench', ['-n', '-S', '-M', mode, '-c', String(clients), '-t', String(count), '-s', '1'], env)
}

function run(command, args, env) {
  return execFileSync(command, args, { env: { PATH: process.env.PATH, HOME: directory, ...env }, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1e9 })
}

async function settledRss(pids) {
  await new Promise((resolve) => setTimeout(resolve, 3000))
  return pids.reduce((sum, pid) => sum + Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0), 0)
}

async function metric(port, name) {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  return Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1] ?? 0)
}

function gatewayEnv(stack, token) {
  return { PGHOST: 'localhost', PGPORT: String(stack.gateway.postgresPort), PGUSER: stack.targets[0].name, PGPASSWORD: token, PGDATABASE: 'orders', PGSSLMODE: 'verify-full', PGSSLROOTCERT: stack.gateway.caFile }
}

async function mint(stack) {
  const claims = { sub: 'bench', repository: 'acme/shop', repository_id: '481516', ref: 'refs/heads/main', exp: Math.floor(Date.now() / 1000) + 3500 }
  return (await (await fetch(stack.issuer.mintUrl, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(claims) })).json()).token
}

async function prepare(url) {
  const env = { PGHOST: url.hostname, PGPORT: url.port, PGUSER: decodeURIComponent(url.username), PGPASSWORD: decodeURIComponent(url.password), PGDATABASE: url.pathname.slice(1) }
  run('pgbench', ['-i', '-q', '-s', '1'], env)
  run('psql', ['-X', '-q', '-c', 'GRANT ALL ON ALL TABLES IN SCHEMA public TO sallyport_agent'], env)
}

async function startStack() {
  const child = spawn(process.execPath, [path.join(root, 'apps/dev/dist/main.js'), 'stack', '--json'], { cwd: root, stdio: ['pipe', 'pipe', 'inherit'] })
  children.push(child)
  for await (const line of createInterface({ input: child.stdout })) return JSON.parse(line)
  throw new Error('the stack did not start')
}

async function startRelay(url) {
  const second = await hop(url.hostname, url.port)
  return hop('127.0.0.1', second)
}

async function hop(host, port) {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, 'relay.mjs'), '0', host, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  for await (const line of createInterface({ input: child.stdout })) return Number(line)
  throw new Error('the relay did not start')
}

async function startBouncer(url) {
  if (!existsSync('/usr/sbin/pgbouncer')) {
    process.stdout.write('pgbouncer is not installed: left out\n')
    return undefined
  }
  const port = await freePort()
  const users = path.join(directory, 'users.txt')
  writeFileSync(users, `"${decodeURIComponent(url.username)}" "${decodeURIComponent(url.password)}"\n`, { mode: 0o644 })
  const config = path.join(directory, 'pgbouncer.ini')
  writeFileSync(config, `[databases]\n* = host=${url.hostname} port=${url.port}\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port=${port}\nauth_type=scram-sha-256\nauth_file=${users}\npool_mode=session\nunix_socket_dir=\nmax_client_conn=200\ndefault_pool_size=50\nignore_startup_parameters=extra_float_digits\n`, { mode: 0o644 })
  execFileSync('chmod', ['755', directory])
  const child = spawn('/usr/sbin/pgbouncer', process.getuid?.() === 0 ? ['-u', 'nobody', config] : [config], { stdio: 'ignore' })
  children.push(child)
  await new Promise((resolve) => setTimeout(resolve, 1000))
  return port
}

function freePort() {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

function title(text) {
  process.stdout.write(`\n${text}\n`)
}

function row(name, cells) {
  process.stdout.write(`  ${name.padEnd(13)} ${cells.join('   ')}\n`)
}

try {
  await main()
} finally {
  for (const child of children) child.kill('SIGTERM')
  rmSync(directory, { recursive: true, force: true })
}
