import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Client } from '../support/client.js'
import { eventually } from '../support/direct.js'
import { hasSshd, pidOf, policyFor, SshHome } from '../support/ssh.js'
import { Stack } from '../support/stack.js'

/** Processes of Sallyport that are really killed while something runs, waits or is being copied on a host that is really looked at. */
let stack: Stack
let home: SshHome
let folder: string
let ticking: string

beforeAll(async () => {
  if (!hasSshd) return
  folder = mkdtempSync(path.join(tmpdir(), 'sallyport-faults-'))
  mkdirSync(path.join(folder, 'files'))
  // It writes, or nothing would tell it that nobody listens any more.
  ticking = path.join(folder, 'ticking')
  writeFileSync(ticking, '#!/bin/sh\nwhile :; do echo tick; sleep 0.2; done\n', { mode: 0o755 })
  const policyFile = path.join(folder, 'policy.yaml')
  writeFileSync(
    policyFile,
    policyFor('web-01', [
      `{ allow: ssh.exec, argv: ["echo *", "${ticking} *"] }`,
      `{ hold: ssh.exec, argv: ["touch ${folder}/**"], approvers: { groups: [dba] }, timeout: 2m }`,
      `{ allow: [ssh.sftp.read, ssh.sftp.browse, ssh.sftp.change], on: ["${folder}/files", "${folder}/files/*"] }`,
    ]),
  )
  stack = await Stack.start({ policyFile })
  home = await SshHome.create(stack)
  writeFileSync(home.file('big'), Buffer.alloc(60_000_000))
})

afterAll(async () => {
  await stack?.stop()
  home?.remove()
  if (folder) rmSync(folder, { recursive: true, force: true })
})

beforeEach(async () => {
  if (hasSshd) await works()
})

async function works(): Promise<void> {
  await eventually(async () => {
    try {
      await home.renew()
      return (await home.ssh('echo up')).code === 0
    } catch {
      return false
    }
  }, 'a session can be opened', 30_000)
}

const runs = (mark: string): boolean => spawnSync('pgrep', ['-f', `${ticking} ${mark}$`]).status === 0

async function verified(): Promise<void> {
  expect((await stack.api('GET', '/v1/audit/verify')).body).toMatchObject({ ok: true })
}

/** Something that runs, something that waits, and a file on its way: each on a connection of its own. */
async function underWay(mark: string): Promise<{ running: Client; held: Client; copy: Client; approval: string; file: string }> {
  const file = path.join(folder, `held-${mark}`)
  const running = home.start('ssh', ['web-01', `${ticking} ${mark}`])
  const held = home.start('ssh', ['web-01', `touch ${file}`])
  // Slow enough to be in its middle.
  const sftp = home.start('sftp', ['-q', '-l', '8000', '-b', '-', 'web-01'])
  sftp.send(`put ${home.file('big')} ${folder}/files/${mark}\n`)
  await running.seen(/tick/)
  await held.seen(/waits for approval/)
  const approval = await eventually(async () => {
    const { body } = await stack.api('GET', '/v1/approvals?state=pending')
    return body.items.find((item: { text: string }) => item.text.includes(file))?.id as string | undefined
  }, 'a pending approval')
  await eventually(async () => existsSync(path.join(folder, 'files', mark)), 'the file is being written')
  return { running, held, copy: sftp, approval, file }
}

async function approveLate(approval: string): Promise<number> {
  return (await stack.api('POST', `/v1/approvals/${approval}/approve`, {}, stack.token('dana'))).status
}

