import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Client } from './client.js'
import { eventually } from './direct.js'
import { Stack } from './stack.js'

export const hasKubectl = spawnSync('kubectl', ['version', '--client']).status === 0

/** A real cluster, when its kubeconfig is given; else the stand-in of the demo. */
const underTest = process.env['KUBECONFIG_UNDER_TEST']
export const isRealCluster = underTest !== undefined
export const target = 'cluster-under-test'
/** The port on which something in the pod `web` listens. */
const image = process.env['KUBECONFIG_UNDER_TEST_IMAGE'] ?? 'busybox:1.36'

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** A stack with a cluster as its target, and a namespace of its own in it. */
export class Cluster {
  readonly namespace = `sallyport-${randomBytes(4).toString('hex')}`
  readonly folder = mkdtempSync(path.join(tmpdir(), 'sallyport-k8s-'))
  readonly #clients = new Set<Client>()
  #stack: Stack | undefined
  #web: net.Server | undefined
  /** Where the pod's server listens. */
  port = 0

  /** @param rules of the policy for the demo's CI job; NS is the namespace */
  static async start(rules: readonly string[], more: readonly string[] = []): Promise<Cluster> {
    const cluster = new Cluster()
    const text = [
      'apiVersion: sallyport.dev/v1', 'kind: Policy', 'metadata: { name: test-on-cluster }', 'spec:', '  subjects: [{ workload: shop-ci }]', `  targets: { names: [${target}], protocol: kubernetes }`,
      '  session: { ttl: 15m, idle: 5m, audit: spooled, recordResults: 8KiB }', '  rules:', ...rules.map((rule) => `    - ${rule}`), ...more.map((line) => `  ${line}`), '',
    ].join('\n')
    const policyFile = path.join(cluster.folder, 'policy.yaml')
    writeFileSync(policyFile, text.replaceAll('NS', cluster.namespace))
    const credentials = path.join(cluster.folder, 'credentials')
    mkdirSync(credentials)
    cluster.#stack = await Stack.start({ policyFile, env: { SALLYPORT_AGENT_AUDIT_WAIT_SECONDS: '2', SALLYPORT_AGENT_CREDENTIALS: `env:ORDERS_*,file:${credentials}/*` } })
    const kubeconfig = underTest ?? cluster.stack.line.targets.find(({ name }) => name === 'demo-cluster')?.kubeconfigFile ?? ''
    copyFileSync(kubeconfig, path.join(credentials, 'kubeconfig'))
    const document = [
      'apiVersion: sallyport.dev/v1', 'kind: Target', `metadata: { name: ${target} }`, 'spec:', '  protocol: kubernetes', '  agents: { labels: { site: demo } }',
      '  kubernetes:', `    credential: { kubeconfig: { file: "file:${credentials}/kubeconfig" } }`, '',
    ].join('\n')
    const applied = await cluster.stack.api('POST', '/v1/apply', { documents: [{ path: 'target.yaml', text: document }], reason: 'test' })
    if (applied.body.applied !== true) throw new Error(JSON.stringify(applied.body))
    await cluster.#prepare()
    return cluster
  }

