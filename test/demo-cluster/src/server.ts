import http2, { type Http2ServerRequest, type Http2ServerResponse } from 'node:http2'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { TLSSocket } from 'node:tls'
import type { Duplex } from 'node:stream'
import { parse, stringify } from 'yaml'
import type { ClusterCertificates } from './certificates.js'
import { discovery } from './discovery.js'
import { at, child, isObject, textAt, type Json, type JsonObject } from './json.js'
import { apiVersionOf, kinds, reviews, type Kind } from './kinds.js'
import { PodLogs } from './logs.js'
import { applyPatch } from './patch.js'
import { decodeProtobuf, protobufType } from './protobuf.js'
import { PodRuntime } from './pod-runtime.js'
import { selected } from './selectors.js'
import { seed } from './seed.js'
import { ApiError, badRequest, notFound } from './status.js'
import { kindNamed, now, Store, type Change } from './store.js'
import { tableOf } from './tables.js'
import { upgrade, type PortMap } from './upgrades.js'

type Request = IncomingMessage | Http2ServerRequest
type Response = ServerResponse | Http2ServerResponse

/** A request as it arrived, for tests that look behind Sallyport's back. */
export interface SeenRequest {
  readonly method: string
  readonly target: string
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** Who it was taken for; empty when nobody. */
  readonly user: string
}

export interface DemoClusterOptions {
  readonly certificates: ClusterCertificates
  /** The bearer token of the agent's account. */
  readonly token: string
  readonly port?: number
  /** Where the folders of pods lie. */
  readonly podsDirectory: string
  readonly ports?: PortMap
}

const maxBodyBytes = 3 * 1024 * 1024
const maxSeen = 1000

/** A small stand-in for a Kubernetes API server: faithful as far as kubectl and this repository's tests look. */
export class DemoCluster {
  readonly store = new Store()
  readonly logs = new PodLogs()
  readonly seen: SeenRequest[] = []
  readonly #options: DemoClusterOptions
  readonly #runtime: PodRuntime
  readonly #server: http2.Http2SecureServer
  readonly #sockets = new Set<Duplex>()
  #port = 0

