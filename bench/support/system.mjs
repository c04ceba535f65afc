// A whole Sallyport for a benchmark: started with a policy, loaded with pgbench, stopped again; and how figures are printed.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'

export const root = path.resolve(import.meta.dirname, '../..')

export const policyText = (audit) => `apiVersion: sallyport.dev/v1
kind: Policy
metadata: { name: bench }
spec:
  subjects: [{ workload: shop-ci }]
  targets: { names: [orders-db] }
  session: { audit: ${audit}, recordResults: 0 }
  rules: [{ allow: sql.select, on: "public.*" }]
`

/** Runs `main` with a temporary directory and a way to start the system; stops and removes everything, also after an error. */
export async function withSystem(main) {
  const directory = mkdtempSync(path.join(tmpdir(), 'sallyport-bench-'))
  let child
  const start = async (environment = []) => {
    const policyFile = path.join(directory, 'policy.yaml')
    writeFileSync(policyFile, policyText('spooled'))
    const extra = [...environment, ...(process.env.BENCH_ENV ?? '').split(';')].filter((pair) => pair !== '').flatMap((pair) => ['--env', pair])
    child = spawn(process.execPath, [path.join(root, 'apps/dev/dist/main.js'), 'stack', '--json', '--policy', policyFile, ...extra], { cwd: root, stdio: ['pipe', 'pipe', 'inherit'] })
    for await (const line of createInterface({ input: child.stdout })) return JSON.parse(line)
    throw new Error('the stack did not start')
  }
  try {
    await main(directory, start)
  } finally {
    if (child !== undefined) {
      child.kill('SIGTERM')
      await new Promise((resolve) => child.once('exit', resolve))
    }
    rmSync(directory, { recursive: true, force: true })
  }
}

export async function api(stack, method, route, body) {
  const headers = { authorization: `Bearer ${stack.api.adminToken}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
  const response = await fetch(stack.api.url + route, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) })
  if (!response.ok) throw new Error(await response.text())
  return response.json()
}

export const apply = (stack, text) => api(stack, 'POST', '/v1/apply', { documents: [{ path: 'bench.yaml', text }] })

export async function mint(stack) {
  const claims = { sub: 'bench', repository: 'acme/shop', repository_id: '481516', ref: 'refs/heads/main', exp: Math.floor(Date.now() / 1000) + 3500 }
  return (await (await fetch(stack.issuer.mintUrl, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(claims) })).json()).token
}

/** What libpq's clients need to reach the demo's database as the demo's job. */
export const clientEnvironment = async (stack) => ({
  PATH: process.env.PATH, PGHOST: 'localhost', PGPORT: String(stack.gateway.postgresPort), PGUSER: stack.targets[0].name, PGPASSWORD: await mint(stack), PGDATABASE: 'orders', PGSSLMODE: 'verify-full', PGSSLROOTCERT: stack.gateway.caFile,
})

/** A pgbench script of statements twenty in a pipeline: two events for each. */
export const pipelineScript = ['\\startpipeline', ...Array.from({ length: 20 }, (_, index) => `SELECT id, status FROM orders WHERE id = ${index};`), '\\endpipeline'].join('\n')

export function load(env, script, clients, duration) {
  return new Promise((resolve, reject) => {
    const bench = spawn('pgbench', ['-n', '-M', 'extended', '-c', String(clients), '-j', '1', '-T', String(duration), '-f', script], { env, stdio: ['ignore', 'ignore', 'pipe'] })
    let errors = ''
    bench.stderr.on('data', (chunk) => (errors += chunk))
    bench.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(errors))))
  })
}

export async function metric(stack, name) {
  const text = await (await fetch(`http://127.0.0.1:${stack.agents[0].opsPort}/metrics`)).text()
  return Number(new RegExp(`^sallyport_agent_${name} (\\S+)`, 'm').exec(text)?.[1] ?? 0)
}

/** Until the control plane has everything that the agent recorded. */
export async function drained(stack) {
  while ((await metric(stack, 'spool_records_behind')) > 0) await new Promise((resolve) => setTimeout(resolve, 100))
}

// ---- figures

export const rate = (count, time) => String(Math.round(count / Math.max(time, 0.001)))
export const quantile = (values, share) => values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * share)]
export const median = (values) => quantile(values, 0.5)
export const title = (text) => process.stdout.write(`\n${text}\n`)
export const row = (name, cells) => process.stdout.write(`  ${name.padEnd(18)} ${cells.join('   ')}\n`)
