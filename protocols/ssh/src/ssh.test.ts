import { spawn, spawnSync } from 'node:child_process'
import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decodeChunks, type RecordedChunk } from '@sallyport/kit'
import type { Rule, SessionTerms } from '@sallyport/policy'
import { generateKeyPair, knownHostsLine } from '@sallyport/ssh-keys'
import { Loopback } from './testing/loopback.js'
import { freePort, hasSshd, Sshd } from './testing/sshd.js'

const rule = (verdict: Rule['verdict'], actions: string[], more: Partial<Rule> = {}): Rule => ({ policy: 'p', index: 0, verdict, actions, on: [], ...more })
const rules: Rule[] = [
  rule('allow', ['ssh.exec'], { argv: ['echo ...', 'cat ...', 'sh', 'sleep *', 'printf ...', 'head ...', 'tr ...', 'stty ...', 'env', 'wc ...', 'kill ...', 'exit ...', 'false'] }),
  rule('hold', ['ssh.exec'], { argv: ['touch **'], approvers: { groups: ['dba'], quorum: 1 } }),
  rule('allow', ['ssh.redirect.write'], { on: ['/dev/stderr'] }),
]
/** Added once the folder's name is known. */
const folderRules = (folder: string): Rule[] => [
  rule('allow', ['ssh.sftp.read', 'ssh.sftp.browse', 'ssh.sftp.change'], { on: [`${folder}/*`, folder] }),
  rule('allow', ['ssh.exec'], { argv: [`git-upload-pack ${folder}/**`] }),
]

/** Of the sessions that begin from now on. */
const terms: { -readonly [name in keyof SessionTerms]?: SessionTerms[name] } = {}
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
  return run('ssh', ['-F', path.join(directory, 'config'), ...args], input)
}

