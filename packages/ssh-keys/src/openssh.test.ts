import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { certificateLine, parseCertificateLine } from './certificate.js'
import { knownHostsLine } from './known-hosts.js'
import { generateKeyPair, parsePrivateKey } from './private-key.js'
import { fingerprint, parsePublicKeyLine, publicKeyLine, publicKeyOf } from './public-key.js'
import { signCertificate, type CertificateFacts } from './sign-certificate.js'
import { verifyCertificate } from './verify-certificate.js'

/** Against OpenSSH itself: Debian's openssh-client and openssh-server, which .ci/run installs. */
const sshd = '/usr/sbin/sshd'
const hasKeygen = spawnSync('ssh-keygen', ['-?']).error === undefined
const hasServer = hasKeygen && existsSync(sshd)

let directory: string

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'sallyport-ssh-keys-'))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const path = (name: string): string => join(directory, name)
function write(name: string, text: string): string {
  writeFileSync(path(name), text, { mode: 0o600 })
  return path(name)
}
function keygen(...args: string[]): string {
  const run = spawnSync('ssh-keygen', args, { encoding: 'utf8' })
  expect(run.status, `${run.stdout}${run.stderr}`).toBe(0)
  return run.stdout
}

describe.skipIf(!hasKeygen)('ssh-keygen (openssh-client)', () => {
  it.each([
    ['ed25519', '256'],
    ['ecdsa', '256'],
    ['ecdsa', '384'],
    ['ecdsa', '521'],
    ['rsa', '2048'],
  ])('writes %s %s keys that we read, with its fingerprints', (type, bits) => {
    const name = `${type}-${bits}`
    keygen('-q', '-t', type, '-b', bits, '-N', '', '-C', 'someone', '-f', path(name))
    const key = parsePublicKeyLine(readFileSync(path(`${name}.pub`), 'utf8'))
    expect(keygen('-l', '-f', path(name))).toContain(fingerprint(key.blob))
    expect(publicKeyOf(parsePrivateKey(readFileSync(path(name), 'utf8'))).blob).toEqual(key.blob)
  })

  it('reads the keys that we write', () => {
    for (const type of ['ssh-ed25519', 'ecdsa-sha2-nistp256'] as const) {
      const pair = generateKeyPair('made here', type)
      expect(keygen('-y', '-f', write(`ours-${type}`, pair.privateKeyPem)).trim()).toBe(pair.publicKeyLine)
    }
  })

  it('refuses to open its encrypted keys with us', () => {
    keygen('-q', '-t', 'ed25519', '-N', 'a passphrase', '-f', path('locked'))
    expect(() => parsePrivateKey(readFileSync(path('locked'), 'utf8'))).toThrow('encrypted')
  })

  it.each(['ed25519', 'ecdsa', 'rsa'])('signs certificates with an %s authority that we verify', (type) => {
    keygen('-q', '-t', type, '-N', '', '-f', path(`ca-${type}`))
    const user = generateKeyPair()
    const file = write(`user-${type}.pub`, user.publicKeyLine)
    const options = ['-O', 'force-command=uptime', '-O', 'source-address=10.0.0.0/8', '-O', 'no-agent-forwarding']
    keygen('-q', '-s', path(`ca-${type}`), '-I', 'an id', '-n', 'web-01,web-02', '-z', '77', '-V', '-1m:+5m', ...options, file)
    const certificate = parseCertificateLine(readFileSync(path(`user-${type}-cert.pub`), 'utf8'))
    const cas = [parsePublicKeyLine(readFileSync(path(`ca-${type}.pub`), 'utf8')).blob]
    const verified = verifyCertificate(certificate, { cas, now: new Date(), principal: 'web-02', sourceAddress: '10.9.9.9' })
    expect(verified).toMatchObject({ serial: 77n, keyId: 'an id', principals: ['web-01', 'web-02'], forceCommand: 'uptime' })
    expect([...verified.extensions]).toEqual(['permit-X11-forwarding', 'permit-port-forwarding', 'permit-pty', 'permit-user-rc'])
    expect(() => verifyCertificate(certificate, { cas, now: new Date(), principal: 'web-02', sourceAddress: '192.0.2.1' })).toThrow('from this address')
  })

  it('signs critical options that we do not know, and refuse', () => {
    keygen('-q', '-t', 'ed25519', '-N', '', '-f', path('ca-critical'))
    const file = write('critical.pub', generateKeyPair().publicKeyLine)
    keygen('-q', '-s', path('ca-critical'), '-I', 'i', '-n', 'web-01', '-V', '-1m:+5m', '-O', 'critical:only-on@example.com=tuesdays', file)
    const cas = [parsePublicKeyLine(readFileSync(path('ca-critical.pub'), 'utf8')).blob]
    const certificate = parseCertificateLine(readFileSync(path('critical-cert.pub'), 'utf8'))
    expect(() => verifyCertificate(certificate, { cas, now: new Date(), principal: 'web-01', sourceAddress: '::1' })).toThrow('only-on@example.com')
  })

  it('shows our certificates field by field', () => {
    const ca = generateKeyPair()
    const user = generateKeyPair()
    const validAfter = new Date(Date.now() - 60_000)
    const facts = { authority: ca.privateKey, subject: user.publicKey, serial: 2n ** 64n - 1n, keyId: 'session 1', principals: ['root', 'deploy'] }
    const made = signCertificate({ ...facts, validAfter, validBefore: new Date(validAfter.getTime() + 360_000), forceCommand: 'id', sourceAddresses: ['::1'], extensions: ['permit-pty'] })
    const shown = keygen('-L', '-f', write('made-cert.pub', certificateLine(made)))
    for (const text of ['ssh-ed25519-cert-v01@openssh.com user certificate', 'Key ID: "session 1"', 'Serial: 18446744073709551615', 'root', 'deploy', 'force-command id', 'source-address ::1', 'permit-pty', fingerprint(ca.publicKey.blob), fingerprint(user.publicKey.blob)]) {
      expect(shown).toContain(text)
    }
  })

  it('finds our known_hosts lines by address, and by no other', () => {
    const { publicKeyLine: line } = generateKeyPair()
    const file = write('known', `${knownHostsLine({ host: 'gw.example', port: 22 }, line)}\n${knownHostsLine({ host: '127.0.0.1', port: 2222 }, line)}\n`)
    expect(keygen('-F', 'gw.example', '-f', file)).toContain('found')
    expect(keygen('-F', '[127.0.0.1]:2222', '-f', file)).toContain('found')
    expect(spawnSync('ssh-keygen', ['-F', '127.0.0.1', '-f', file]).status).toBe(1)
    expect(() => knownHostsLine({ host: '*', port: 22 }, line)).toThrow('letters, digits')
    expect(() => knownHostsLine({ host: 'a,b', port: 22 }, line)).toThrow('letters, digits')
  })
})

