import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { fingerprint, generateKeyPair, knownHostsLine, parsePublicKeyLine } from '@sallyport/ssh-keys'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FakeApi } from '../testing/fake-api.js'
import { hasSshd, TestSshd } from '../testing/sshd.js'

/** With OpenSSH's own clients, against a real sshd in the gateway's place: both come with Debian, and .ci/run installs them. */
const main = join(import.meta.dirname, '../../dist/main.js')
const has = (program: string): boolean => spawnSync(program, ['--version']).error === undefined

/** Here an odd name, there a plain one: in scp's old mode the other side's shell reads the path. */
let directory: string
let there: string
let home: string
let sshd: TestSshd
let api: FakeApi
let published: string

beforeEach(async () => {
  if (!hasSshd) return
  directory = mkdtempSync(join(tmpdir(), "sallyport it's a test-"))
  home = join(directory, 'home')
  mkdirSync(join(home, '.ssh'), { recursive: true })
  writeFileSync(join(directory, 'ci.jwt'), 'aaa.bbb.ccc')
  there = mkdtempSync(join(tmpdir(), 'sallyport-sshd-'))
  sshd = await TestSshd.start(there)
  published = `${knownHostsLine({ host: '127.0.0.1', port: sshd.port }, sshd.hostKeyLine)}\n`
  const connection = { host: '127.0.0.1', port: sshd.port, database: 'web-01', user: userInfo().username, sslmode: 'verify-full', ca_pem: '' }
  api = await FakeApi.start({
    'POST /v1/token': (body) => {
      const line = typeof body === 'object' && body !== null && 'public_key' in body ? String(body.public_key) : ''
      writeFileSync(sshd.authorizedKeys, line)
      const key_fingerprint = fingerprint(parsePublicKeyLine(line).blob)
      return [200, { access_token: 'spc_x', credential_id: 'c-1', expires_in: 900, target: { name: 'web-01', protocol: 'ssh' }, username: 'web-01', key_fingerprint, connection }]
    },
    'GET /v1/ssh/known-hosts': () => [200, published],
    'DELETE /v1/credentials/c-1': [200, {}],
  })
})
afterEach(async () => {
  if (!hasSshd) return
  await api.stop()
  await sshd.stop()
  rmSync(directory, { recursive: true })
  rmSync(there, { recursive: true })
})

async function run(...command: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const env = { PATH: process.env['PATH'], HOME: home, TMPDIR: directory, SALLYPORT_URL: api.url, SSH_AUTH_SOCK: '/nonexistent/agent', GIT_SSH_COMMAND: 'false', RSYNC_RSH: 'false' }
  const child = spawn(process.execPath, [main, 'exec', 'web-01', '--token-file', join(directory, 'ci.jwt'), '--', ...command], { stdio: ['ignore', 'pipe', 'pipe'], env })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, stdout, stderr }
}
const leftOver = (): string[] => readdirSync(directory).filter((name) => name.startsWith('sallyport-exec-'))

describe.skipIf(!hasSshd)('sallyport exec with SSH (needs openssh-server)', () => {
  it('runs ssh by the target’s name, exits with its code, revokes, and leaves nothing', async () => {
    const done = await run('ssh', 'web-01', 'echo hello; echo problem >&2; exit 7')
    expect(done).toEqual({ code: 7, stdout: 'hello\n', stderr: 'problem\n' })
    expect(api.requests.map(({ method, path }) => `${method} ${path}`)).toEqual(['POST /v1/token', 'GET /v1/ssh/known-hosts', 'DELETE /v1/credentials/c-1'])
    expect(leftOver()).toEqual([])
    expect(readdirSync(join(home, '.ssh'))).toEqual([])
  })

  it('makes a key of its own for each run, readable by nobody else', async () => {
    const script = 'stat -c %a "$(dirname "$SALLYPORT_SSH_CONFIG")" "$(dirname "$SALLYPORT_SSH_CONFIG")/id_ed25519"'
    const [first, second] = [await run('sh', '-c', script), await run('sh', '-c', script)]
    expect(first).toEqual({ code: 0, stdout: '700\n600\n', stderr: '' })
    expect(second.code).toBe(0)
    const keys = api.requests.flatMap(({ body }) => (typeof body === 'object' && body !== null && 'public_key' in body ? [body.public_key] : []))
    expect(new Set(keys).size).toBe(2)
  })

  it('S8 connects to nobody whose host key is not the published one, and asks for it', async () => {
    published = `${knownHostsLine({ host: '127.0.0.1', port: sshd.port }, generateKeyPair().publicKeyLine)}\n`
    const impostor = await run('ssh', 'web-01', 'echo never')
    expect(impostor).toMatchObject({ code: 255, stdout: '' })
    expect(impostor.stderr).toContain('Host key verification failed')
    published = '* ssh-ed25519 AAAA\n[127.0.0.1]:1 ssh-ed25519 AAAA\n'
    expect(await run('ssh', 'web-01', 'echo never')).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('no host key is published') })
    expect(api.requests.at(-1)?.method).toBe('DELETE')
  })

  it('takes nothing from the user’s own configuration', async () => {
    writeFileSync(join(home, '.ssh', 'config'), 'Host *\n  ProxyCommand false\n  User nobody\n')
    expect(await run('ssh', 'web-01', 'echo hello')).toMatchObject({ code: 0, stdout: 'hello\n' })
  })

  it('copies by scp in both modes, and by sftp', async () => {
    writeFileSync(join(there, 'file'), 'content')
    for (const mode of ['-s', '-O']) {
      expect((await run('scp', '-q', mode, `web-01:${there}/file`, join(directory, `here${mode}`))).stderr).toBe('')
      expect(readFileSync(join(directory, `here${mode}`), 'utf8')).toBe('content')
    }
    expect((await run('sh', '-c', `echo 'get ${there}/file got' | (cd "$TMPDIR" && sftp -q -b - web-01)`)).code).toBe(0)
    expect(readFileSync(join(directory, 'got'), 'utf8')).toBe('content')
  })

  it.skipIf(!has('rsync'))('copies by rsync', async () => {
    mkdirSync(join(there, 'tree'))
    writeFileSync(join(there, 'tree', 'a'), 'content')
    expect(await run('rsync', '-a', '-s', `web-01:${there}/tree/`, join(directory, 'copy'))).toMatchObject({ code: 0 })
    expect(readFileSync(join(directory, 'copy', 'a'), 'utf8')).toBe('content')
  })

  it.skipIf(!has('git'))('clones by git', async () => {
    const repository = join(there, 'repository')
    const git = (...args: string[]): void => expect(spawnSync('git', ['-C', repository, '-c', 'user.name=a', '-c', 'user.email=a@b', ...args]).status).toBe(0)
    mkdirSync(repository)
    git('init', '-q')
    git('commit', '-q', '--allow-empty', '-m', 'first')
    const done = await run('git', 'clone', '-q', `ssh://web-01${repository}`, join(directory, 'clone'))
    expect(done).toMatchObject({ code: 0, stderr: '' })
    expect(existsSync(join(directory, 'clone', '.git'))).toBe(true)
  })
})
