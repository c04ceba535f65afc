import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { freePort } from '@sallyport/protocol-ssh/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Client } from '../support/client.js'
import { eventually } from '../support/direct.js'
import { hasSshd, policyFor, SshHome } from '../support/ssh.js'
import { Stack } from '../support/stack.js'
import { sshAtTerminal } from '../support/terminal.js'

/** A shell that people approve as a whole, and what the client is told when it may not forward. */
let stack: Stack
let home: SshHome
let folder: string
const clients: Client[] = []

beforeAll(async () => {
  if (!hasSshd) return
  folder = mkdtempSync(path.join(tmpdir(), 'sallyport-hold-'))
  const policyFile = path.join(folder, 'policy.yaml')
  writeFileSync(policyFile, policyFor('web-01', ['{ hold: ssh.shell, approvers: { groups: [dba] } }', '{ hold: ssh.exec, argv: ["touch **"], approvers: { groups: [dba] } }', '{ allow: ssh.exec, argv: ["echo ..."] }']))
  stack = await Stack.start({ policyFile })
  home = await SshHome.create(stack)
})

afterAll(async () => {
  for (const client of clients) client.kill('SIGKILL')
  await stack?.stop()
  home?.remove()
  if (folder) rmSync(folder, { recursive: true, force: true })
})

async function held(args: readonly string[] = []): Promise<Client> {
  const client = sshAtTerminal(home, args)
  clients.push(client)
  await client.seen(/waits for approval by dba.*https?:\/\/\S+\r\nRule: /)
  return client
}

async function pending(): Promise<string> {
  const found = await eventually(async () => (await stack.api('GET', '/v1/approvals?state=pending')).body.items[0], 'a pending approval')
  return found.id
}

describe.skipIf(!hasSshd)('a shell that is held', () => {
  test('begins after the approval, with nothing of what was typed before it, and the size of by then', async () => {
    const client = await held()
    client.send(`touch ${folder}/typed-before\r`)
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect((await stack.api('POST', `/v1/approvals/${await pending()}/approve`, { reason: 'tested' }, stack.token('dana'))).status).toBeLessThan(300)
    await client.seen(/[$#] $/)
    await new Promise((resolve) => setTimeout(resolve, 500))
    client.send('stty size; echo do""ne\r')
    await client.seen(/40 120\r\ndone/)
    expect(existsSync(`${folder}/typed-before`)).toBe(false)
    expect(client.stdout).not.toContain('typed-before')
    client.send('exit 7\r')
    expect(await client.exited).toBe(7)
  })

  test('is withdrawn by Ctrl-C', async () => {
    const client = await held()
    const id = await pending()
    client.send('x\u0003')
    expect(await client.exited).toBe(126)
    expect(client.stdout).toMatch(/Sallyport: .*(cancel|withdrawn)/i)
    await eventually(async () => (await stack.api('GET', `/v1/approvals/${id}`)).body.state === 'cancelled', 'the approval is withdrawn')
  })

  test('so is a command at a terminal', async () => {
    const command = await held(['-tt', '-o', `RemoteCommand="touch ${folder}/never"`])
    command.send('\u0003')
    expect(await command.exited).toBe(126)
    expect(existsSync(`${folder}/never`)).toBe(false)
  })

  test('rejected, there is none', async () => {
    const client = await held()
    await stack.api('POST', `/v1/approvals/${await pending()}/reject`, { reason: 'not today' }, stack.token('dana'))
    expect(await client.exited).toBe(126)
    expect(client.stdout).toContain('not today')
  })
})

function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => resolve(true))
    socket.on('error', () => resolve(false))
  })
}

describe.skipIf(!hasSshd)('a forward that is denied', () => {
  const why = /Sallyport: no rule allows ssh\.forward on 127\.0\.0\.1:9 \(default-deny\)\. Rule: default-deny\. .*ask an administrator/

  test('says why and what to do: -W', async () => {
    const { code, stderr } = await home.run('ssh', ['-W', '127.0.0.1:9', 'web-01'])
    expect([code === 0, stderr]).toEqual([false, expect.stringMatching(why)])
    expect(stderr).toMatch(/open failed: administratively prohibited: Sallyport/)
  })

  test('-L', async () => {
    const port = await freePort()
    const client = home.start('ssh', ['-N', '-L', `127.0.0.1:${port}:127.0.0.1:9`, 'web-01'])
    clients.push(client)
    await eventually(() => connects(port), 'ssh listens')
    await client.seen(why)
    client.kill('SIGTERM')
    await client.exited
  })

  test('-R: on stderr of the command that runs beside it', async () => {
    const { code, stdout, stderr } = await home.run('ssh', ['-R', '127.0.0.1:0:127.0.0.1:9', 'web-01', 'echo beside'])
    expect([code, stdout]).toEqual([0, 'beside\n'])
    expect(stderr).toMatch(/Sallyport: no rule allows ssh\.reverse_forward on 127\.0\.0\.1:0 \(default-deny\)/)
  })
})