describe.skipIf(!hasServer)('sshd (openssh-server)', () => {
  const ca = generateKeyPair('ca')
  const user = generateKeyPair('user')
  const login = userInfo().username
  let server: ChildProcess
  let port: number

  beforeAll(async () => {
    port = await freePort()
    // Where sshd as root keeps its unprivileged half; a part of the running system, not of its configuration.
    if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
    const config = [
      `ListenAddress 127.0.0.1:${port}`,
      `HostKey ${write('host', generateKeyPair().privateKeyPem)}`,
      `TrustedUserCAKeys ${write('ca.pub', ca.publicKeyLine)}`,
      'AuthorizedKeysFile none',
      'AuthorizedPrincipalsFile none',
      'PidFile none',
      'UsePAM no',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'PermitRootLogin prohibit-password',
      'StrictModes no',
    ]
    server = spawn(sshd, ['-D', '-e', '-f', write('sshd_config', `${config.join('\n')}\n`)], { stdio: 'ignore' })
    await listening(port)
  })
  afterAll(async () => {
    server.kill()
    if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
  })

  function ssh(facts: Partial<CertificateFacts>, ...command: string[]) {
    const now = Date.now()
    const times = { validAfter: new Date(now - 60_000), validBefore: new Date(now + 300_000) }
    const made = signCertificate({ authority: ca.privateKey, subject: user.publicKey, serial: 1n, keyId: 'k', principals: [login], ...times, ...facts })
    const key = write('id', user.privateKeyPem)
    write('id-cert.pub', certificateLine(made))
    const options = ['-F', 'none', '-i', key, '-o', 'IdentitiesOnly=yes', '-o', 'IdentityAgent=none', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=no', '-o', `UserKnownHostsFile=${path('seen')}`]
    return spawnSync('ssh', [...options, '-p', String(port), `${login}@127.0.0.1`, ...command], { encoding: 'utf8', timeout: 15_000 })
  }

  it('accepts a certificate that we signed, and only what it permits', () => {
    expect(ssh({}, 'echo', 'hello')).toMatchObject({ status: 0, stdout: 'hello\n' })
    expect(ssh({ forceCommand: 'echo forced' }, 'echo', 'hello')).toMatchObject({ status: 0, stdout: 'forced\n' })
  })

  it('refuses one for another login, one that has expired, and one of another authority', () => {
    for (const facts of [{ principals: ['someone-else'] }, { validBefore: new Date(Date.now() - 30_000) }, { authority: generateKeyPair().privateKey }]) {
      const refused = ssh(facts, 'true')
      expect(refused.status).toBe(255)
      expect(refused.stderr).toContain('Permission denied')
    }
  })

  it('shows the host key that its public line names', () => {
    const line = publicKeyLine(publicKeyOf(parsePrivateKey(readFileSync(path('host'), 'utf8'))))
    const scan = spawnSync('ssh-keyscan', ['-t', 'ed25519', '-p', String(port), '127.0.0.1'], { encoding: 'utf8', timeout: 15_000 })
    expect(scan.stdout.trim().split('\n')).toContain(knownHostsLine({ host: '127.0.0.1', port }, line))
  })
})

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address() as AddressInfo
  probe.close()
  return address.port
}

async function listening(port: number): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    const socket = connect(port, '127.0.0.1')
    const isUp = await Promise.race([once(socket, 'connect').then(() => true), once(socket, 'error').then(() => false)]).catch(() => false)
    socket.destroy()
    if (isUp) return
    if (attempt === 100) throw new Error('sshd did not start')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
