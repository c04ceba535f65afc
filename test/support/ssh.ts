import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { generateKeyPair, type GeneratedKeyPair } from '@sallyport/ssh-keys'
import { Client, type Ran } from './client.js'
import { eventually } from './direct.js'
import type { Exchange, Stack } from './stack.js'

export const hasSshd = existsSync('/usr/sbin/sshd')

/** OpenSSH's clients with a key of their own, a credential that is tied to it, and a configuration for the gateway. */
export class SshHome {
  readonly directory = mkdtempSync(path.join(tmpdir(), 'sallyport-ssh-'))
  readonly key: GeneratedKeyPair = generateKeyPair('test')
  /** The live credential; see {@link renew}. */
  credential: Exchange | undefined

  private constructor(
    readonly stack: Stack,
    readonly target: string,
  ) {}

  static async create(stack: Stack, target = 'web-01'): Promise<SshHome> {
    const home = new SshHome(stack, target)
    writeFileSync(home.file('id'), home.key.privateKeyPem, { mode: 0o600 })
    writeFileSync(home.file('known_hosts'), await published(stack))
    home.writeConfig()
    await home.renew()
    return home
  }

  file(name: string): string {
    return path.join(this.directory, name)
  }

  get config(): string {
    return this.file('config')
  }

  get port(): number {
    return this.stack.line.gateway.sshPort ?? 0
  }

  writeConfig(more: readonly string[] = []): void {
    const settings = [
      'HostName localhost',
      `Port ${this.port}`,
      `User ${this.target}`,
      `IdentityFile ${this.file('id')}`,
      'IdentitiesOnly yes',
      'IdentityAgent none',
      `UserKnownHostsFile ${this.file('known_hosts')}`,
      'GlobalKnownHostsFile /dev/null',
      'StrictHostKeyChecking yes',
      'UpdateHostKeys no',
      'LogLevel INFO',
      ...more,
    ]
    writeFileSync(this.config, `Host ${this.target}\n${settings.map((line) => `  ${line}\n`).join('')}`)
  }

  /** A credential for the key: for the first one, and when one has been revoked. */
  async renew(claims: Record<string, unknown> = {}): Promise<Exchange> {
    this.credential = await this.stack.exchange({ audience: this.target, public_key: this.key.publicKeyLine }, await this.stack.mint(claims))
    return this.credential
  }

  /** `ssh -F CONFIG …`, or scp and the like. */
  start(program: string, args: readonly string[], options: { input?: string; env?: Record<string, string> } = {}): Client {
    const env = { PATH: process.env['PATH'] ?? '', HOME: this.directory, ...options.env }
    return new Client(program, ['-F', this.config, ...args], env, options.input)
  }

  async run(program: string, args: readonly string[], options: { input?: string; env?: Record<string, string> } = {}): Promise<Ran> {
    const client = this.start(program, args, { input: '', ...options })
    const code = await client.exited
    return { code, stdout: client.stdout, stderr: client.stderr }
  }

  ssh(...args: readonly string[]): Promise<Ran> {
    return this.run('ssh', [this.target, ...args])
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** Host keys of the gateways, as the control plane publishes them. */
export async function published(stack: Stack): Promise<string> {
  return eventually(async () => {
    const text = await (await fetch(`${stack.line.api.url}/v1/ssh/known-hosts`)).text()
    return text.includes('ssh-ed25519') && text
  }, 'the gateway has published its host keys')
}

/** Resident memory, bytes. */
export function residentBytes(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + 1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0), 0)
}

/** The pid that a process of the stack said last in its log: it may have been started again. */
export function pidOf(stack: Stack, name: string): number {
  const log = readFileSync(path.join(stack.line.logsDir, `${name}.log`), 'utf8')
  const ready = log.split('\n').filter((line) => line.includes('"message":"ready"')).at(-1)
  if (ready === undefined) throw new Error(`${name} was never ready`)
  return (JSON.parse(ready) as { pid: number }).pid
}

/** A policy document for the demo's CI job on a target. */
export function policyFor(target: string, rules: readonly string[], more: readonly string[] = []): string {
  return [
    'apiVersion: sallyport.dev/v1',
    'kind: Policy',
    `metadata: { name: test-on-${target} }`,
    'spec:',
    '  subjects: [{ workload: shop-ci }]',
    `  targets: { names: [${target}], protocol: ssh }`,
    '  session: { ttl: 15m, idle: 5m, audit: spooled, recordResults: 8KiB }',
    '  rules:',
    ...rules.map((line) => `    - ${line}`),
    ...more.map((line) => `  ${line}`),
    '',
  ].join('\n')
}