function run(program: string, args: readonly string[], input?: Buffer | 'none'): Promise<Result> & { child: ReturnType<typeof spawn> } {
  const child = spawn(program, args, { stdio: [input === 'none' ? 'ignore' : 'pipe', 'pipe', 'pipe'] })
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
  mkdirSync(path.join(directory, 'files'))
  loop = new Loopback({
    spec: { address: sshd.address, logins: [sshd.login], hostKeys: [sshd.hostKeyLine], credential: { certificate: { caKey: `file:${sshd.caKeyFile()}` } } },
    rules: [...rules, ...folderRules(path.join(directory, 'files')), rule('allow', ['ssh.forward', 'ssh.reverse_forward'], { on: ['127.0.0.1:*', 'localhost:*'] })],
    masks: [{ policy: 'p', index: 0, with: 'redact', detect: ['credit_card', 'email'] }],
    terms,
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

  test.each([
    ['key exchange', '-oKexAlgorithms=diffie-hellman-group14-sha1'],
    ['cipher', '-oCiphers=aes128-cbc'],
    ['MAC', '-oMACs=hmac-sha1'],
    ['host key type', '-oHostKeyAlgorithms=ssh-rsa'],
  ])('an old %s is refused', async (_what, option) => {
    // With an AEAD cipher there is no MAC to agree on.
    const result = await ssh([option, ...(option.startsWith('-oMACs') ? ['-oCiphers=aes128-ctr'] : []), 'web-01', 'echo old'])
    expect(result).toMatchObject({ code: 255, stderr: expect.stringContaining('no matching') })
  })

  test('keys are exchanged anew in mid-transfer, in both directions', async () => {
    // No ASCII: in six megabytes of noise a mask finds an address now and then.
    const bytes = Buffer.from(randomBytes(6_000_000).map((byte) => byte | 0x80))
    const result = await ssh(['-oRekeyLimit=1M', 'web-01', 'cat'], bytes)
    expect(result.stdout.equals(bytes)).toBe(true)
  }, 30_000)

  test('channels of one connection: a stopped one delays no other, and the master ends with its session', async () => {
    const socket = path.join(directory, 'mux')
    const master = ssh(['-M', '-S', socket, '-N', 'web-01'])
    await expect.poll(() => existsSync(socket), { timeout: 10_000 }).toBe(true)
    const stopped = ssh(['-S', socket, 'web-01', 'cat /dev/zero'])
    stopped.child.stdout?.pause()
    await expect.poll(() => loop.events.some((event) => event.kind === 'command' && event.text === 'cat /dev/zero'), { timeout: 10_000 }).toBe(true)
    expect((await ssh(['-S', socket, 'web-01', 'echo beside'])).stdout.toString()).toBe('beside\n')
    stopped.child.kill('SIGKILL')
    master.child.kill('SIGTERM')
    await master
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

  const recordingOf = (command: number, from: number): RecordedChunk[] =>
    loop.events.slice(from).flatMap((event) => (event.kind === 'recording' && event.command === command ? (decodeChunks(loop.payloads.get(event) ?? Buffer.of()) as RecordedChunk[]) : []))
  const shown = (chunks: readonly RecordedChunk[], stream: RecordedChunk['s']): string =>
    Buffer.concat(chunks.filter(({ s }) => s === stream).map(({ d, b }) => Buffer.from(d, b ? 'base64' : 'utf8'))).toString()

  test('a command without a terminal is recorded: stdout and stderr, masked, up to the cap, before its end', async () => {
    const from = loop.events.length
    expect((await ssh(['web-01', 'echo 4111111111111111; cat /nowhere'])).code).toBe(1)
    expect(loop.events.slice(from).map(({ kind }) => kind)).toEqual(['command', 'recording', 'command.end'])
    const chunks = recordingOf(1, from)
    expect(shown(chunks, 'o')).toBe('[redacted]\n')
    expect(shown(chunks, 'e')).toContain('/nowhere')
    expect(loop.events.slice(from).map((event) => loop.payloads.get(event)?.toString() ?? '').join('')).not.toContain('4111')
    const long = loop.events.length
    await ssh(['web-01', 'head -c 100000 /dev/zero'])
    expect(shown(recordingOf(1, long), 'o').length).toBeLessThanOrEqual(8192)
    expect(loop.events.findLast((event) => event.kind === 'recording')).toMatchObject({ last: true, truncated: true })
    expect(JSON.stringify(loop.events.findLast((event) => event.kind === 'command.end')).length).toBeLessThan(40_000)
  })

  test('a terminal is recorded with its size; what is typed only where the policy says so', async () => {
    const typed = async (): Promise<RecordedChunk[]> => {
      const from = loop.events.length
      await ssh(['-tt', 'web-01', 'stty -echo rows 33; head -n 1'], Buffer.from('typed-secret 4111111111111111\n'))
      return recordingOf(1, from)
    }
    const quiet = await typed()
    expect(quiet[0]).toMatchObject({ s: 'r' })
    expect(shown(quiet, 'i')).toBe('')
    // What the terminal echoes is output, and recorded as such.
    expect(shown(quiet, 'o')).toContain('[redacted]')
    terms.record_input = true
    const full = await typed().finally(() => (terms.record_input = false))
    expect(shown(full, 'i')).toBe('typed-secret [redacted]\n')
    terms.record_terminal_bytes = 0
    expect(await typed().finally(() => (terms.record_terminal_bytes = 1_048_576))).toEqual([])
  })

  test('R what can not be recorded does not go on: the session ends', async () => {
    loop.spoolFull = true
    const result = await ssh(['web-01', 'echo begin; sleep 7']).finally(() => (loop.spoolFull = false))
    expect(result.code).not.toBe(0)
    await expect.poll(() => loop.ends.at(-1)).toMatchObject({ reason: 'audit_unavailable' })
  })

  test('files that are copied, and packs, are not recorded', async () => {
    writeFileSync(path.join(directory, 'files', 'private'), 'content-of-the-file')
    const from = loop.events.length
    await run('scp', ['-O', '-F', path.join(directory, 'config'), `web-01:${directory}/files/private`, path.join(directory, 'copied')])
    expect(readFileSync(path.join(directory, 'copied'), 'utf8')).toBe('content-of-the-file')
    expect(JSON.stringify(loop.events.slice(from))).not.toContain('content-of-the-file')
  })

  test('shell, unknown subsystems and forwarding are denied without a rule', async () => {
    expect(await ssh(['web-01'], Buffer.from('id\n'))).toMatchObject({ code: 126 })
    expect((await ssh(['-s', 'web-01', 'foo'])).code).toBe(126)
    const forward = await ssh(['-W', '10.0.0.1:1', 'web-01'])
    expect(forward.code).not.toBe(0)
    expect(forward.stderr).toContain('open failed')
    expect(loop.events.findLast((event) => event.kind === 'command')).toMatchObject({ text: 'forward 10.0.0.1:1', decision: { verdict: 'deny' } })
  })

  const config = (): string => path.join(directory, 'config')
  const file = (name: string): string => path.join(directory, 'files', name)
  const ends = (): string[] => loop.events.flatMap((event) => (event.kind === 'command.end' && event.sha256 !== undefined ? [event.sha256] : []))
  const sha = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

  test.each([
    ['sftp', [] as string[]],
    ['legacy', ['-O']],
  ])('scp in %s mode, both ways, byte for byte, with size and hash in the record', async (mode, flags) => {
    const bytes = randomBytes(3_000_000)
    const local = path.join(directory, `local-${mode}`)
    writeFileSync(local, bytes)
    const up = await run('scp', [...flags, '-q', '-F', config(), local, `web-01:${file(mode)}`])
    expect(up).toMatchObject({ code: 0, stderr: '' })
    expect(readFileSync(file(mode)).equals(bytes)).toBe(true)
    const down = await run('scp', [...flags, '-q', '-F', config(), `web-01:${file(mode)}`, `${local}.back`])
    expect(down).toMatchObject({ code: 0, stderr: '' })
    expect(readFileSync(`${local}.back`).equals(bytes)).toBe(true)
    expect(ends().filter((hash) => hash === sha(bytes))).toHaveLength(2)
    const denied = await run('scp', [...flags, '-q', '-F', config(), 'web-01:/etc/hostname', `${local}.no`])
    expect(denied.code).not.toBe(0)
    expect(denied.stderr).toContain('Sallyport')
    expect(existsSync(`${local}.no`)).toBe(false)
    ends().length = 0
    loop.events.length = 0
  }, 30_000)

  test('sftp decides by the canonical path: a link out of the folder leads nowhere', async () => {
    symlinkSync('/etc', file('way-out'))
    writeFileSync(file('inside'), 'inside')
    const batch = path.join(directory, 'batch')
    writeFileSync(batch, `get ${file('inside')} ${directory}/got\n-get ${file('way-out')}/hostname ${directory}/not\n-rm ${file('inside')}\nls ${directory}/files\n`)
    const result = await run('sftp', ['-F', config(), '-b', batch, 'web-01'])
    expect(readFileSync(path.join(directory, 'got'), 'utf8')).toBe('inside')
    expect(existsSync(path.join(directory, 'not'))).toBe(false)
    expect(existsSync(file('inside'))).toBe(true)
    expect(result.stderr).toContain('Permission denied')
    expect(loop.events).toContainEqual(expect.objectContaining({ kind: 'command', decision: expect.objectContaining({ verdict: 'deny', reason: expect.stringContaining('/etc/hostname') }) }))
  }, 30_000)

  test.each([
    ['exec', 'ssh', ['web-01', 'echo shown'], (event: { tag?: string }) => event.tag === 'exit 0'],
    ['sftp get', 'sftp', ['web-01:FOLDER/from', 'INTO'], (event: { tag?: string }) => event.tag === 'complete'],
    ['sftp put', 'sftp', ['-b', 'PUT', 'web-01'], (event: { tag?: string }) => event.tag === 'complete'],
    ['scp -O, from', 'scp', ['-O', 'web-01:FOLDER/from', 'INTO'], (event: { tag?: string }) => event.tag === 'complete'],
    ['scp -O, to', 'scp', ['-O', 'FROM', 'web-01:FOLDER/to'], (event: { tag?: string }) => event.tag === 'complete'],
  ] as const)('strict: the client of %s sees no end before that is durable, and a failure when it never is', async (name, program, args, isIt) => {
    const into = path.join(directory, 'into')
    const from = path.join(directory, 'files', 'from')
    writeFileSync(from, 'content')
    writeFileSync(path.join(directory, 'put'), `put ${from} ${path.join(directory, 'files')}/to\n`)
    const filled = args.map((text) => text.replace('FOLDER', path.join(directory, 'files')).replace('INTO', into).replace('FROM', from).replace('PUT', path.join(directory, 'put')))
    terms.audit = 'strict'
    try {
      for (const lasting of [false, true]) {
        const reached = Promise.withResolvers<void>()
        const end = Promise.withResolvers<void>()
        loop.durable = (event) => {
          if (event?.kind !== 'command.end' || !isIt(event)) return Promise.resolve()
          reached.resolve()
          return end.promise
        }
        const client = run(program, ['-F', path.join(directory, 'config'), ...filled], 'none')
        let over = false
        void client.then(() => (over = true))
        await reached.promise
        await new Promise((resolve) => setTimeout(resolve, 150))
        expect([name, over]).toEqual([name, false])
        if (lasting) end.resolve()
        else end.reject(new Error('never durable'))
        const { code } = await client
        expect([name, code === 0]).toEqual([name, lasting])
      }
    } finally {
      delete terms.audit
      loop.durable = () => Promise.resolve()
    }
  })

  test('rsync, both ways', async () => {
    const bytes = randomBytes(500_000)
    const local = path.join(directory, 'rsync-local')
    writeFileSync(local, bytes)
    const shell = `ssh -F ${config()}`
    expect(await run('rsync', ['-a', '-e', shell, local, `web-01:${file('')}`])).toMatchObject({ code: 0, stderr: '' })
    expect(readFileSync(file('rsync-local')).equals(bytes)).toBe(true)
    expect(await run('rsync', ['-az', '-e', shell, `web-01:${file('rsync-local')}`, `${local}.back`])).toMatchObject({ code: 0, stderr: '' })
    expect(readFileSync(`${local}.back`).equals(bytes)).toBe(true)
    const denied = await run('rsync', ['-a', '-e', shell, 'web-01:/etc/hostname', `${local}.no`])
    expect(denied.code).not.toBe(0)
    expect(denied.stderr).toContain('Sallyport')
  }, 30_000)

  test('git clone', async () => {
    const repository = file('repo.git')
    const git = (...args: string[]): void => void execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b.example', ...args], { stdio: 'pipe' })
    git('init', '-q', path.join(directory, 'work'))
    writeFileSync(path.join(directory, 'work', 'mail.txt'), 'dana@example.com 4111 1111 1111 1111\n')
    git('-C', path.join(directory, 'work'), 'add', '.')
    git('-C', path.join(directory, 'work'), 'commit', '-qm', 'mail dana@example.com')
    git('clone', '-q', '--bare', path.join(directory, 'work'), repository)
    const cloned = await run('git', ['-c', `core.sshCommand=ssh -F ${config()}`, '-c', 'safe.directory=*', 'clone', '-q', `web-01:${repository}`, path.join(directory, 'cloned')])
    expect(cloned).toMatchObject({ code: 0 })
    expect(readFileSync(path.join(directory, 'cloned', 'mail.txt'), 'utf8')).toContain('dana@example.com')
  }, 30_000)

  test('-L and -R carry bytes where a rule allows it', async () => {
    const echo = net.createServer((socket) => socket.pipe(socket))
    await new Promise<void>((resolve) => {
      echo.listen(0, '127.0.0.1', resolve)
    })
    const at = echo.address()
    const target = typeof at === 'object' && at !== null ? at.port : 0
    const [local, remote] = [await freePort(), await freePort()]
    const forwarding = ssh(['-N', '-o', 'ExitOnForwardFailure=yes', '-L', `127.0.0.1:${local}:127.0.0.1:${target}`, '-R', `127.0.0.1:${remote}:127.0.0.1:${target}`, 'web-01'])
    const bytes = randomBytes(300_000)
    for (const port of [local, remote]) {
      await expect.poll(() => roundTrip(port, bytes).then((back) => back.equals(bytes), () => false), { timeout: 10_000 }).toBe(true)
    }
    forwarding.child.kill('SIGTERM')
    await forwarding
    echo.close()
  }, 30_000)
})

function roundTrip(port: number, bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1')
    const got: Buffer[] = []
    socket.on('error', reject)
    socket.on('data', (chunk: Buffer) => got.push(chunk))
    socket.on('end', () => resolve(Buffer.concat(got)))
    socket.end(bytes)
  })
}