  get stack(): Stack {
    if (this.#stack === undefined) throw new Error('not started')
    return this.#stack
  }

  /** kubectl past Sallyport, as the cluster's administrator. */
  admin(args: readonly string[], input?: string): Promise<Ran> {
    return this.#run(['--kubeconfig', path.join(this.folder, 'credentials', 'kubeconfig'), ...args], {}, input)
  }

  /** A kubeconfig of a client that shows this token. */
  kubeconfig(token: string): string {
    const { gateway } = this.stack.line
    const file = path.join(this.folder, `kubeconfig-${randomBytes(4).toString('hex')}`)
    const name = 'test'
    writeFileSync(
      file,
      JSON.stringify({
        apiVersion: 'v1', kind: 'Config', 'current-context': name,
        clusters: [{ name, cluster: { server: `https://localhost:${gateway.httpsPort}/k8s/${target}`, 'certificate-authority-data': readFileSync(gateway.caFile).toString('base64') } }],
        users: [{ name, user: { token } }],
        contexts: [{ name, context: { cluster: name, user: name, namespace: this.namespace } }],
      }),
      { mode: 0o600 },
    )
    return file
  }

  /** kubectl through Sallyport, with the CI job's own token, to its end. */
  async kubectl(args: readonly string[], options: { readonly input?: string; readonly env?: Readonly<Record<string, string>>; readonly token?: string } = {}): Promise<Ran> {
    return this.#run(['--kubeconfig', this.kubeconfig(options.token ?? (await this.stack.mint())), ...args], options.env ?? {}, options.input)
  }

  /** kubectl through Sallyport, going on. */
  async start(args: readonly string[], options: { readonly env?: Readonly<Record<string, string>>; readonly token?: string } = {}): Promise<Client> {
    return this.#client('kubectl', ['--cache-dir', path.join(this.folder, 'cache'), '--kubeconfig', this.kubeconfig(options.token ?? (await this.stack.mint())), ...args], options.env ?? {})
  }

  /** Sallyport's own command line, as the CI job. */
  async cli(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Client> {
    const { cli } = this.stack.line
    const tokenFile = path.join(this.folder, 'ci.jwt')
    writeFileSync(tokenFile, await this.stack.mint())
    const [program = '', ...rest] = cli.argv
    return this.#client(program, [...rest, ...args.map((word) => (word === 'TOKENFILE' ? tokenFile : word))], { SALLYPORT_URL: this.stack.line.api.url, ...env })
  }

  /** The pending approval of the request whose text holds this. */
  pending(text: string): Promise<{ id: string; text: string; facts: any }> {
    return eventually(async () => {
      const { body } = await this.stack.api('GET', '/v1/approvals?state=pending')
      return body.items.find((item: { text: string }) => item.text.includes(text))
    }, `a pending approval of ${text}`)
  }

  async approve(text: string): Promise<void> {
    const { status, body } = await this.stack.api('POST', `/v1/approvals/${(await this.pending(text)).id}/approve`, {}, this.stack.token('dana'))
    if (status >= 300) throw new Error(JSON.stringify(body))
  }

  async reject(text: string, reason: string): Promise<void> {
    await this.stack.api('POST', `/v1/approvals/${(await this.pending(text)).id}/reject`, { reason }, this.stack.token('dana'))
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.kill('SIGKILL')
    if (this.#stack !== undefined) await this.admin(['delete', 'namespace', this.namespace, '--ignore-not-found', '--wait=false']).catch(() => undefined)
    this.#web?.close()
    await this.#stack?.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** The namespace, two pods, and things worth masking. */
  async #prepare(): Promise<void> {
    this.port = isRealCluster ? 18080 : await this.#serve()
    const pod = (name: string): object => ({
      apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: this.namespace, labels: { app: name } },
      spec: {
        terminationGracePeriodSeconds: 1,
        containers: [{ name: 'main', image, env: [{ name: 'DB_PASSWORD', value: 'hunter2-in-env' }], command: ['sh', '-c', `echo 'mail to alice.smith@example.com'; mkdir -p /www; echo hello-from-pod > /www/index.html; httpd -f -p 18080 -h /www || sleep 3600`] }],
      },
    })
    const objects = [
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: this.namespace } },
      pod('web'), pod('victim'),
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'db', namespace: this.namespace }, stringData: { password: 'correct-horse-battery' } },
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings', namespace: this.namespace }, data: { LOG_LEVEL: 'info', DATABASE_PASSWORD: 'hunter2-in-configmap', CONTACT: 'carol.jones@example.com' } },
      {
        apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'api', namespace: this.namespace },
        spec: { replicas: 1, selector: { matchLabels: { app: 'api' } }, template: { metadata: { labels: { app: 'api' } }, spec: { containers: [{ name: 'main', image, command: ['sleep', '3600'] }] } } },
      },
    ]
    const applied = await this.admin(['apply', '-f', '-'], objects.map((object) => JSON.stringify(object)).join('\n'))
    if (applied.code !== 0) throw new Error(applied.stderr)
    const ready = await this.admin(['-n', this.namespace, 'wait', '--for=condition=Ready', 'pod/web', 'pod/victim', '--timeout=120s'])
    if (ready.code !== 0) throw new Error(ready.stderr)
  }

  /** What the pod's own server is in a real cluster; the stand-in's pods have this machine's ports. */
  async #serve(): Promise<number> {
    const server = net.createServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 15\r\nconnection: close\r\n\r\nhello-from-pod\n'))
    })
    this.#web = server
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const at = server.address()
    return typeof at === 'object' && at !== null ? at.port : 0
  }

  async #run(args: readonly string[], env: Readonly<Record<string, string>>, input?: string): Promise<Ran> {
    const client = this.#client('kubectl', ['--cache-dir', path.join(this.folder, 'cache'), ...args], env, input ?? '')
    const timer = setTimeout(() => client.kill('SIGKILL'), 60_000)
    const code = await client.exited
    clearTimeout(timer)
    return { code, stdout: client.stdout, stderr: client.stderr }
  }

  #client(program: string, args: readonly string[], env: Readonly<Record<string, string>>, input?: string): Client {
    const client = new Client(program, args, { PATH: process.env['PATH'] ?? '', HOME: this.folder, ...env }, input)
    this.#clients.add(client)
    void client.exited.then(() => this.#clients.delete(client))
    return client
  }
}
