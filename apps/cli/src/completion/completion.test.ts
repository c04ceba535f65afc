import { execFile, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { program } from '../program.js'
import { FakeApi } from '../testing/fake-api.js'
import { wantedFor } from './wanted.js'

const main = join(import.meta.dirname, '../../dist/main.js')

let api: FakeApi
let directory: string
let env: Record<string, string>

beforeAll(async () => {
  api = await FakeApi.start({
    'GET /v1/targets': [200, { items: ['orders-db', 'orders-db-2', 'web-01', 'x$(touch pwned)', 'x;id', '-rf x'].map((name) => ({ name, protocol: 'postgres\u001b[2J', labels: {} })) }],
    'GET /v1/approvals': [200, { items: [{ id: '0198f0c4-aaaa', identity: { name: 'shop-ci' }, target: 'orders-db' }] }],
    'GET /v1/documents': [403, { status: 403 }],
  })
  directory = mkdtempSync(join(tmpdir(), 'sallyport-completion-'))
  writeFileSync(join(directory, 'sallyport'), `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`, { mode: 0o755 })
  env = { PATH: `${directory}:${process.env['PATH']}`, HOME: directory, SALLYPORT_URL: api.url, SALLYPORT_TOKEN: 'spt_x' }
})
afterAll(async () => {
  await api.stop()
  rmSync(directory, { recursive: true })
})

const run = (file: string, args: readonly string[], more: Record<string, string> = {}): Promise<{ code: number; stdout: string; stderr: string }> =>
  new Promise((resolve) => {
    execFile(file, args, { env: { ...env, ...more }, cwd: directory }, (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }))
  })

const complete = async (...words: string[]): Promise<string[]> => (await run('sallyport', ['__complete', '--', ...words])).stdout.split('\n').filter((line) => line !== '').map((line) => line.split('\t')[0] ?? '')

describe('what could stand where the cursor is', () => {
  const words = (...line: string[]): string[] => {
    const wanted = wantedFor(program(), line)
    return wanted.of === 'words' ? wanted.candidates.map(({ value }) => value) : []
  }
  test('commands, their own options, choices, arguments', () => {
    expect(words('')).toContain('approvals')
    expect(words('')).not.toContain('__complete')
    expect(words('audit', 'saved', '')).toEqual(expect.arrayContaining(['list', 'save', 'delete']))
    expect(words('approvals', 'list', '--')).toEqual(expect.arrayContaining(['--state', '--limit', '--output', '--help']))
    expect(words('approvals', 'list', '--state', '')).toContain('rejected')
    expect(words('approvals', 'list', '--state=', '')).toEqual([])
    expect(words('approvals', 'list', '--state=')).toContain('--state=rejected')
    expect(words('-o', '')).toEqual(['table', 'json', 'yaml'])
    expect(words('completion', '')).toEqual(['bash', 'zsh', 'fish'])
    expect(wantedFor(program(), ['--url', 'audit', 'exec', ''])).toEqual({ of: 'names', name: 'target', command: 'exec', prefix: '' })
    expect(wantedFor(program(), ['exec', 'orders-db', '--', 'ps'])).toEqual({ of: 'nothing' })
  })
})

describe('names from the control plane', () => {
  test('targets and approvals; never what a shell would run or a terminal act on', async () => {
    expect(await complete('exec', '')).toEqual(['orders-db', 'orders-db-2', 'web-01'])
    expect(await complete('sessions', 'list', '--target', 'w')).toEqual(['web-01'])
    expect(await complete('approvals', 'approve', '')).toEqual(['0198f0c4-aaaa'])
    expect((await run('sallyport', ['__complete', '--', 'exec', 'w'])).stdout).toBe('web-01\tpostgres\\x1b[2J\n')
  })
  test('silence when it is refused, gone, or not set up', async () => {
    for (const more of [{}, { SALLYPORT_URL: 'http://127.0.0.1:1' }, { SALLYPORT_URL: '' }, { SALLYPORT_CA_FILE: '/nonexistent' }]) {
      expect(await run('sallyport', ['__complete', '--', 'policy', 'explain', '--as', ''], more)).toEqual({ code: 0, stdout: '', stderr: '' })
    }
  })
})

const has = (shell: string): boolean => spawnSync(shell, ['--version']).error === undefined

describe('in real shells', () => {
  test.skipIf(!has('bash'))('bash', async () => {
    const line = async (...words: string[]): Promise<string> =>
      (await run('bash', ['--norc', '-c', `source <(sallyport completion bash); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _sallyport; echo "\${COMPREPLY[*]}"`, 'bash', 'sallyport', ...words])).stdout.trim()
    expect(await line('appr')).toBe('approvals')
    expect(await line('exec', 'orders')).toBe('orders-db orders-db-2')
    expect(await line('approvals', 'list', '--state', '=', 'rej')).toBe('rejected')
    expect(await line('exec', 'x')).toBe('')
  })
  test.skipIf(!has('zsh'))('zsh', async () => {
    writeFileSync(
      join(directory, 'zsh-test'),
      `compdef() { : }; source <(sallyport completion zsh)
_describe() { print -rl -- "\${(@P)2}" }
_files() { print files }
words=("$@"); CURRENT=$#words; _sallyport`,
    )
    const line = async (...words: string[]): Promise<string[]> => (await run('zsh', ['-f', join(directory, 'zsh-test'), 'sallyport', ...words])).stdout.trim().split('\n')
    expect(await line('approvals', 'appr')).toEqual([expect.stringMatching(/^approve:let the command run/)])
    expect(await line('exec', 'orders')).toEqual(['orders-db:postgres\\x1b[2J', 'orders-db-2:postgres\\x1b[2J'])
    expect(await line('exec', 'x')).toEqual(['files'])
  })
  test.skipIf(!has('fish'))('fish', async () => {
    const line = async (text: string): Promise<string[]> =>
      (await run('fish', ['--no-config', '-c', `sallyport completion fish | source; complete -C ${JSON.stringify(text)}`])).stdout.trim().split('\n').map((found) => found.split('\t')[0] ?? '')
    expect(await line('sallyport approvals appr')).toEqual(['approve'])
    expect(await line('sallyport exec orders')).toEqual(['orders-db', 'orders-db-2'])
  })
})
