import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { freePort, Sshd } from '@sallyport/protocol-ssh/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Client } from '../support/client.js'
import { eventually } from '../support/direct.js'
import { hasSshd, policyFor, SshHome } from '../support/ssh.js'
import { Stack } from '../support/stack.js'

/** What OpenSSH's clients can do besides running one command, through the whole system. */
let stack: Stack
let home: SshHome
let behind: Sshd
let web: net.Server
let closed: net.Server
let folder: string
const port = { allowed: 0, denied: 0, back: 0 }

async function listening(answer: string): Promise<net.Server> {
  const server = net.createServer((socket) => socket.on('error', () => undefined).once('data', () => socket.end(answer)))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

function portOf(server: net.Server): number {
  const at = server.address()
  return typeof at === 'object' && at !== null ? at.port : 0
}

beforeAll(async () => {
  if (!hasSshd) return
  folder = mkdtempSync(path.join(tmpdir(), 'sallyport-clients-'))
  mkdirSync(path.join(folder, 'files'))
  behind = new Sshd()
  await behind.start()
  web = await listening('hello from behind')
  closed = await listening('never')
  port.allowed = portOf(web)
  port.denied = portOf(closed)
  port.back = await freePort()
  const policyFile = path.join(folder, 'policy.yaml')
  writeFileSync(
    policyFile,
    policyFor('web-01', [
      `{ allow: ssh.exec, argv: [hostname, "echo ...", "cat ${folder}/**", "sleep *", "stty ...", "exit *"] }`,
      `{ allow: ssh.forward, on: ["127.0.0.1:${port.allowed}", "localhost:${port.allowed}", "127.0.0.1:${behind.port}"] }`,
      `{ allow: ssh.reverse_forward, on: ["127.0.0.1:${port.back}"] }`,
      `{ allow: [ssh.sftp.read, ssh.sftp.browse, ssh.sftp.change], on: ["${folder}/files", "${folder}/files/*"] }`,
    ], ['mask:', '  - { detect: [credit_card, email], with: redact }']),
  )
  stack = await Stack.start({ policyFile })
  home = await SshHome.create(stack)
})

afterAll(async () => {
  await stack?.stop()
  await behind?.stop()
  web?.close()
  closed?.close()
  home?.remove()
  if (folder) rmSync(folder, { recursive: true, force: true })
})

const ended = (socket: net.Socket): Promise<void> => new Promise((resolve) => void socket.once('close', () => resolve()))

/** What a server on loopback says to one line; empty when it closes without a word. */
async function ask(at: number, bytes: Buffer | string): Promise<string> {
  const socket = net.connect(at, '127.0.0.1')
  let answer = ''
  socket.on('data', (chunk) => (answer += chunk.toString('latin1')))
  socket.on('error', () => undefined)
  socket.write(bytes)
  await ended(socket)
  return answer
}

async function reachable(at: number): Promise<void> {
  await eventually(() => new Promise<boolean>((resolve) => {
    const socket = net.connect(at, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    }).on('error', () => resolve(false))
  }), `port ${at} answers`)
}

const commands = async (decision: string): Promise<string[]> => (await stack.events(`kind=command&decision=${decision}`)).map((event) => event.event.text as string)

/** SOCKS 5 (RFC 1928) by hand: greeting, then CONNECT to an IPv4 address or a name. */
async function socks(at: number, host: string, to: number): Promise<string> {
  const socket = net.connect(at, '127.0.0.1')
  let answer = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => (answer = Buffer.concat([answer, chunk])))
  socket.on('error', () => undefined)
  socket.write(Buffer.of(5, 1, 0))
  await eventually(async () => answer.length >= 2, 'the greeting is answered')
  socket.write(Buffer.concat([Buffer.of(5, 1, 0, 3, host.length), Buffer.from(host), Buffer.of(to >> 8, to & 255), Buffer.from('hello?\n')]))
  await ended(socket)
  return answer.subarray(2).toString('latin1')
}

