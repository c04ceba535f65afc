import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Client, psql, type Ran } from '../support/client.js'
import { Stack } from '../support/stack.js'

/** Documents as code, with the command line. */
let stack: Stack
let folder: string

beforeAll(async () => {
  stack = await Stack.start()
  folder = mkdtempSync(path.join(tmpdir(), 'sallyport-as-code-'))
})
afterAll(async () => {
  await stack?.stop()
  if (folder) rmSync(folder, { recursive: true, force: true })
})

async function cli(...args: readonly string[]): Promise<Ran> {
  const [program = '', ...more] = stack.line.cli.argv
  const client = new Client(program, [...more, ...args], { PATH: process.env['PATH'] ?? '', HOME: folder, ...stack.line.cli.env }, '')
  return { code: await client.exited, stdout: client.stdout, stderr: client.stderr }
}

test('what is exported is valid and changes nothing; a change is seen, applied, told, and taken back', async () => {
  const directory = path.join(folder, 'documents')
  expect(await cli('export', '-d', directory)).toMatchObject({ code: 0, stderr: expect.stringMatching(/^Wrote \d+ documents/) })
  expect(readdirSync(directory).sort()).toEqual(['Group', 'GroupMapping', 'IdentityProvider', 'Policy', 'Target', 'User', 'Workload'])
  expect((await cli('export', '--kind', 'Group')).stdout).toContain('name: dba')
  expect((await cli('validate', '-f', directory)).stdout).toMatch(/0 errors; (\d+) of \1 tests passed/)
  expect(await cli('diff', '-f', directory, '--prune')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^0 to change/) })

  const policy = path.join(directory, 'Policy', 'shop-ci-on-orders.yaml')
  const before = readFileSync(policy, 'utf8')
  writeFileSync(policy, before.replace('  rules:\n', '  rules:\n    - { deny: sql.select, on: public.api_keys }\n'))
  const differs = await cli('diff', '-f', directory)
  expect([differs.code, differs.stdout]).toEqual([1, expect.stringContaining('+    - { deny: sql.select, on: public.api_keys }')])
  expect((await psql(await stack.pgEnv(), 'SELECT count(*) FROM api_keys')).code).toBe(0)
  expect((await cli('apply', '-f', directory, '--reason', 'keys')).stdout).toContain('Applied.')
  expect((await psql(await stack.pgEnv(), 'SELECT count(*) FROM api_keys')).stderr).toContain('denied by rule shop-ci-on-orders#0')

  const history = JSON.parse((await cli('history', 'Policy/shop-ci-on-orders', '-o', 'json')).stdout)
  expect(history).toMatchObject([{ version: 2, author: 'ada', reason: 'keys' }, { version: 1 }])
  const tried = await cli('rollback', history[1].id, '--reason', 'the nightly job needs them', '--dry-run')
  expect(tried.stdout).toContain('Nothing was applied (dry run).')
  expect((await cli('rollback', history[1].id, '--reason', 'the nightly job needs them')).stdout).toContain('Applied.')
  expect((await psql(await stack.pgEnv(), 'SELECT count(*) FROM api_keys')).code).toBe(0)

  writeFileSync(policy, before.replace('allow: sql.read', 'alow: sql.read'))
  const wrong = await cli('validate', '-f', directory)
  expect([wrong.code, wrong.stdout]).toEqual([1, expect.stringMatching(/shop-ci-on-orders\.yaml:\d+:\d+: .*alow.*allow/)])
  expect((await cli('diff', '-f', directory)).stderr).toMatch(/shop-ci-on-orders\.yaml:\d+:\d+:/)
})
