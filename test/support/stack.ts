import { spawn, type ChildProcess } from 'node:child_process'
import path from 'node:path'
import { createInterface } from 'node:readline'

const root = path.resolve(import.meta.dirname, '../..')

/** What the harness prints; see apps/dev. */
export interface StackLine {
  readonly api: { readonly url: string; readonly adminToken: string; readonly grpcPort: number; readonly log: string }
  readonly gateway: { readonly host: string; readonly postgresPort: number; readonly sshPort?: number; readonly httpsPort: number; readonly caFile: string }
  readonly gateways: readonly { readonly name: string; readonly postgresPort: number; readonly sshPort?: number; readonly pid: number; readonly opsPort?: number; readonly tunnelPort: number; readonly log: string }[]
  readonly agents: readonly { readonly name: string; readonly pid: number; readonly log: string; readonly dataDir: string; readonly opsPort?: number }[]
  readonly targets: readonly { readonly name: string; readonly protocol: string; readonly directUrl: string; readonly superuserUrl: string; readonly projectDirectory?: string; readonly kubeconfigFile?: string }[]
  readonly issuer: { readonly url: string; readonly mintUrl: string }
  /** The identity provider where the demo's people sign in. */
  readonly people: { readonly url: string }
  readonly users: { readonly [name: string]: { readonly token: string } }
  readonly cli: { readonly argv: readonly string[]; readonly env: { readonly [name: string]: string } }
  readonly pids: { readonly api: number; readonly gateway: readonly number[]; readonly agent: readonly number[]; readonly target: number }
  readonly dataDir: string
  readonly logsDir: string
}

export interface StackOptions {
  readonly policyFile?: string
  readonly agents?: number
  readonly gateways?: number
  readonly env?: Readonly<Record<string, string>>
}

/** The whole system, started by the harness that people use, on free ports in a temporary directory. */
export class Stack {
  private constructor(
    readonly line: StackLine,
    readonly process: ChildProcess,
    private readonly replies: AsyncIterator<string>,
  ) {}

  static async start(options: StackOptions = {}): Promise<Stack> {
    const argv = [path.join(root, 'apps/dev/dist/main.js'), 'stack', '--json']
    if (options.policyFile !== undefined) argv.push('--policy', options.policyFile)
    if (options.agents !== undefined) argv.push('--agents', String(options.agents))
    if (options.gateways !== undefined) argv.push('--gateways', String(options.gateways))
    for (const [name, value] of Object.entries(options.env ?? {})) argv.push('--env', `${name}=${value}`)
    const child = spawn(process.execPath, argv, { cwd: root, stdio: ['pipe', 'pipe', 'pipe'] })
    let errors = ''
    child.stderr.on('data', (chunk: Buffer) => {
      errors = (errors + chunk.toString()).slice(-8000)
    })
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const first = await lines.next()
    if (first.done === true) throw new Error(`the stack did not start:\n${errors}`)
    return new Stack(JSON.parse(first.value) as StackLine, child, lines)
  }

  get target(): StackLine['targets'][number] {
    const [target] = this.line.targets
    if (!target) throw new Error('the stack has no target')
    return target
  }

  /** Starts a process of the stack again (after it was killed), on its ports and data. */
  async restart(name: string): Promise<void> {
    this.process.stdin?.write(`restart ${name}\n`)
    const reply = await this.replies.next()
    if (reply.done === true || !String(reply.value).includes('restarted')) throw new Error(`restart of ${name} failed: ${String(reply.value)}`)
  }

  /** A token of the demo's CI job, with changed claims. */
  async mint(claims: Record<string, unknown> = {}): Promise<string> {
    const response = await fetch(this.line.issuer.mintUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...ciClaims, ...claims }),
    })
    const { token } = (await response.json()) as { token: string }
    return token
  }

  async api(method: string, route: string, body?: unknown, token = this.line.api.adminToken): Promise<{ status: number; body: any }> {
    const response = await fetch(`${this.line.api.url}${route}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) }
  }

  token(user: string): string {
    const token = this.line.users[user]?.token
    if (token === undefined) throw new Error(`no token for ${user}`)
    return token
  }

  /** Exchanges a CI token for a JIT credential. */
  async exchange(extra: Record<string, unknown> = {}, token?: string): Promise<Exchange> {
    const response = await fetch(`${this.line.api.url}/v1/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        subject_token: token ?? (await this.mint()),
        audience: this.target.name,
        ...Object.fromEntries(Object.entries(extra).map(([name, value]) => [name, String(value)])),
      }),
    })
    const body = (await response.json()) as Exchange & { error_description?: string }
    if (!response.ok) throw new Error(body.error_description ?? JSON.stringify(body))
    return body
  }

  /** Environment of libpq for the gateway, with the token as password. */
  async pgEnv(options: { token?: string; gateway?: number; env?: Record<string, string> } = {}): Promise<Record<string, string>> {
    return {
      PATH: process.env['PATH'] ?? '',
      HOME: this.line.dataDir,
      PGHOST: this.line.gateway.host,
      PGPORT: String(this.line.gateways[options.gateway ?? 0]?.postgresPort ?? this.line.gateway.postgresPort),
      PGUSER: this.target.name,
      PGPASSWORD: options.token ?? (await this.mint()),
      PGSSLMODE: 'verify-full',
      PGSSLROOTCERT: this.line.gateway.caFile,
      ...options.env,
    }
  }

  async events(query: string): Promise<any[]> {
    const { body } = await this.api('GET', `/v1/events?limit=200&${query}`)
    // The API's `kind` covers what is below it (command: command.end, …); here exactly that kind is meant.
    const kind = new URLSearchParams(query).get('kind')
    return body.items.filter((item: { kind: string }) => kind === null || item.kind === kind)
  }

  async stop(): Promise<void> {
    if (this.process.exitCode !== null) return
    const exited = new Promise<void>((resolve) => this.process.once('exit', () => resolve()))
    this.process.kill('SIGTERM')
    await exited
  }
}

export interface Exchange {
  readonly access_token: string
  readonly credential_id: string
  readonly username: string
  readonly expires_in: number
}

/** As GitHub Actions would claim them. */
export const ciClaims = {
  sub: 'repo:acme/shop:ref:refs/heads/main',
  repository: 'acme/shop',
  repository_id: '481516',
  repository_owner: 'acme',
  repository_owner_id: '2342',
  ref: 'refs/heads/main',
  sha: '5f2c0c4d9c1e4b7a8d3e6f1a2b3c4d5e6f708192',
  workflow: 'agent',
  run_id: '9001',
  run_number: '77',
  run_attempt: '1',
  actor: 'octo-dev',
  event_name: 'push',
  server_url: 'https://github.com',
}
