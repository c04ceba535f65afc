import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { generateKeyPair } from '@sallyport/ssh-keys'

const program = '/usr/sbin/sshd'
/** Debian's openssh-server, which .ci/run installs. */
export const hasSshd = existsSync(program)

/** A real sshd in the gateway's place, on loopback, as the current user: it takes the keys in `authorizedKeys`. */
export class TestSshd {
  private constructor(
    private readonly child: ChildProcess,
    readonly port: number,
    readonly authorizedKeys: string,
    readonly hostKeyLine: string,
  ) {}

  static async start(directory: string): Promise<TestSshd> {
    const hostKey = generateKeyPair()
    const file = (name: string, text: string): string => {
      writeFileSync(join(directory, name), text, { mode: 0o600 })
      return join(directory, name)
    }
    const port = await freePort()
    // As root it wants this folder; it's a part of the running system, not of its configuration.
    if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
    const authorizedKeys = file('authorized_keys', '')
    const config = [
      `ListenAddress 127.0.0.1:${port}`,
      `HostKey ${file('host_key', hostKey.privateKeyPem)}`,
      `AuthorizedKeysFile ${authorizedKeys}`,
      'Subsystem sftp internal-sftp',
      'PidFile none',
      'UsePAM no',
      'PasswordAuthentication no',
      'PermitRootLogin prohibit-password',
      'StrictModes no',
    ]
    const child = spawn(program, ['-D', '-e', '-f', file('sshd_config', config.map((line) => `${line}\n`).join(''))], { stdio: 'ignore' })
    const sshd = new TestSshd(child, port, authorizedKeys, hostKey.publicKeyLine)
    await sshd.#listening()
    return sshd
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    this.child.kill()
    await once(this.child, 'exit')
  }

  async #listening(): Promise<void> {
    for (let attempt = 0; attempt < 100; attempt += 1) {
      const socket = connect(this.port, '127.0.0.1')
      const isUp = await new Promise<boolean>((resolve) => socket.once('connect', () => resolve(true)).once('error', () => resolve(false)))
      socket.destroy()
      if (isUp) return
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    throw new Error('sshd did not start')
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  return typeof address === 'object' && address !== null ? address.port : 0
}