describe.skipIf(!hasSshd)('forwards', () => {
  test('-D: an allowed address is reached, others are refused, each connection is on record', async () => {
    const local = await freePort()
    const client = home.start('ssh', ['-N', '-D', `127.0.0.1:${local}`, 'web-01'])
    await reachable(local)
    expect(await socks(local, '127.0.0.1', port.allowed)).toContain('hello from behind')
    expect(await socks(local, '127.0.0.1', port.denied)).not.toContain('never')
    expect(await socks(local, '169.254.169.254', 80)).not.toContain('hello')
    client.kill('SIGTERM')
    await client.exited
    await eventually(async () => (await commands('deny')).includes('forward 169.254.169.254:80'), 'the refusals are on record')
    expect(await commands('deny')).toContain(`forward 127.0.0.1:${port.denied}`)
    expect(await commands('allow')).toContain(`forward 127.0.0.1:${port.allowed}`)
  })

  test('-L and -R: an allowed address is reached, others are refused', async () => {
    const [good, bad, other] = [await freePort(), await freePort(), await freePort()]
    const client = home.start('ssh', ['-N', '-L', `127.0.0.1:${good}:127.0.0.1:${port.allowed}`, '-L', `127.0.0.1:${bad}:127.0.0.1:${port.denied}`, '-R', `127.0.0.1:${port.back}:127.0.0.1:${port.allowed}`, 'web-01'])
    await reachable(good)
    await reachable(port.back)
    expect(await ask(good, 'x\n')).toBe('hello from behind')
    expect(await ask(port.back, 'x\n')).toBe('hello from behind')
    expect(await ask(bad, 'x\n')).toBe('')
    client.kill('SIGTERM')
    await client.exited
    // The listener at the target goes with the session.
    await eventually(async () => (await ask(port.back, 'x\n')) === '', 'the port is closed')
    const refused = await home.run('ssh', ['-N', '-o', 'ExitOnForwardFailure=yes', '-R', `127.0.0.1:${other}:127.0.0.1:${port.allowed}`, 'web-01'])
    expect([refused.code, refused.stderr]).toEqual([255, expect.stringContaining('remote port forwarding failed')])
  })

  test('-J: through the host to another sshd, whose own key is asked for; not to any other', async () => {
    const config = home.file('jump')
    const identity = behind.identityFile()
    writeFileSync(home.file('known_hosts_behind'), `[127.0.0.1]:${behind.port} ${behind.hostKeyLine}\n`)
    writeFileSync(
      config,
      `${readFileSync(home.config, 'utf8')}Host behind other\n  HostName 127.0.0.1\n  User ${behind.login}\n  IdentityFile ${identity}\n  IdentitiesOnly yes\n  UserKnownHostsFile ${home.file('known_hosts_behind')}\n  StrictHostKeyChecking yes\n  ProxyJump web-01\nHost behind\n  Port ${behind.port}\nHost other\n  Port ${port.denied}\n`,
    )
    const run = async (...args: string[]) => {
      const client = new Client('ssh', ['-F', config, ...args], { PATH: process.env['PATH'] ?? '', HOME: home.directory }, '')
      return { code: await client.exited, stdout: client.stdout, stderr: client.stderr }
    }
    expect(await run('behind', 'echo through')).toMatchObject({ code: 0, stdout: 'through\n' })
    expect(await run('other', 'echo through')).toMatchObject({ code: 255, stdout: '' })
    await eventually(async () => (await commands('deny')).filter((text) => text === `forward 127.0.0.1:${port.denied}`).length >= 3, 'the refusal is on record')
  })
})

describe.skipIf(!hasSshd)('one connection for many', () => {
  test('ControlMaster: commands, copies and refusals share it, and one session is on record', async () => {
    const socket = home.file('mux')
    const before = (await stack.events('kind=session.start')).length
    const master = home.start('ssh', ['-M', '-S', socket, '-N', 'web-01'])
    await eventually(async () => existsSync(socket), 'the master listens')
    const through = (...args: string[]) => home.run('ssh', ['-S', socket, 'web-01', ...args])
    const all = await Promise.all([...Array(8).keys()].map((n) => through(`echo number ${n}`)))
    expect(all.map(({ stdout }) => stdout)).toEqual([...Array(8).keys()].map((n) => `number ${n}\n`))
    expect((await through('id')).code).toBe(126)
    expect((await through('exit 7')).code).toBe(7)
    expect((await home.run('scp', ['-q', '-o', `ControlPath=${socket}`, home.file('id'), `web-01:${folder}/files/muxed`])).code).toBe(0)
    await home.run('ssh', ['-S', socket, '-O', 'exit', 'web-01'])
    await master.exited
    expect((await stack.events('kind=session.start')).length).toBe(before + 1)
  })
})

