import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import path from 'node:path'
import { generateKeyPair, type GeneratedKeyPair } from '@sallyport/ssh-keys'

export const sshdPath = '/usr/sbin/sshd'
export const hasSshd = existsSync(sshdPath)

/** A real OpenSSH server on a free loopback port, as the current user; nothing of the machine's configuration is used. */
export class Sshd {
  readonly directory = mkdtempSync(path.join(tmpdir(), 'sallyport-sshd-'))
  readonly login = userInfo().username
  readonly authority = generateKeyPair('authority')
  readonly hostKey: GeneratedKeyPair = generateKeyPair('host')
  /** A key that may log in directly. */
  readonly userKey = generateKeyPair('direct')
  port = 0
  #child: ChildProcess | undefined
  log = ''

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  get hostKeyLine(): string {
    return this.hostKey.publicKeyLine.split(' ').slice(0, 2).join(' ')
  }

  async start(options: readonly string[] = []): Promise<void> {
    this.port = await freePort()
    const file = (name: string, text: string): string => {
      const at = path.join(this.directory, name)
      writeFileSync(at, text, { mode: 0o600 })
      return at
    }
    // sshd of Debian wants it when it runs as root; the package's own start-up makes it likewise.
    if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
    const config = file(
      'sshd_config',
      [
        `Port ${this.port}`,
        'ListenAddress 127.0.0.1',
        `HostKey ${file('host_key', this.hostKey.privateKeyPem)}`,
        `TrustedUserCAKeys ${file('ca.pub', this.authority.publicKeyLine + '\n')}`,
        `AuthorizedKeysFile ${file('authorized_keys', this.userKey.publicKeyLine + '\n')}`,
        `PidFile ${path.join(this.directory, 'pid')}`,
        `AllowUsers ${this.login}`,
        'PermitRootLogin prohibit-password',
        'PasswordAuthentication no',
        'KbdInteractiveAuthentication no',
        'UsePAM no',
        'StrictModes no',
        'AcceptEnv LANG LC_* DEPLOY_*',
        'MaxStartups 100',
        'MaxSessions 64',
        'Subsystem sftp internal-sftp',
        ...options,
        '',
      ].join('\n'),
    )
    const child = spawn(sshdPath, ['-D', '-e', '-f', config], { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#child = child
    await new Promise<void>((resolve, reject) => {
      child.once('exit', () => reject(new Error(`sshd ended: ${this.log}`)))
      child.stderr.on('data', (bytes: Buffer) => {
        this.log += bytes.toString()
        if (this.log.includes('Server listening')) resolve()
      })
    })
  }

  /** The private key that may log in directly, as a file. */
  identityFile(): string {
    const at = path.join(this.directory, 'direct_key')
    writeFileSync(at, this.userKey.privateKeyPem, { mode: 0o600 })
    return at
  }

  caKeyFile(): string {
    const at = path.join(this.directory, 'ca_key')
    writeFileSync(at, this.authority.privateKeyPem, { mode: 0o600 })
    return at
  }

  async stop(): Promise<void> {
    const child = this.#child
    if (child && child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      await gone
    }
    rmSync(this.directory, { recursive: true, force: true })
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => (typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port'))))
    })
  })
}
