import { execFile } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Stack } from '../support/stack.js'

interface Check {
  readonly name: string
  readonly status: string
  readonly detail: string
  readonly fix?: string
}

interface Report {
  readonly ok: boolean
  readonly checks: readonly Check[]
}

let stack: Stack
beforeAll(async () => {
  stack = await Stack.start()
})
afterAll(() => stack?.stop())

function run(args: readonly string[], env: Record<string, string> = {}): Promise<{ code: number; stdout: string; stderr: string }> {
  const [file = '', ...before] = stack.line.cli.argv
  return new Promise((resolve) => {
    execFile(file, [...before, ...args], { env: { ...process.env, HOME: stack.line.dataDir, SALLYPORT_URL: stack.line.api.url, SALLYPORT_TOKEN: stack.line.api.adminToken, ...env } }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })
}

async function doctor(args: readonly string[] = [], env: Record<string, string> = {}): Promise<Report & { code: number }> {
  const { code, stdout } = await run(['doctor', ...args, '-o', 'json'], env)
  const report: Report = JSON.parse(stdout)
  return { ...report, code }
}

const failing = ({ checks }: Report): string[] => checks.filter(({ status }) => status === 'fail').map(({ name }) => name)

describe('sallyport doctor, on the real system', () => {
  test('all is well: every hop is named, and what nobody looked at is not called well', async () => {
    const report = await doctor()
    expect(failing(report)).toEqual([])
    expect(report.code).toBe(0)
    const statuses = new Map(report.checks.map(({ name, status }) => [name, status]))
    for (const name of ['configuration', 'control plane', 'readiness', 'clock', 'API token', 'gateway listener for postgres', 'gateway listener for kubernetes', 'audit log']) expect(statuses.get(name), name).toBe('ok')
    for (const { name } of stack.line.agents) expect(statuses.get(`agent ${name}`)).toBe('ok')
    expect(statuses.get('targets behind agents')).toBe('skipped')
    expect(statuses.get('spool')).toBe('skipped')
    const people = await run(['doctor', stack.target.name])
    expect([people.code, people.stderr]).toEqual([0, ''])
    expect(people.stdout).toMatch(/ok {4}gateway listener for postgres: verified/)
    expect(people.stdout).not.toContain('listener for kubernetes')
    expect(people.stdout).toMatch(/Nothing fails\.\n$/)
  })

  test('a target that there is not, a token that does not count, a control plane that is not there', async () => {
    expect(failing(await doctor(['nope']))).toEqual(['target nope'])
    const refused = await doctor([], { SALLYPORT_TOKEN: 'spt_0198f0c4_x' })
    expect([refused.code, failing(refused)]).toEqual([1, ['API token']])
    expect(refused.checks.at(-1)?.fix).toContain('sallyport tokens create')
    const gone = await doctor([], { SALLYPORT_URL: 'http://127.0.0.1:1' })
    expect(failing(gone)).toEqual(['control plane'])
    expect(failing(await doctor([], { SALLYPORT_URL: '' }))).toEqual(['configuration'])
  })

  test('a token about to expire, and a file that others can read', async () => {
    const { body } = await stack.api('POST', '/v1/tokens', { user: 'ada', name: 'short', ttl_seconds: 3600 })
    const file = path.join(stack.line.dataDir, 'short-token')
    writeFileSync(file, body.token)
    chmodSync(file, 0o644)
    const report = await doctor(['--api-token-file', file])
    const warned = report.checks.filter(({ status }) => status === 'warn').map(({ name, fix }) => `${name}: ${fix}`)
    expect(warned).toEqual(expect.arrayContaining([`configuration: chmod 600 ${file}`, expect.stringMatching(/^API token: make a new one/)]))
    expect(report.code).toBe(0)
  })

  test('an agent that was ended', async () => {
    const [agent] = stack.line.agents
    process.kill(agent?.pid ?? 0, 'SIGKILL')
    await expect.poll(async () => failing(await doctor()), { timeout: 60_000, interval: 1000 }).toEqual([`agent ${agent?.name}`])
    await stack.restart(agent?.name ?? '')
    await expect.poll(async () => failing(await doctor()), { timeout: 60_000, interval: 1000 }).toEqual([])
  })

  test('a gateway that was ended: its listeners, itself, and the agent that lost it', async () => {
    const [gateway] = stack.line.gateways
    process.kill(gateway?.pid ?? 0, 'SIGKILL')
    await expect
      .poll(async () => failing(await doctor()), { timeout: 90_000, interval: 1000 })
      .toEqual(expect.arrayContaining([`gateway ${gateway?.name}`, 'gateway listener for postgres', 'gateway listener for kubernetes']))
    expect((await doctor()).checks.find(({ name }) => name === 'gateway listener for postgres')?.fix).toContain('start the gateway')
  })
})
