import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { freePort } from '@sallyport/embedded-postgres'
import { certificateLine, generateKeyPair, knownHostsLine, parsePrivateKey, publicKeyLine, publicKeyOf, signCertificate } from '@sallyport/ssh-keys'
import type { HostFacts } from '../demo/documents.js'
import { prepareProject } from '../demo/project.js'
import type { Resources } from '../process/resources.js'
import type { Watchdog } from '../process/watchdog.js'

export const demoHostName = 'web-01'

const sshd = '/usr/sbin/sshd'
const readyMilliseconds = 10_000
const directDays = 30

/** The demo's host, as the agent will reach it and as tests and benchmarks look behind Sallyport's back. */
export interface DemoHost {
  /** The same at every start, as long as the port is. */
  readonly facts: HostFacts
  readonly pid: number
  readonly directUrl: string
  /** May log in directly: ssh finds the certificate beside it. */
  readonly identityFile: string
  /** Of the host itself, not of the gateway. */
  readonly knownHostsFile: string
}

export interface HostOptions {
  readonly dataDirectory: string
  readonly logFile: string
  /** 0: any free one. */
  readonly port: number
  readonly say: (text: string) => void
}

/**
 * A real sshd on loopback, as the current user, who is also the only one to log in. All that it reads and writes lies in
 * the data directory; it trusts nothing but certificates of the agent's CA. Undefined, with a message, where OpenSSH's
 * server isn't installed or doesn't start: the rest of the demo doesn't need it.
 */
export async function startHost(options: HostOptions, watchdog: Watchdog, resources: Resources): Promise<DemoHost | undefined> {
  const { dataDirectory, logFile, say } = options
  if (!existsSync(sshd)) {
    say(`no target ${demoHostName}: ${sshd} isn't there (Debian: apt install openssh-server)`)
    return undefined
  }
  const directory = join(dataDirectory, 'host')
  mkdirSync(directory, { recursive: true, mode: 0o755 })
  const projectDirectory = join(directory, 'shop')
  prepareProject(projectDirectory)
  const login = userInfo().username
  const hostKey = keptKey(join(directory, 'host-key'))
  const authority = keptKey(join(directory, 'ca-key'))
  writeFileSync(join(directory, 'ca.pub'), `${authority.publicLine}\n`)
  const identityFile = directIdentity(directory, login, authority.pem)

  const port = options.port === 0 ? await freePort() : options.port
  const knownHostsFile = join(directory, 'known_hosts')
  writeFileSync(knownHostsFile, `${knownHostsLine({ host: '127.0.0.1', port }, hostKey.publicLine)}\n`)
  const configFile = join(directory, 'sshd_config')
  writeFileSync(configFile, sshdConfig({ directory, port, login }))
  // Root's sshd locks itself in there before log-in. Debian's start-up makes it in the same way; it's gone at the next boot.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
  resources.ensureOpen()
  const started = await startSshd(configFile, logFile, port, watchdog, resources)
  if (typeof started === 'string') {
    say(`no target ${demoHostName}: ${started}`)
    return undefined
  }
  return {
    facts: { address: `127.0.0.1:${port}`, login, hostKey: hostKey.publicLine, caKeyFile: join(directory, 'ca-key'), projectDirectory },
    identityFile, knownHostsFile,
    pid: started.pid,
    directUrl: `ssh://${login}@127.0.0.1:${port}`,
  }
}

/** sshd_config(5). Everything that has a default elsewhere on the machine is said here. */
function sshdConfig({ directory, port, login }: { directory: string; port: number; login: string }): string {
  const file = (name: string): string => `"${join(directory, name)}"`
  return [
    'ListenAddress 127.0.0.1',
    `Port ${port}`,
    `HostKey ${file('host-key')}`,
    'PidFile none',
    `TrustedUserCAKeys ${file('ca.pub')}`,
    'AuthorizedPrincipalsFile none',
    'AuthorizedKeysFile none',
    `AllowUsers ${login}`,
    'PermitRootLogin prohibit-password',
    'PubkeyAuthentication yes',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'UsePAM no',
    'PrintMotd no',
    'PrintLastLog no',
    'AcceptEnv LANG LC_*',
    'X11Forwarding no',
    'Subsystem sftp internal-sftp',
    // Benchmarks and tests log in many times at once; the default drops them at random from the tenth on.
    'MaxStartups 500',
    'MaxSessions 200',
    '',
  ].join('\n')
}

/** The running server, or why there is none. */
async function startSshd(configFile: string, logFile: string, port: number, watchdog: Watchdog, resources: Resources): Promise<{ pid: number } | string> {
  const log = openSync(logFile, 'a')
  const before = fstatSync(log).size
  const said = (): string => readFileSync(logFile).subarray(before).toString('utf8')
  const child = spawn(sshd, ['-D', '-e', '-f', configFile], { detached: true, stdio: ['ignore', 'ignore', log], env: { PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin' } })
  closeSync(log)
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  const { pid } = child
  if (pid === undefined) return gone.then(() => `${sshd} can't be run`)
  watchdog.started(pid)
  void gone.then(() => watchdog.gone(pid))
  resources.defer(() => stop(child, gone))
  const deadline = Date.now() + readyMilliseconds
  while (running(child)) {
    // Its own word: something that answers on the port could be another server, started at the same moment.
    if (said().includes(`Server listening on 127.0.0.1 port ${port}.`)) return { pid }
    if (Date.now() > deadline) break
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await stop(child, gone)
  const last = said().trim().split('\n').at(-1) ?? ''
  return `${sshd} didn't start: ${last} (${logFile})`
}

function running(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null
}

/** SIGTERM ends the listener at once; sessions end with their clients, who were stopped before. */
async function stop(child: ChildProcess, gone: Promise<void>): Promise<void> {
  if (running(child)) child.kill('SIGTERM')
  await gone
}

interface KeptKey {
  readonly pem: string
  readonly publicLine: string
}

/** Made at the first start, so that host and CA are the same after the next one. */
function keptKey(file: string): KeptKey {
  if (!existsSync(file)) writeFileSync(file, generateKeyPair().privateKeyPem, { mode: 0o600 })
  const pem = readFileSync(file, 'utf8')
  return { pem, publicLine: publicKeyLine(publicKeyOf(parsePrivateKey(pem))) }
}

/** A key with a certificate of the CA, for logging in without Sallyport: `ssh -i` takes `<file>-cert.pub` along. */
function directIdentity(directory: string, login: string, authorityPem: string): string {
  const file = join(directory, 'direct-key')
  const key = generateKeyPair('direct')
  const now = Date.now()
  const certificate = signCertificate({
    authority: parsePrivateKey(authorityPem),
    subject: key.publicKey,
    serial: BigInt(now),
    keyId: 'direct',
    principals: [login],
    validAfter: new Date(now - 60_000),
    validBefore: new Date(now + directDays * 24 * 3600_000),
    extensions: ['permit-port-forwarding', 'permit-pty'],
  })
  writeFileSync(file, key.privateKeyPem, { mode: 0o600 })
  writeFileSync(`${file}.pub`, `${key.publicKeyLine}\n`)
  writeFileSync(`${file}-cert.pub`, `${certificateLine(certificate, 'direct')}\n`)
  return file
}
