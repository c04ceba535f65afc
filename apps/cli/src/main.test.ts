import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FakeApi } from './testing/fake-api.js'

const main = join(import.meta.dirname, '../dist/main.js')
const approval = {
  id: 'a-1', state: 'pending', created_at: '2026-01-05T14:03:22Z', expires_at: '2026-01-05T14:33:22Z', target: 'orders-db',
  identity: { kind: 'workload', name: 'shop-ci' }, text: 'delete from orders\u001b[2J where id = 7', effects: [{ action: 'sql.delete', resource: 'public.orders' }],
}

let api: FakeApi
let directory: string
beforeEach(async () => {
  api = await FakeApi.start({
    'GET /v1/approvals': [200, { items: [approval] }],
    'GET /v1/approvals/a-1': [200, approval],
    'POST /v1/approvals/a-1/approve': [403, { status: 403, code: 'SELF_APPROVAL', detail: 'You are the actor of this run.', hint: 'Ask another dba.' }],
    'POST /v1/approvals/a-1/reject': [409, { status: 409, code: 'APPROVAL_DECIDED', detail: 'It was approved already.' }],
    'GET /v1/sessions/s-1': [200, { id: 's-1' }],
    'GET /v1/sessions/s-1/events': [200, { items: [{ event: { kind: 'recording', command: 1, chunks: [{ t_us: 0, s: 'r', d: '80x24' }, { t_us: 1, s: 'o', d: 'a\u001b[31mb\r\n' }] } }, { event: { kind: 'session.end', reason: 'x' } }] }],
    'GET /v1/sessions/s-1/recording': [200, [0, 'o', '\u009bc\u2028']],
    'GET /v1/audit/verify': [200, { ok: false, checked: 9, first_bad: { position: 4, problem: 'hash differs' } }],
    'POST /v1/apply': [422, { status: 422, detail: '1 error', errors: [{ path: 'p.yaml', line: 3, column: 5, message: 'unknown key "rule"', suggestion: 'rules' }] }],
  })
  directory = mkdtempSync(join(tmpdir(), 'sallyport-test-'))
})
afterEach(async () => {
  await api.stop().catch(() => undefined)
  rmSync(directory, { recursive: true })
})

function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { PATH: process.env['PATH'], HOME: directory, SALLYPORT_URL: api.url, SALLYPORT_TOKEN: 'spt_x' }
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...args], { env, cwd: directory }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })
}

test('a table for people, JSON for programs, the option before or after the command', async () => {
  const people = await run('approvals', 'list')
  expect(people.stdout).toBe(
    'ID   STATE    ASKED                EXPIRES              WHO      TARGET     COMMAND\n' +
      'a-1  pending  2026-01-05 14:03:22  2026-01-05 14:33:22  shop-ci  orders-db  delete from orders\\x1b[2J where id = 7\n',
  )
  expect(api.requests[0]).toMatchObject({ path: '/v1/approvals?state=pending&limit=100', authorization: 'Bearer spt_x' })
  for (const args of [['-o', 'json', 'approvals', 'list'], ['approvals', 'list', '-o', 'json']]) {
    expect(JSON.parse((await run(...args)).stdout)).toEqual([approval])
  }
  expect((await run('approvals', 'list', '-o', 'yaml')).stdout).toContain('state: pending')
  expect((await run('approvals', 'list', '-o', 'xml')).code).toBe(2)
})

test('a refusal: code 3, what and what next', async () => {
  expect(await run('approvals', 'approve', 'a-1')).toEqual({ code: 3, stdout: '', stderr: 'sallyport: You are the actor of this run.\n  next: Ask another dba.\n' })
})

test('what was decided meanwhile: code 5; a control plane that is away: 6; both as JSON where that was asked for', async () => {
  expect((await run('approvals', 'reject', 'a-1', '--reason', 'x')).code).toBe(5)
  await api.stop()
  const away = await run('approvals', 'list', '-o', 'json')
  expect([away.code, away.stdout]).toEqual([6, ''])
  expect(JSON.parse(away.stderr)).toMatchObject({ error: { exit: 6, next: expect.stringContaining('sallyport doctor') } })
})

test('a broken chain is an exit code too', async () => {
  expect(await run('audit', 'verify')).toMatchObject({ code: 1, stdout: 'The chain is BROKEN at position 4: hash differs\n' })
})

test('apply tells file, line and what was meant', async () => {
  writeFileSync(join(directory, 'p.yaml'), 'kind: Policy\n')
  const { code, stderr } = await run('apply', '-f', 'p.yaml', '--dry-run')
  expect([code, stderr.split('\n')[0]]).toEqual([1, 'p.yaml:3:5: unknown key "rule" (did you mean "rules"?)'])
  expect(api.requests[0]?.body).toEqual({ documents: [{ path: 'p.yaml', text: 'kind: Policy\n' }], dry_run: true, prune: false })
})

test('wrong usage is code 2', async () => {
  for (const args of [['exec'], ['approvals', 'reject', 'a-1'], ['nonsense'], ['audit', 'search', '--since', 'yesterday']]) expect((await run(...args)).code).toBe(2)
  expect((await run('--help')).code).toBe(0)
  expect((await run('version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
})

test('sessions export: into a file for its owner alone, or printed so that it acts on no terminal', async () => {
  const file = join(directory, 'x.cast')
  expect(await run('sessions', 'export', 's-1', '--output', file, '--command', '2', '--raw')).toEqual({ code: 0, stdout: '', stderr: `Wrote ${file}\n` })
  expect(api.requests[0]?.path).toBe('/v1/sessions/s-1/recording?command=2&raw=true')
  expect(readFileSync(file, 'utf8')).toBe('[0,"o","\u009bc\u2028"]')
  expect(statSync(file).mode & 0o077).toBe(0)
  expect((await run('sessions', 'export', 's-1')).stdout).toBe('[0,"o","\\u009bc\\u2028"]')
  expect((await run('sessions', 'export', 'nope')).code).toBe(4)
})

test('S9 sessions replay writes a terminal out where it is no terminal that it prints to', async () => {
  const replayed = await run('sessions', 'replay', 's-1')
  expect(replayed.stdout).toContain('    #1 in its terminal:\n    | a\\x1b[31mb\n')
  expect(api.requests.map(({ path }) => path)).toContain('/v1/sessions/s-1/events?recordings=true&limit=200')
  expect((await run('sessions', 'replay', 's-1', '--command', '2')).stdout).not.toContain('in its terminal')
  expect((await run('sessions', 'replay', 's-1', '--speed', '0')).code).toBe(2)
})