  private constructor(options: DemoClusterOptions) {
    this.#options = options
    this.#runtime = new PodRuntime(options.podsDirectory)
    seed(this.store)
    const { certificates } = options
    this.#server = http2.createSecureServer({
      allowHTTP1: true, key: certificates.serverKey, cert: certificates.serverCert, ca: certificates.ca, requestCert: true, rejectUnauthorized: false,
    })
    this.#server.on('request', (request, response) => {
      this.#serve(request, response).catch((error: unknown) => fail(response, error))
    })
    this.#server.on('upgrade', (request: IncomingMessage, socket: Duplex, first: Buffer) => this.#upgrade(request, socket, first))
    this.#server.on('secureConnection', (socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
      socket.on('error', () => socket.destroy())
    })
    this.#server.on('error', () => undefined)
  }

  static async start(options: DemoClusterOptions): Promise<DemoCluster> {
    const cluster = new DemoCluster(options)
    await new Promise<void>((resolve, reject) => {
      cluster.#server.once('error', reject)
      cluster.#server.listen(options.port ?? 0, '127.0.0.1', resolve)
    })
    const address = cluster.#server.address()
    cluster.#port = address !== null && typeof address === 'object' ? address.port : 0
    return cluster
  }

  get url(): string {
    return `https://127.0.0.1:${this.#port}`
  }

  /** For an administrator, with the client certificate. */
  get adminKubeconfig(): string {
    const { ca, clientCert, clientKey } = this.#options.certificates
    const base64 = (text: string): string => Buffer.from(text).toString('base64')
    return stringify({
      apiVersion: 'v1', kind: 'Config', 'current-context': 'demo',
      clusters: [{ name: 'demo', cluster: { server: this.url, 'certificate-authority-data': base64(ca) } }],
      users: [{ name: 'admin', user: { 'client-certificate-data': base64(clientCert), 'client-key-data': base64(clientKey) } }],
      contexts: [{ name: 'demo', context: { cluster: 'demo', user: 'admin' } }],
    })
  }

  async close(): Promise<void> {
    this.#runtime.close()
    this.logs.close()
    for (const socket of this.#sockets) socket.destroy()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }

  #authenticate(request: Request): string {
    const { token } = this.#options
    const given = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
    const socket = request.socket
    const byCertificate = socket instanceof TLSSocket && socket.authorized ? textOf(socket.getPeerCertificate().subject?.CN) : ''
    const user = given === token || given === 'minted-token' ? (given === token ? 'agent' : 'system:serviceaccount:minted') : byCertificate
    const impersonated = request.headers['impersonate-user']
    const shown = typeof impersonated === 'string' && user !== '' ? impersonated : user
    this.seen.push({ method: request.method ?? '', target: request.url ?? '', headers: { ...request.headers }, user: shown })
    if (this.seen.length > maxSeen) this.seen.shift()
    if (user === '') throw new ApiError(401, 'Unauthorized', 'Unauthorized')
    return shown
  }

  #upgrade(request: IncomingMessage, socket: Duplex, first: Buffer): void {
    socket.on('error', () => socket.destroy())
    try {
      this.#authenticate(request)
      const url = new URL(request.url ?? '/', 'https://cluster')
      const match = /^\/api\/v1\/namespaces\/([^/]+)\/pods\/([^/]+)\/(exec|attach|portforward)$/.exec(url.pathname)
      if (!match) throw notFound('the server could not find the requested resource')
      const [, namespace = '', pod = '', subresource = ''] = match
      this.store.get(kindNamed('pods'), namespace, pod)
      upgrade(request, socket, first, subresource, url.searchParams, { runtime: this.#runtime, ports: this.#options.ports ?? (() => undefined), namespace, pod })
    } catch (error) {
      const status = error instanceof ApiError ? error : badRequest(String(error))
      const body = JSON.stringify(status.status)
      socket.end(`HTTP/1.1 ${status.code} Refused\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`)
    }
  }

  async #serve(request: Request, response: Response): Promise<void> {
    const user = this.#authenticate(request)
    const url = new URL(request.url ?? '/', 'https://cluster')
    const accept = String(request.headers.accept ?? '')
    if (url.pathname === '/healthz' || url.pathname === '/readyz' || url.pathname === '/livez') return answerText(response, 'ok')
    const found = discovery(url.pathname, accept)
    if (found !== undefined) return answer(response, 200, found.body, found.type)
    if (accept !== '' && !/json|\*\/\*/.test(accept)) throw new ApiError(406, 'NotAcceptable', 'only JSON is served')
    const place = placeOf(url.pathname)
    await this.#resource({ request, response, url, accept, user, ...place, body: await bodyOf(request) })
  }

  async #resource(ask: Ask): Promise<void> {
    const { request, response, url, kind, namespace, name, subresource, body, user } = ask
    const dryRun = url.searchParams.get('dryRun') === 'All'
    if (reviews.includes(kind)) return answer(response, 201, reviewed(kind, body, user))
    if (subresource === 'log') return this.#log(ask)
    if (kind.resource === 'serviceaccounts' && subresource === 'token') {
      this.store.get(kind, namespace, name)
      const expirationTimestamp = new Date(Date.now() + 3_600_000).toISOString()
      return answer(response, 201, { kind: 'TokenRequest', apiVersion: 'authentication.k8s.io/v1', metadata: {}, status: { token: 'minted-token', expirationTimestamp } })
    }
    if (subresource === 'eviction') {
      this.store.delete(kind, namespace, name, dryRun)
      return answer(response, 201, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' })
    }
    if (subresource === 'scale') return this.#scale(ask, dryRun)
    switch (request.method) {
      case 'GET':
        if (name !== '') return this.#answerOne(ask, 200, this.store.get(kind, namespace, name))
        return url.searchParams.get('watch') === 'true' || url.searchParams.get('watch') === '1' ? this.#watch(ask) : this.#list(ask)
      case 'POST':
        return this.#answerOne(ask, 201, this.store.create(kind, namespace, requireObject(body), dryRun))
      case 'PUT':
        return this.#answerOne(ask, 200, this.store.update(kind, namespace, name, requireObject(body), dryRun))
      case 'PATCH':
        return this.#patch(ask, dryRun)
      case 'DELETE': {
        if (name !== '') {
          const gone = this.store.delete(kind, namespace, name, dryRun)
          return answer(response, 200, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details: { name, kind: kind.resource, uid: textAt(gone, 'metadata', 'uid') } })
        }
        const all = this.store.list(kind, namespace, url.searchParams.get('labelSelector') ?? '', url.searchParams.get('fieldSelector') ?? '')
        for (const object of all) this.store.delete(kind, textAt(object, 'metadata', 'namespace'), textAt(object, 'metadata', 'name'), dryRun)
        return answer(response, 200, { kind: `${kind.kind}List`, apiVersion: apiVersionOf(kind), metadata: { resourceVersion: String(this.store.version) }, items: all })
      }
      default:
        throw new ApiError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource')
    }
  }

  #answerOne({ accept, response, kind, url }: Ask, status: number, object: JsonObject): void {
    if (/as=Table/.test(accept)) return answer(response, status, tableOf(kind, [object], { resourceVersion: textAt(object, 'metadata', 'resourceVersion') }, url.searchParams.get('includeObject') ?? 'Metadata'))
    answer(response, status, object)
  }

  #list({ accept, response, kind, namespace, url }: Ask): void {
    const all = this.store.list(kind, namespace, url.searchParams.get('labelSelector') ?? '', url.searchParams.get('fieldSelector') ?? '')
    const limit = Number(url.searchParams.get('limit') ?? 0)
    const start = Number(url.searchParams.get('continue') ?? 0)
    const page = limit > 0 ? all.slice(start, start + limit) : all
    const more = limit > 0 && start + limit < all.length
    const metadata: JsonObject = { resourceVersion: String(this.store.version), ...(more ? { continue: String(start + limit), remainingItemCount: all.length - start - limit } : {}) }
    if (/as=Table/.test(accept)) return answer(response, 200, tableOf(kind, page, metadata, url.searchParams.get('includeObject') ?? 'Metadata'))
    answer(response, 200, { kind: `${kind.kind}List`, apiVersion: apiVersionOf(kind), metadata, items: page.map(({ kind: _kind, apiVersion: _version, ...rest }) => rest) })
  }

  #watch({ accept, response, kind, namespace, url }: Ask): void {
    const labels = url.searchParams.get('labelSelector') ?? ''
    const fields = url.searchParams.get('fieldSelector') ?? ''
    const table = /as=Table/.test(accept)
    const write = (type: string, object: JsonObject): void => void writeTo(response, JSON.stringify({ type, object }) + '\n')
    const shown = (object: JsonObject, first: boolean): JsonObject =>
      table ? tableOf(kind, [object], { resourceVersion: textAt(object, 'metadata', 'resourceVersion') }, url.searchParams.get('includeObject') ?? 'Metadata', first) : object
    const from = Number(url.searchParams.get('resourceVersion') ?? 0)
    begin(response, 200, 'application/json')
    flush(response)
    let first = true
    const onChange = ({ type, kind: changed, object }: Change): void => {
      if (changed !== kind || (namespace !== '' && textAt(object, 'metadata', 'namespace') !== namespace) || !selected(object, labels, fields)) return
      write(type, shown(object, first))
      first = false
    }
    if (from === 0) {
      for (const object of this.store.list(kind, namespace, labels, fields)) {
        write('ADDED', shown(object, first))
        first = false
      }
    }
    const stop = this.store.watch(from === 0 ? this.store.version : from, onChange)
    const seconds = Number(url.searchParams.get('timeoutSeconds') ?? 0)
    const timer = seconds > 0 ? setTimeout(() => response.end(), seconds * 1000) : undefined
    response.once('close', () => {
      clearTimeout(timer)
      stop()
    })
  }

  #patch(ask: Ask, dryRun: boolean): void {
    const { request, kind, namespace, name, body, url } = ask
    const type = (request.headers['content-type'] ?? '').split(';')[0] ?? ''
    if (type !== 'application/apply-patch+yaml') {
      if (kind.group === 'example.com' && type === 'application/strategic-merge-patch+json') throw new ApiError(415, 'UnsupportedMediaType', 'strategic merge patches are not for custom resources')
      return this.#answerOne(ask, 200, this.store.update(kind, namespace, name, applyPatch(this.store.get(kind, namespace, name), body ?? null, type), dryRun))
    }
    const wanted = requireObject(body)
    let live: JsonObject | undefined
    try {
      live = this.store.get(kind, namespace, name)
    } catch {
      live = undefined
    }
    const managed: JsonObject = { manager: url.searchParams.get('fieldManager') ?? 'unknown', operation: 'Apply', apiVersion: apiVersionOf(kind), time: now(), fieldsType: 'FieldsV1', fieldsV1: fieldsOf(wanted) }
    const next = applyPatch(live ?? {}, wanted, 'application/strategic-merge-patch+json')
    child(next, 'metadata')['managedFields'] = [managed]
    if (live === undefined) return this.#answerOne(ask, 201, this.store.create(kind, namespace, { ...next, metadata: { ...child(next, 'metadata'), name } }, dryRun))
    this.#answerOne(ask, 200, this.store.update(kind, namespace, name, next, dryRun))
  }

  #scale({ request, response, kind, namespace, name, body }: Ask, dryRun: boolean): void {
    let object = this.store.get(kind, namespace, name)
    if (request.method === 'PUT' || request.method === 'PATCH') {
      const replicas = at(body, 'spec', 'replicas')
      if (typeof replicas !== 'number') throw badRequest('spec.replicas is missing')
      const next = structuredClone(object)
      child(next, 'spec')['replicas'] = replicas
      object = this.store.update(kind, namespace, name, next, dryRun)
    }
    const { resourceVersion, uid } = child(object, 'metadata')
    answer(response, 200, {
      kind: 'Scale', apiVersion: 'autoscaling/v1', metadata: { name, namespace, resourceVersion: resourceVersion ?? '', uid: uid ?? '' },
      spec: { replicas: at(object, 'spec', 'replicas') ?? 0 }, status: { replicas: at(object, 'status', 'replicas') ?? 0 },
    })
  }

  #log({ response, kind, namespace, name, url }: Ask): void {
    const pod = this.store.get(kind, namespace, name)
    this.logs.serve(namespace, pod, url.searchParams, {
      begin: () => {
        begin(response, 200, 'text/plain')
        flush(response)
      },
      write: (text) => void writeTo(response, text),
      end: () => response.end(),
      onClose: (run) => response.once('close', run),
    })
  }
}