describe.skipIf(!hasSshd)('the token instead of a key', () => {
  /** ssh asks this program for passwords, since there is no terminal. */
  async function withToken(method: string, token: string): Promise<{ code: number; stdout: string; stderr: string }> {
    writeFileSync(home.file('token'), token, { mode: 0o600 })
    writeFileSync(home.file('askpass'), `#!/bin/sh\nfrom=$(echo "$1" | sed -n 's/.*from character \\([0-9]*\\).*/\\1/p')\ntail -c +${'$'}{from:-1} ${home.file('token')}\n`, { mode: 0o755 })
    const args = ['-o', `PreferredAuthentications=${method}`, '-o', 'PubkeyAuthentication=no', '-o', 'NumberOfPasswordPrompts=1', 'web-01', 'echo by', method]
    return home.run('ssh', args, { env: { SSH_ASKPASS: home.file('askpass'), SSH_ASKPASS_REQUIRE: 'force', DISPLAY: ':0' } })
  }

  /** Of a length, by a claim that nothing looks at. */
  async function token(length: number): Promise<string> {
    const plain = (await stack.mint({ actor: '' })).length
    let made = ''
    for (let filler = Math.max(0, Math.floor(((length - plain) * 3) / 4) - 2); made.length < length; filler += 1) made = await stack.mint({ actor: 'x'.repeat(filler) })
    return made
  }

  test('by keyboard-interactive: OpenSSH gives 1023 characters to a question, so longer ones are asked for in pieces', async () => {
    for (const length of [1100, 3500]) expect(await withToken('keyboard-interactive', await token(length))).toMatchObject({ code: 0, stdout: 'by keyboard-interactive\n' })
  })

  test('by password: a short one is let in; a long one is cut by OpenSSH, and what to do is said', async () => {
    const short = await stack.mint(Object.fromEntries(['sha', 'workflow', 'run_id', 'run_number', 'run_attempt', 'actor', 'event_name', 'server_url', 'ref', 'repository_owner_id'].map((name) => [name, undefined])))
    expect(short.length).toBeLessThan(1023)
    expect(await withToken('password', short)).toMatchObject({ code: 0, stdout: 'by password\n' })
    expect(await withToken('password', await token(1100))).toMatchObject({ code: 255, stderr: expect.stringContaining('PreferredAuthentications=keyboard-interactive') })
  })

  test.each(['keyboard-interactive', 'password'])('by %s: bad ones are refused', async (method) => {
    for (const bad of ['nonsense', `${await stack.mint()}x`, await stack.mint({ aud: 'another' }), await stack.mint({ repository: 'acme/other' })]) {
      expect(await withToken(method, bad)).toMatchObject({ code: 255, stdout: '', stderr: expect.stringContaining('Permission denied') })
    }
    const failures = await stack.events('kind=auth.failed')
    expect(failures.length).toBeGreaterThanOrEqual(4)
    expect(JSON.stringify(failures)).not.toContain('nonsense')
  })
})

describe.skipIf(!hasSshd)('what is recorded', () => {
  test('a terminal: its size, its exit status, what it showed, replayed by the CLI without anything that attacks the viewer', async () => {
    writeFileSync(path.join(folder, 'mail'), 'mail dana@example.com \u001b]52;c;aGk=\u0007end\n')
    expect((await home.run('ssh', ['-tt', 'web-01', `cat ${folder}/mail; exit 9`]))).toMatchObject({ code: 9, stdout: expect.stringContaining('mail [redacted] ') })
    const [command] = await eventually(async () => {
      const found = await stack.events('kind=command&decision=allow&text=mail')
      return found.length > 0 && found
    }, 'it is on record')
    expect(command.identity?.name ?? JSON.stringify(command)).toContain('shop-ci')
    const [program = '', ...args] = stack.line.cli.argv
    const replay = await eventually(async () => {
      const client = new Client(program, [...args, 'sessions', 'replay', command.session, '--instant'], { PATH: process.env['PATH'] ?? '', HOME: home.directory, ...stack.line.cli.env }, '')
      await client.exited
      return client.stdout.includes('[redacted]') && client.stdout
    }, 'it can be replayed')
    expect(replay).toMatch(/mail \[redacted\] .*end/)
    expect(replay).not.toMatch(/dana@example\.com|\u001b\]52/)
    const cast = await (await fetch(`${stack.line.api.url}/v1/sessions/${command.session}/recording`, { headers: { authorization: `Bearer ${stack.line.api.adminToken}` } })).text()
    const header = JSON.parse(cast.split('\n')[0] ?? '{}')
    expect([header.version, header.term, cast.includes('dana@example.com'), cast.includes(']52')]).toEqual([3, expect.anything(), false, false])
  })

  test('masks change output of commands, and never a file', async () => {
    const text = 'dana@example.com 4111 1111 1111 1111\n'
    writeFileSync(path.join(folder, 'files', 'secret.txt'), text)
    const got = home.file('got')
    for (const flags of [[], ['-O']]) {
      expect((await home.run('scp', ['-q', ...flags, `web-01:${folder}/files/secret.txt`, got])).code).toBe(0)
      expect(readFileSync(got, 'utf8')).toBe(text)
      rmSync(got)
    }
    writeFileSync(home.file('batch'), `get ${folder}/files/secret.txt ${got}\n`)
    expect((await home.run('sftp', ['-q', '-b', home.file('batch'), 'web-01'])).code).toBe(0)
    expect([readFileSync(got, 'utf8'), statSync(got).size]).toEqual([text, text.length])
    expect((await home.ssh('echo dana@example.com 4111 1111 1111 1111')).stdout).toBe('[redacted] [redacted]\n')
    const sum = spawnSync('sha256sum', [got]).stdout.toString().slice(0, 64)
    const ends = await eventually(async () => {
      const found = (await stack.events('kind=command.end')).filter((event) => event.event.sha256 === sum)
      return found.length >= 3 && found
    }, 'the hashes are on record')
    expect(JSON.stringify(ends)).not.toContain('dana@example.com')
  })
})
