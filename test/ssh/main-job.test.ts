import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Client } from '../support/client.js'
import { eventually } from '../support/direct.js'
import { Stack } from '../support/stack.js'

const hasSshd = existsSync('/usr/sbin/sshd')

let stack: Stack
let directory: string
let project: string
let tokenFile: string

beforeAll(async () => {
  if (!hasSshd) return
  stack = await Stack.start()
  directory = mkdtempSync(path.join(tmpdir(), 'sallyport-ssh-'))
  tokenFile = path.join(directory, 'token')
  writeFileSync(tokenFile, await stack.mint(), { mode: 0o600 })
  const host = stack.line.targets.find(({ protocol }) => protocol === 'ssh')
  project = host?.projectDirectory ?? ''
})

afterAll(async () => {
  await stack?.stop()
  if (directory) rmSync(directory, { recursive: true, force: true })
})

/** `sallyport exec web-01 -- …`, as a CI job calls it. */
function job(command: readonly string[], input?: string): Client {
  const [program = '', ...args] = stack.line.cli.argv
  const env = { PATH: process.env['PATH'] ?? '', HOME: directory, TMPDIR: directory, ...stack.line.cli.env }
  return new Client(program, [...args, 'exec', 'web-01', '--token-file', tokenFile, '--', ...command], env, input)
}

async function run(...command: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const client = job(command, '')
  const code = await client.exited
  return { code, stdout: client.stdout, stderr: client.stderr }
}

async function pending(text: string): Promise<{ id: string }> {
  return eventually(async () => {
    const { body } = await stack.api('GET', '/v1/approvals?state=pending')
    return body.items.find((item: { text: string }) => item.text.includes(text))
  }, 'a pending approval')
}

describe.skipIf(!hasSshd)('a CI job on a host', () => {
  test('runs what a rule lists, with its output and status', async () => {
    expect(await run('ssh', 'web-01', 'hostname')).toMatchObject({ code: 0, stderr: '' })
    expect((await run('ssh', 'web-01', 'cat', `${project}/README.md`)).stdout).toBe(readFileSync(`${project}/README.md`, 'utf8'))
  })

  test('is refused everything else, with the rule and what to do', async () => {
    for (const command of ['cat /etc/shadow', 'hostname; id -u root', 'hostname $(reboot)', 'eval reboot', 'hostname > /etc/motd', 'env LD_PRELOAD=/tmp/x hostname', '']) {
      const { code, stdout, stderr } = await run('ssh', 'web-01', ...(command === '' ? [] : [command]))
      expect([command, code, stdout]).toEqual([command, 126, ''])
      expect(stderr).toMatch(/Sallyport: .+\r?\nRule: .+\r?\nHint: /)
    }
    await eventually(async () => {
      const texts = (await stack.events('kind=command&decision=deny')).map((event) => event.event.text)
      return ['cat /etc/shadow', 'hostname $(reboot)', 'shell'].every((text) => texts.includes(text))
    }, 'the refusals are on record')
  }, 60_000)

  test('sees no secret of what it may read', async () => {
    const { stdout } = await run('ssh', 'web-01', 'cat', `${project}/logs/orders.log`)
    expect(stdout).not.toMatch(/[a-z]@[a-z]+\.[a-z]+/)
    expect(stdout).toContain('[redacted]')
  })

  test('waits for a person before it deletes: rejected nothing goes, approved it goes', async () => {
    const file = path.join(project, 'cache', 'old.tmp')
    writeFileSync(file, 'x')
    for (const [verdict, left] of [
      ['reject', true],
      ['approve', false],
    ] as const) {
      const client = job(['ssh', 'web-01', 'rm', file], '')
      await client.seen(/waits for approval by dba/)
      const { id } = await pending(file)
      expect(existsSync(file)).toBe(true)
      expect((await stack.api('POST', `/v1/approvals/${id}/${verdict}`, { reason: 'tested' }, stack.token('dana'))).status).toBeLessThan(300)
      expect([await client.exited, existsSync(file)]).toEqual([left ? 126 : 0, left])
    }
  }, 60_000)

  test('copies files with scp, sftp and rsync, where it may', async () => {
    const got = path.join(directory, 'got')
    for (const command of [
      ['scp', '-q', `web-01:${project}/README.md`, got],
      ['scp', '-q', '-O', `web-01:${project}/README.md`, got],
      ['rsync', '-a', `web-01:${project}/README.md`, got],
    ]) {
      rmSync(got, { force: true })
      expect([command[0], (await run(...command)).code]).toEqual([command[0], 0])
      expect(readFileSync(got, 'utf8')).toBe(readFileSync(`${project}/README.md`, 'utf8'))
      rmSync(got, { force: true })
      const denied = await run(...command.map((word) => word.replace(`${project}/README.md`, '/etc/hostname')))
      expect([command[0], denied.code === 0, existsSync(got)]).toEqual([command[0], false, false])
      expect(denied.stderr).toContain('Sallyport')
    }
    const ends = await eventually(async () => {
      const found = (await stack.events('kind=command.end')).filter((event) => event.event.sha256 !== undefined)
      return found.length >= 2 ? found : undefined
    }, 'ends with a hash')
    expect(ends.length).toBeGreaterThanOrEqual(2)
  }, 60_000)

  test('may not forward, and leaves nothing behind', async () => {
    const { code, stderr } = await run('ssh', '-W', '127.0.0.1:1', 'web-01')
    expect([code === 0, stderr]).toEqual([false, expect.stringContaining('open failed')])
    expect(spawnSync('find', [directory, '-name', 'ssh_config']).stdout.toString()).toBe('')
  })

  test('loses its session within two seconds when its credential is revoked', async () => {
    const before = (await stack.events('kind=session.start')).length
    const client = job(['ssh', '-N', 'web-01'])
    await eventually(async () => (await stack.events('kind=session.start')).length > before, 'a session')
    const live = await eventually(async () => {
      const { body } = await stack.api('GET', '/v1/credentials?state=live&target=web-01')
      return body.items[0]
    }, 'a live credential')
    const begun = Date.now()
    await stack.api('DELETE', `/v1/credentials/${live.id}`)
    await client.exited
    expect(Date.now() - begun).toBeLessThan(2000)
  }, 60_000)

  test('all of it is in a chain that verifies', async () => {
    const [program = '', ...args] = stack.line.cli.argv
    const client = new Client(program, [...args, 'audit', 'verify'], { PATH: process.env['PATH'] ?? '', HOME: directory, ...stack.line.cli.env }, '')
    expect(await client.exited).toBe(0)
  })
})