interface Ask {
  readonly request: Request
  readonly response: Response
  readonly url: URL
  readonly accept: string
  readonly user: string
  readonly kind: Kind
  readonly namespace: string
  readonly name: string
  readonly subresource: string
  readonly body: Json | undefined
}

function placeOf(path: string): Pick<Ask, 'kind' | 'namespace' | 'name' | 'subresource'> {
  const match = /^\/(?:api\/v1|apis\/([a-z0-9.-]+)\/v1)\/(.*)$/.exec(path)
  const parts = (match?.[2] ?? '').split('/').map(decodeURIComponent)
  const namespaced = parts[0] === 'namespaces' && parts.length > 2 && parts[2] !== 'status' && parts[2] !== 'finalize'
  const [resource = '', name = '', subresource = ''] = namespaced ? parts.slice(2) : parts
  const kind = [...kinds, ...reviews].find((one) => one.group === (match?.[1] ?? '') && one.resource === resource)
  if (!match || kind === undefined) throw notFound('the server could not find the requested resource')
  return { kind, namespace: namespaced ? (parts[1] ?? '') : '', name, subresource }
}

async function bodyOf(request: Request): Promise<Json | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk)
    size += bytes.length
    if (size > maxBodyBytes) throw new ApiError(413, 'RequestEntityTooLarge', 'the body is too large')
    chunks.push(bytes)
  }
  if (size === 0) return undefined
  const type = String(request.headers['content-type'] ?? 'application/json')
  if (type.startsWith(protobufType)) return decodeProtobuf(Buffer.concat(chunks))
  const value: Json = parse(Buffer.concat(chunks).toString('utf8'))
  return value
}

