import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync, readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { acceptUpgrade, encodeUpgradeAnswer, type AcceptedUpgrade } from '../upgrade.js'

/** What kubectl asked to upgrade to, accepted. */
export interface TestUpgrade {
  readonly upgrade: AcceptedUpgrade
  readonly duplex: Duplex
  readonly head: Buffer
  /** exec, attach or portforward. */
  readonly subresource: string
  readonly query: URLSearchParams
}

/** A TLS server with the one pod `web` in `default`, as little of an API server as kubectl needs before it upgrades. */
export class TestCluster {
  readonly requests: string[] = []
  #taken: ((upgrade: TestUpgrade) => void) | undefined

  private constructor(
    private readonly server: Server,
    private readonly folder: string,
  ) {}

  static async start(): Promise<TestCluster> {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-streams-'))
    const key = join(folder, 'key.pem')
    const cert = join(folder, 'cert.pem')
    const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1']
    const make = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1']
    execFileSync('openssl', [...make, '-keyout', key, '-out', cert, ...subject], { stdio: 'ignore' })
    const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) })
    const cluster = new TestCluster(server, folder)
    server.on('request', (request: IncomingMessage, response) => {
      cluster.requests.push(`${request.method} ${request.url}`)
      const found = answers[new URL(request.url ?? '/', 'https://x').pathname]
      response.writeHead(found ? 200 : 404, { 'content-type': 'application/json' })
      response.end(JSON.stringify(found ?? { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'NotFound', code: 404 }))
    })
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => cluster.#upgrade(request, socket, head))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    writeFileSync(join(folder, 'config'), kubeconfig(`https://127.0.0.1:${port}`))
    return cluster
  }

  get kubeconfig(): string {
    return join(this.folder, 'config')
  }

  /** Who takes the accepted upgrades. */
  serve(taken: (upgrade: TestUpgrade) => void): void {
    this.#taken = taken
  }

  stop(): void {
    this.server.closeAllConnections()
    this.server.close()
    rmSync(this.folder, { recursive: true, force: true })
  }

  #upgrade(request: IncomingMessage, duplex: Duplex, head: Buffer): void {
    this.requests.push(`${request.method} ${request.url} ${request.headers.upgrade}`)
    const url = new URL(request.url ?? '/', 'https://x')
    const subresource = url.pathname.split('/').at(-1) ?? ''
    const kind = subresource === 'portforward' ? 'port-forward' : 'remote-command'
    const upgrade = acceptUpgrade(kind, { method: request.method ?? '', headers: request.headers })
    if (!upgrade.accepted) {
      duplex.end(`HTTP/1.1 ${upgrade.status} Refused\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`)
      return
    }
    duplex.write(encodeUpgradeAnswer(upgrade))
    this.#taken?.({ upgrade, duplex, head, subresource, query: url.searchParams })
  }
}

const pod = {
  kind: 'Pod',
  apiVersion: 'v1',
  metadata: { name: 'web', namespace: 'default', uid: 'b9d9c1c0-0000-4000-8000-000000000000' },
  spec: { containers: [{ name: 'main', image: 'web', stdin: true, ports: [{ containerPort: 80, name: 'http' }] }] },
  status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }], containerStatuses: [{ name: 'main', ready: true, state: { running: {} } }] },
}

const verbs = ['get', 'list', 'create']
const answers: Readonly<Record<string, unknown>> = {
  '/version': { major: '1', minor: '32', gitVersion: 'v1.32.0' },
  '/api': { kind: 'APIVersions', versions: ['v1'] },
  '/apis': { kind: 'APIGroupList', apiVersion: 'v1', groups: [] },
  '/api/v1': {
    kind: 'APIResourceList',
    groupVersion: 'v1',
    resources: [{ name: 'pods', singularName: 'pod', namespaced: true, kind: 'Pod', verbs, shortNames: ['po'] }],
  },
  '/api/v1/namespaces/default/pods/web': pod,
}

function kubeconfig(server: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [{ name: 'test', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'test', user: { token: 'test' } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test', namespace: 'default' } }],
  })
}