describe.skipIf(!hasSshd)('kill -9', () => {
  test.each(['agent-0', 'gateway-0'])('of %s: every client gets an end, nothing goes on, the held command never runs', async (name) => {
    const { running, held, copy, approval, file } = await underWay(name)
    process.kill(pidOf(stack, name), 'SIGKILL')
    const begun = Date.now()
    expect(await Promise.all([running.exited, held.exited, copy.exited])).not.toContain(0)
    expect(Date.now() - begun).toBeLessThan(15_000)
    await eventually(async () => !runs(name), 'the command ends at the target')
    await stack.restart(name)
    await works()
    await eventually(async () => (await stack.api('GET', `/v1/approvals/${approval}`)).body.state !== 'pending', 'the approval has ended')
    expect(await approveLate(approval)).toBeGreaterThanOrEqual(400)
    expect(existsSync(file)).toBe(false)
    const ends = await eventually(async () => {
      const command = (await stack.events(`kind=command&text=${encodeURIComponent(`${ticking} ${name}`)}`))[0]
      return command && (await stack.events(`kind=command.end&session=${command.session}`))[0]
    }, 'its end is on record')
    expect(ends.event.status).toMatch(/unknown|cancelled/)
    await verified()
  })

  test('of the control plane: what was allowed goes on, nothing new begins, an approval is asked for in vain, nothing of the record is lost', async () => {
    const running = home.start('ssh', ['web-01', `${ticking} api`])
    await running.seen(/tick/)
    const socket = home.file('mux')
    const master = home.start('ssh', ['-M', '-S', socket, '-N', 'web-01'])
    await eventually(async () => existsSync(socket), 'the master listens')
    process.kill(pidOf(stack, 'api'), 'SIGKILL')
    expect((await home.run('ssh', ['-S', socket, 'web-01', 'echo meanwhile'])).stdout).toBe('meanwhile\n')
    const file = path.join(folder, 'held-api')
    const held = await home.run('ssh', ['-S', socket, 'web-01', `touch ${file}`])
    expect([held.code, held.stderr]).toEqual([126, expect.stringContaining('no approval can be had')])
    const refused = await home.ssh('echo new')
    expect([refused.code, refused.stdout, refused.stderr]).toEqual([255, '', expect.stringMatching(/control plane/i)])
    expect(runs('api')).toBe(true)
    await stack.restart('api')
    await works()
    await eventually(async () => (await stack.events('kind=command&text=meanwhile'))[0], 'what ran meanwhile is on record')
    for (const client of [running, master]) client.kill('SIGTERM')
    await Promise.all([running.exited, master.exited])
    await eventually(async () => !runs('api'), 'the command ends at the target')
    expect(existsSync(file)).toBe(false)
    await verified()
  })
})

describe.skipIf(!hasSshd)('revoked', () => {
  test('a credential: its sessions end within two seconds, with the reason, and so does what runs in them', async () => {
    const { running, held, copy, approval, file } = await underWay('revoked')
    await stack.api('DELETE', `/v1/credentials/${home.credential?.credential_id}`)
    const begun = Date.now()
    expect(await Promise.all([running.exited, held.exited, copy.exited])).not.toContain(0)
    expect(Date.now() - begun).toBeLessThan(2500)
    expect(running.stderr).toContain('Sallyport: ')
    await eventually(async () => !runs('revoked'), 'the command ends at the target', 2000)
    expect(await approveLate(approval)).toBeGreaterThanOrEqual(400)
    expect(existsSync(file)).toBe(false)
    await eventually(async () => (await stack.events('kind=session.end')).filter(({ event }) => event.reason === 'killed').length >= 3, 'the ends are on record')
  })

  test('a client that is killed while its command is held: the approval is withdrawn, and the command never runs', async () => {
    const file = path.join(folder, 'held-client')
    const held = home.start('ssh', ['web-01', `touch ${file}`])
    const [, approval = ''] = await held.seen(/approvals\/([0-9a-f-]{36})/)
    held.kill('SIGKILL')
    await eventually(async () => (await stack.api('GET', `/v1/approvals/${approval}`)).body.state === 'cancelled', 'the approval is cancelled', 5000)
    expect(await approveLate(approval)).toBeGreaterThanOrEqual(400)
    expect(existsSync(file)).toBe(false)
  })
})
