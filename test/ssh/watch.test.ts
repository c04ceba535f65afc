import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Client } from '../support/client.js'
import { eventually } from '../support/direct.js'
import { hasSshd, policyFor, SshHome } from '../support/ssh.js'
import { Stack } from '../support/stack.js'
import { sshAtTerminal } from '../support/terminal.js'

/** Looking over somebody's shoulder, and cutting the session. */
let stack: Stack
let home: SshHome
let folder: string
const clients: Client[] = []

beforeAll(async () => {
  if (!hasSshd) return
  folder = mkdtempSync(path.join(tmpdir(), 'sallyport-watch-'))
  const policyFile = path.join(folder, 'policy.yaml')
  writeFileSync(policyFile, policyFor('web-01', ['{ allow: ssh.shell }', '{ allow: ssh.exec, argv: ["echo ...", "sleep *"] }']))
  stack = await Stack.start({ policyFile })
  home = await SshHome.create(stack)
})

afterAll(async () => {
  for (const client of clients) client.kill('SIGKILL')
  await stack?.stop()
  home?.remove()
  if (folder) rmSync(folder, { recursive: true, force: true })
})

function cli(...args: readonly string[]): Client {
  const [program = '', ...more] = stack.line.cli.argv
  return keep(new Client(program, [...more, ...args], { PATH: process.env['PATH'] ?? '', HOME: folder, ...stack.line.cli.env }))
}

/** The same at a terminal. */
function cliAtTerminal(...args: readonly string[]): Client {
  const words = [...stack.line.cli.argv, ...args].map((word) => `'${word}'`).join(' ')
  return keep(new Client('script', ['-qec', `stty cols 80 rows 24; exec ${words}`, '/dev/null'], { PATH: process.env['PATH'] ?? '', HOME: folder, TERM: 'xterm', SHELL: '/bin/sh', ...stack.line.cli.env }))
}

function keep(client: Client): Client {
  clients.push(client)
  return client
}

async function liveSession(): Promise<string> {
  const found = await eventually(async () => (await stack.api('GET', '/v1/sessions?state=live&target=web-01')).body.items[0], 'a live session')
  return found.id
}

async function views(session: string): Promise<string[]> {
  const events = await stack.events(`kind=session.viewed&session=${session}`)
  return events.map(({ event }) => `${event.how} by ${event.by}`)
}

describe.skipIf(!hasSshd)('sallyport sessions watch', () => {
  test('shows a full-screen shell live, and both ends see it cut', async () => {
    const shell = keep(sshAtTerminal(home, [], { columns: 120, rows: 40, first: '(sleep 3; stty cols 100 rows 30 </dev/tty) &' }))
    await shell.seen(/[$#] $/)
    const id = await liveSession()
    const watcher = cliAtTerminal('sessions', 'watch', id)
    const machine = cli('--output', 'json', 'sessions', 'watch', id)
    await watcher.seen(/this one has 80x24/)
    shell.send("printf '\\033[?1049h\\033[2J\\033[5;5Hfull\\055screen\\033]52;c;ZXZpbA==\\007'\r")
    await watcher.seen(/full-screen/, 5000)
    expect(watcher.stdout).toContain('\u001b[?1049h')
    expect(watcher.stdout).toContain('\u001b[5;5H')
    const marked = Date.now()
    shell.send('echo mark""er\r')
    await watcher.seen(/marker/, 5000)
    expect(Date.now() - marked).toBeLessThan(2000)
    // S9: what could act on the watcher doesn't come through.
    expect(watcher.stdout).not.toContain('\u001b]52;')
    await machine.seen(/marker/)
    await machine.seen(/"s":"r","d":"100x30"/)

    expect(await cli('sessions', 'kill', id, '--reason', 'seen enough').exited).toBe(0)
    const cut = Date.now()
    await shell.exited
    expect(Date.now() - cut).toBeLessThan(2000)
    expect(await watcher.exited).toBe(0)
    expect(Date.now() - cut).toBeLessThan(4000)
    expect(watcher.stdout).toMatch(/The session is over: /)
    expect(await machine.exited).toBe(0)
    expect(JSON.parse(machine.stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ kind: 'end' })
    expect(await views(id)).toEqual(['watch by ada', 'watch by ada'])
  })

  test('shows what a session without a terminal does, line by line', async () => {
    const job = keep(home.start('ssh', ['web-01', 'echo hello; sleep 3; echo bye']))
    const id = await liveSession()
    const watcher = cliAtTerminal('sessions', 'watch', id)
    await watcher.seen(/echo hello; sleep 3; echo bye/)
    await watcher.seen(/\| hello/)
    await watcher.seen(/\| bye/)
    expect(await job.exited).toBe(0)
    expect(await watcher.exited).toBe(0)
  })

  test('is for those who may replay, and a replay and an export are on record as well', async () => {
    await home.ssh('echo done')
    const { body } = await stack.api('GET', '/v1/sessions?target=web-01')
    const { id } = body.items[0]
    expect((await stack.api('GET', `/v1/sessions/${id}/watch`, undefined, stack.token('dana'))).status).toBe(404)
    expect((await stack.api('GET', `/v1/sessions/${id}/watch`, undefined, 'spt_nobody')).status).toBe(401)
    expect(await views(id)).toEqual([])
    expect(await cli('sessions', 'replay', id).exited).toBe(0)
    await eventually(async () => (await cli('sessions', 'export', id).exited) === 0, 'the recording is there')
    // What is over is shown, and the watch ends by itself.
    expect(await cli('sessions', 'watch', id).exited).toBe(0)
    expect((await views(id)).toSorted()).toEqual(['export by ada', 'replay by ada', 'watch by ada'])
    await stack.api('GET', `/v1/events?kind=recording&session=${id}`)
    expect((await views(id)).toSorted()).toEqual(['export by ada', 'replay by ada', 'search by ada', 'watch by ada'])
    const ordinary = await stack.api('GET', `/v1/sessions/${id}/events`)
    expect([ordinary.status, (await views(id)).length]).toEqual([200, 4])
  })
})
