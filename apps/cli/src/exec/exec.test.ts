import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FakeApi } from '../testing/fake-api.js'

const main = join(import.meta.dirname, '../../dist/main.js')
const secret = 'sp_jit:with\\odd:characters'
const issued = {
  access_token: secret,
  credential_id: 'c-1',
  expires_in: 900,
  target: { name: 'orders-db', protocol: 'postgres' },
  username: 'c-1',
  connection: { host: 'localhost', port: 15432, database: 'orders-db', user: 'c-1', sslmode: 'verify-full', ca_pem: '-----BEGIN CERTIFICATE-----\n' },
}

let api: FakeApi
let directory: string
let tokenFile: string

beforeEach(async () => {
  api = await FakeApi.start({ 'POST /v1/token': [200, issued], 'POST /v1/credentials': [200, issued], 'DELETE /v1/credentials/c-1': [200, {}] })
  directory = mkdtempSync(join(tmpdir(), 'sallyport-test-'))
  tokenFile = join(directory, 'ci.jwt')
  writeFileSync(tokenFile, 'aaa.bbb.ccc')
})
afterEach(async () => {
  await api.stop()
  rmSync(directory, { recursive: true })
})

interface Run {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function start(args: readonly string[], env: Record<string, string> = {}) {
  return spawn(process.execPath, [main, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], HOME: directory, TMPDIR: directory, SALLYPORT_URL: api.url, PGPASSWORD: 'outer', PGHOSTADDR: '203.0.113.1', ...env },
  })
}

async function finish(child: ReturnType<typeof start>): Promise<Run> {
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, stdout, stderr }
}

const node = (script: string): string[] => ['exec', 'orders-db', '--token-file', tokenFile, '--', process.execPath, '-e', script]
const printSetup = `
  const fs = require('node:fs')
  const { PGPASSFILE, PGSSLROOTCERT } = process.env
  const mode = (path) => (fs.statSync(path).mode & 0o777).toString(8)
  console.log(JSON.stringify({ env: process.env, pass: fs.readFileSync(PGPASSFILE, 'utf8'), ca: fs.readFileSync(PGSSLROOTCERT, 'utf8'),
    modes: [mode(PGPASSFILE), mode(require('node:path').dirname(PGPASSFILE))], argv: process.argv }))
  process.exit(7)`

test('exchanges, sets the variables, exits with the code of its child, revokes and cleans up', async () => {
  const run = await finish(start(node(printSetup), { SALLYPORT_TOKEN: 'spt_x', SALLYPORT_ID_TOKEN: 'x.y.z' }))
  expect(run.stderr).toBe('')
  expect(run.code).toBe(7)
  const seen: { env: Record<string, string>; pass: string; ca: string; modes: string[]; argv: string[] } = JSON.parse(run.stdout)
  expect(seen.env).toMatchObject({
    PGHOST: 'localhost', PGPORT: '15432', PGUSER: 'c-1', PGDATABASE: 'orders-db', PGSSLMODE: 'verify-full', PGCHANNELBINDING: 'require',
  })
  for (const name of ['PGPASSWORD', 'PGHOSTADDR', 'SALLYPORT_TOKEN', 'SALLYPORT_ID_TOKEN']) expect(seen.env[name]).toBeUndefined()
  expect(JSON.stringify([seen.env, seen.argv])).not.toContain('sp_jit')
  expect(seen.pass).toBe('localhost:15432:*:c-1:sp_jit\\:with\\\\odd\\:characters\n')
  expect(seen.ca).toBe(issued.connection.ca_pem)
  expect(seen.modes).toEqual(['600', '700'])
  expect(existsSync(dirname(seen.env['PGPASSFILE'] ?? ''))).toBe(false)

  expect(api.requests.map(({ method, path }) => `${method} ${path}`)).toEqual(['POST /v1/token', 'DELETE /v1/credentials/c-1'])
  expect(api.requests[0]).toMatchObject({
    authorization: '',
    body: { public_key: expect.stringMatching(/^ssh-ed25519 AAAA/), subject_token: 'aaa.bbb.ccc', audience: 'orders-db', grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange' },
  })
  expect(api.requests[1]?.authorization).toBe(`Bearer ${secret}`)
})

test('a signal reaches the child; then the credential is revoked', async () => {
  const marker = join(directory, 'started')
  const child = start(node(`require('node:fs').writeFileSync(${JSON.stringify(marker)}, ''); console.log('up'); setInterval(() => {}, 1000)`))
  await new Promise<void>((resolve) => child.stdout.once('data', () => resolve()))
  child.kill('SIGTERM')
  const run = await finish(child)
  expect(run.code).toBe(128 + 15)
  expect(api.requests.at(-1)?.method).toBe('DELETE')
  expect(statSync(marker).isFile()).toBe(true)
})

test('a command that does not exist: 127, and revoked', async () => {
  const run = await finish(start(['exec', 'orders-db', '--token-file', tokenFile, '--', '/nonexistent/psql']))
  expect(run.code).toBe(127)
  expect(run.stderr).toContain('command not found')
  expect(api.requests.at(-1)?.method).toBe('DELETE')
})

test('options after -- belong to the child', async () => {
  const run = await finish(start(['exec', 'orders-db', '--token-file', tokenFile, '--', process.execPath, '-p', 'process.argv.length', '--', '--ttl', 'x']))
  expect(run.stdout.trim()).toBe('3')
})

test('a refused token: code 3 and the words of the control plane, made visible', async () => {
  await api.stop()
  api = await FakeApi.start({ 'POST /v1/token': [400, { error: 'invalid_grant', error_description: 'claim repository is evil\u001b[2J/shop, not acme/shop' }] })
  const run = await finish(start(node('0')))
  expect(run.code).toBe(3)
  expect(run.stderr).toBe('sallyport: claim repository is evil\\x1b[2J/shop, not acme/shop\n')
})

test('a person uses the API token; without either the search is explained', async () => {
  const signedIn = await finish(start(['exec', 'orders-db', '--', process.execPath, '-e', '0'], { SALLYPORT_TOKEN: 'spt_x' }))
  expect([signedIn.code, signedIn.stderr]).toEqual([0, ''])
  expect(api.requests[0]).toMatchObject({ path: '/v1/credentials', authorization: 'Bearer spt_x', body: { target: 'orders-db' } })
  const nobody = await finish(start(['exec', 'orders-db', '--', 'true']))
  expect(nobody.code).toBe(3)
  expect(nobody.stderr).toContain('no identity to ask with')
})

test('the working directory can not say where tokens go; plain http needs loopback', async () => {
  const run = await finish(start(node('0'), { SALLYPORT_URL: 'http://gateway.example' }))
  expect([run.code, run.stderr.includes('not encrypted')]).toEqual([2, true])
  const none = await finish(start(node('0'), { SALLYPORT_URL: '' }))
  expect(none.code).toBe(2)
  expect(readFileSync(tokenFile, 'utf8')).toBe('aaa.bbb.ccc')
})