function requireObject(body: Json | undefined): JsonObject {
  if (!isObject(body)) throw badRequest('the body is no object')
  return body
}

function reviewed(kind: Kind, body: Json | undefined, user: string): JsonObject {
  const spec = at(body, 'spec') ?? {}
  const status: JsonObject = kind.kind === 'SelfSubjectReview' ? { userInfo: { username: user, groups: ['system:authenticated'] } } : kind.kind === 'SelfSubjectRulesReview' ? { resourceRules: [], nonResourceRules: [], incomplete: false } : { allowed: true }
  return { kind: kind.kind, apiVersion: apiVersionOf(kind), metadata: {}, spec, status }
}

function fieldsOf(value: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(value).filter(([key]) => !['apiVersion', 'kind', 'metadata'].includes(key)).map(([key, inner]) => [`f:${key}`, isObject(inner) ? fieldsOf(inner) : {}]))
}

function answer(response: Response, status: number, body: Json, type = 'application/json'): void {
  begin(response, status, type)
  response.end(JSON.stringify(body) + '\n')
}

function answerText(response: Response, text: string): void {
  begin(response, 200, 'text/plain')
  response.end(text)
}

function begin(response: Response, status: number, type: string): void {
  response.statusCode = status
  response.setHeader('content-type', type)
}

/** The head goes out before there is anything else to send. */
function flush(response: Response): void {
  if ('flushHeaders' in response) response.flushHeaders()
  else response.writeHead(response.statusCode)
}

/** Both versions of HTTP write alike, but their types can't be called as one. */
function writeTo(response: Response, text: string): boolean {
  return 'stream' in response ? response.write(text) : response.write(text)
}

function fail(response: Response, error: unknown): void {
  const status = error instanceof ApiError ? error : new ApiError(500, 'InternalError', error instanceof Error ? error.message : 'failed')
  if (response.headersSent) return void response.end()
  answer(response, status.code, status.status)
}

function textOf(value: string | string[] | undefined): string {
  return typeof value === 'string' ? value : (value?.[0] ?? '')
}
