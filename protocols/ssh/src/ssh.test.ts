import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Rule } from '@sallyport/policy'
import { generateKeyPair, knownHostsLine } from '@sallyport/ssh-keys'
import { Loopback } from './testing/loopback.js'
import { hasSshd, Sshd } from './testing/sshd.js'

const rule = (verdict: Rule['verdict'], actions: string[], more: Partial<Rule> = {}): Rule => ({ policy: 'p', index: 0, verdict, actions, on: [], ...more })
const rules: Rule[] = [
  rule('allow', ['ssh.exec'], { argv: ['echo ...', 'cat ...', 'sh', 'sleep *', 'printf ...', 'head ...', 'tr ...', 'stty ...', 'env', 'wc ...', 'kill ...', 'exit ...', 'false'] }),
  rule('hold', ['ssh.exec'], { argv: ['touch **'], approvers: { groups: ['dba'], quorum: 1 } }),
  rule('allow', ['ssh.redirect.write'], { on: ['/dev/stderr'] }),
]

let sshd: Sshd
let loop: Loopback
let directory: string
let key: ReturnType<typeof generateKeyPair>

interface Result {
  readonly code: number | null
  readonly stdout: Buffer
  readonly stderr: string
}

function ssh(args: readonly string[], input?: Buffer | 'none'): Promise<Result> & { child: ReturnType<typeof spawn> } {
  const child = spawn('ssh', ['-F', path.join(directory, 'config'), ...args], { stdio: [input === 'none' ? 'ignore' : 'pipe', 'pipe', 'pipe'] })
  const out: Buffer[] = []
  let err = ''
  child.stdout?.on('data', (bytes: Buffer) => out.push(bytes))
  child.stderr?.on('data', (bytes: Buffer) => (err += bytes.toString()))
  if (input !== 'none') child.stdin?.end(input)
  const done = new Promise<Result>((resolve) => child.once('close', (code) => resolve({ code, stdout: Buffer.concat(out), stderr: err })))
  return Object.assign(done, { child })
}

beforeAll(async () => {
  sshd = new Sshd()
  await sshd.start()
  directory = mkdtempSync(path.join(tmpdir(), 'sallyport-ssh-'))
  key = generateKeyPair()
  loop = new Loopback({
    spec: { address: sshd.address, logins: [sshd.login], hostKeys: [sshd.hostKeyLine], credential: { certificate: { caKey: `file:${sshd.caKeyFile()}` } } },
    rules,
    masks: [{ policy: 'p', index: 0, with: 'redact', detect: ['credit_card', 'email'] }],
  })
  await loop.start()
  writeFileSync(path.join(directory, 'id'), key.privateKeyPem, { mode: 0o600 })
  writeFileSync(path.join(directory, 'known_hosts'), knownHostsLine({ host: '127.0.0.1', port: loop.port }, loop.hostKey.publicKeyLine) + '\n')
  writeFileSync(
    path.join(directory, 'config'),
    `Host web-01\n  HostName 127.0.0.1\n  Port ${loop.port}\n  User web-01\n  IdentityFile ${directory}/id\n  IdentitiesOnly yes\n  UserKnownHostsFile ${directory}/known_hosts\n  StrictHostKeyChecking yes\n  LogLevel INFO\n`,
  )
})

afterAll(async () => {
  await loop?.stop()
  await sshd?.stop()
  rmSync(directory, { recursive: true, force: true })
})

describe.skipIf(!hasSshd)('ssh, through front and engine to a real sshd', () => {
  test('a command runs, with its exact output and status', async () => {
    const result = await ssh(['web-01', 'echo hello'])
    expect(result).toMatchObject({ code: 0, stderr: '' })
    expect(result.stdout.toString()).toBe('hello\n')
    expect((await ssh(['web-01', 'false'])).code).toBe(1)
    expect((await ssh(['web-01', 'exit 42'])).code).toBe(42)
    expect(loop.proofs.at(-1)?.algorithm).toBe('ssh-ed25519')
  })

  test('a denied command runs not, and says why', async () => {
    const result = await ssh(['web-01', 'id'])
    expect(result.code).toBe(126)
    expect(result.stderr).toMatch(/Sallyport: .*ssh\.exec.*\r\nRule: default-deny\r\nHint: /)
    expect(result.stdout.length).toBe(0)
  })

  test('stdin to stdout is 8-bit clean, both ways at once', async () => {
    const all = Buffer.alloc(3_000_000, 0)
    for (let index = 0; index < all.length; index += 1) all[index] = (index * 7) & 0xff
    const result = await ssh(['web-01', 'cat'], all)
    expect(result.stdout.equals(all)).toBe(true)
  }, 30_000)

  test('an early end of input', async () => {
    expect((await ssh(['web-01', 'echo early'], 'none')).stdout.toString()).toBe('early\n')
    expect((await ssh(['web-01', 'cat'], Buffer.from(''))).code).toBe(0)
  })

  test('what detectors find is masked, and recorded masked', async () => {
    const result = await ssh(['web-01', 'printf "card %s mail %s" 4111111111111111 dana@example.com'])
    expect(result.stdout.toString()).toBe('card [redacted] mail [redacted]')
    const end = loop.events.findLast((event) => event.kind === 'command.end')
    expect(end).toMatchObject({ masked: 2, tag: 'exit 0', status: 'ok' })
    expect(JSON.stringify(end)).not.toContain('4111111111111111')
  })

  test('a held command waits with a link, and runs when approved', async () => {
    loop.decide = () => 'approved'
    const file = path.join(directory, 'touched')
    const result = await ssh(['web-01', `touch ${file}`])
    expect(result.code).toBe(0)
    expect(result.stderr).toContain('https://s/approvals/a')
    loop.decide = () => 'rejected'
    const rejected = await ssh(['web-01', `touch ${file}2`])
    expect(rejected.code).toBe(126)
    expect(rejected.stderr).toContain('rejected by dana')
  })

  test('a signal to the client ends the command', async () => {
    const running = ssh(['-tt', 'web-01', 'sleep 321'])
    await expect.poll(() => loop.events.some((event) => event.kind === 'command' && event.text === 'sleep 321')).toBe(true)
    running.child.kill('SIGTERM')
    await running
    await expect.poll(() => loop.events.findLast((event) => event.kind === 'command.end')).toMatchObject({ status: expect.stringMatching(/cancelled|error/) })
    await expect.poll(() => spawnSync('pgrep', ['-f', '^sleep 321$']).status).toBe(1)
  })

  test('shell, unknown subsystems and forwarding are denied without a rule', async () => {
    expect(await ssh(['web-01'], Buffer.from('id\n'))).toMatchObject({ code: 126 })
    expect((await ssh(['-s', 'web-01', 'foo'])).code).toBe(126)
    const forward = await ssh(['-W', '127.0.0.1:1', 'web-01'])
    expect(forward.code).not.toBe(0)
    expect(forward.stderr).toContain('open failed')
    expect(loop.events.findLast((event) => event.kind === 'command')).toMatchObject({ text: 'forward 127.0.0.1:1', decision: { verdict: 'deny' } })
  })
})
