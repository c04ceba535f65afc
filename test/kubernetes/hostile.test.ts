import http2 from 'node:http2'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import tls from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { clusterFiles, DemoCluster } from '../demo-cluster/dist/index.js'
import { eventually } from '../support/direct.js'
import { Stack } from '../support/stack.js'

/** Requests that no honest client sends, spoken by hand, in front of an API server that remembers all that reached it. */
let stack: Stack
let cluster: DemoCluster
let token: string
const folder = mkdtempSync(path.join(tmpdir(), 'sallyport-hostile-'))
const agentToken = 'the-agents-own-token'

beforeAll(async () => {
  const credentials = path.join(folder, 'credentials')
  mkdirSync(credentials)
  const files = await clusterFiles(path.join(folder, 'cluster'))
  cluster = await DemoCluster.start({ certificates: files.certificates, token: agentToken, podsDirectory: files.podsDirectory })
  writeFileSync(path.join(credentials, 'token'), agentToken)
  const policyFile = path.join(folder, 'policy.yaml')
  writeFileSync(
    policyFile,
    [
      'apiVersion: sallyport.dev/v1', 'kind: Policy', 'metadata: { name: hostile }', 'spec:', '  subjects: [{ workload: shop-ci }]', '  targets: { names: [recorded], protocol: kubernetes }',
      '  session: { ttl: 15m, idle: 5m, audit: spooled, recordResults: 8KiB }', '  rules:', '    - { allow: k8s.read, on: ["*/shop/*"] }', '    - { allow: k8s.write, on: ["configmaps/shop/*"] }',
      '    - { allow: k8s.logs, on: ["pods/shop/*"] }', '    - { deny: k8s.get, on: "configmaps/shop/hidden", reason: "not this one" }', '',
    ].join('\n'),
  )
  stack = await Stack.start({ policyFile, env: { SALLYPORT_AGENT_CREDENTIALS: `env:ORDERS_*,file:${credentials}/*` } })
  const document = [
    'apiVersion: sallyport.dev/v1', 'kind: Target', 'metadata: { name: recorded }', 'spec:', '  protocol: kubernetes', '  agents: { labels: { site: demo } }', '  kubernetes:', `    server: ${cluster.url}`,
    `    ca: ${JSON.stringify(files.certificates.ca)}`, `    credential: { token: "file:${credentials}/token" }`, '    impersonate: { user: "ci:{identity.name}", groups: ["repo:{claims.repository}"] }', '',
  ].join('\n')
  const applied = await stack.api('POST', '/v1/apply', { documents: [{ path: 'target.yaml', text: document }], reason: 'test' })
  expect(applied.body.applied, JSON.stringify(applied.body)).toBe(true)
  token = await stack.mint()
})

afterAll(async () => {
  await stack?.stop()
  await cluster?.close()
  rmSync(folder, { recursive: true, force: true })
})

const base = '/k8s/recorded'

/** Sends bytes over TLS with HTTP/1.1, and gathers what comes until the server closes, or is silent for a while. */
function raw(bytes: string, silence = 700): Promise<string> {
  return new Promise((resolve) => {
    const socket = tls.connect({ host: 'localhost', port: stack.line.gateway.httpsPort, ca: readFileSync(stack.line.gateway.caFile), ALPNProtocols: ['http/1.1'] }, () => socket.write(bytes, 'latin1'))
    let answer = ''
    let timer: NodeJS.Timeout | undefined
    const done = (): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(answer)
    }
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1')
      clearTimeout(timer)
      timer = setTimeout(done, silence)
    })
    socket.on('error', done)
    socket.once('close', done)
    timer = setTimeout(done, 5000)
  })
}

function request(method: string, target: string, headers: readonly string[] = [], body = ''): string {
  return [`${method} ${target} HTTP/1.1`, 'Host: localhost', `Authorization: Bearer ${token}`, ...headers, '', body].join('\r\n')
}

const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0)
/** What reached the API server with this in its path. */
const reached = (text: string): number => cluster.seen.filter(({ target }) => target.includes(text)).length

describe('paths and queries', () => {
  test.each([
    '/api/v1/namespaces/shop/../prod/secrets', '/api/v1/namespaces/shop/%2e%2e/prod/secrets', '/api/v1/namespaces/shop/..%2fprod/secrets', '//api/v1/namespaces/prod/secrets', '/api/v1//namespaces/prod/secrets',
    '/api/v1/namespaces/shop/pods/', '/api/v1/namespaces/SHOP/pods', '/api/v1/namespaces/shop/Pods', '/api/v1/namespaces/shop/pods;x=y', '/api/v1/namespaces/shop/p%6fds', '/api/v1/namespaces/shop/pods%00', '/api/v1/./namespaces/shop/pods',
    '/api/v1/watch/namespaces/shop/pods', '/api/v1/proxy/namespaces/shop/pods', '/api/v1/nodes/node-1/proxy/logs', '/api/v1/namespaces/shop/pods/x/log/more', '/api/v1/namespaces/shop/pods/x/unknown', '/metrics', '/logs/', '/debug/pprof/',
    '/api/v1/namespaces/shop/pods?watch=1&watch=0', '/api/v1/namespaces/shop/pods?limit=5;watch=1', '/api/v1/namespaces/shop/pods?wat%63h=1', '/api/v1/namespaces/shop/pods?unknown=1', '/api/v1/namespaces/shop/pods?watch=perhaps',
    '/api/v1/namespaces/shop/pods/x/log?insecureSkipTLSVerifyBackend=true', '/api/v1/pods?fieldSelector=metadata.namespace%3Dshop', '/api/v1/secrets', '/api/v1/namespaces/shop/configmaps/hidden', '/api/v1/namespaces/shop/secrets/db-credentials',
  ])('%s is refused, and does not reach the API server', async (target) => {
    const before = cluster.seen.length
    const answer = await raw(request('GET', base + target))
    expect(statusOf(answer), answer).toBeGreaterThanOrEqual(400)
    expect(answer).toContain('"kind":"Status"')
    expect(cluster.seen.length).toBe(before)
  })

  test('a list that would hold what is denied is denied, not only the object itself', async () => {
    const answer = await raw(request('GET', `${base}/api/v1/namespaces/shop/configmaps/shop-config`))
    expect(statusOf(answer)).toBe(200)
  })

  test('methods that are none, and a body where none belongs', async () => {
    for (const [method, headers, body] of [['TRACE', [], ''], ['OPTIONS', [], ''], ['PROPFIND', [], ''], ['GET', ['Content-Length: 2'], '{}']] as const) {
      const before = cluster.seen.length
      expect(statusOf(await raw(request(method, `${base}/api/v1/namespaces/shop/pods`, headers, body)))).toBeGreaterThanOrEqual(400)
      expect(cluster.seen.length).toBe(before)
    }
  })

  test('refusals are on record', async () => {
    await raw(request('GET', `${base}/api/v1/namespaces/shop/..%2fmarked/secrets`))
    const event = await eventually(async () => (await stack.events('kind=command&decision=deny')).find((found) => found.event.text.includes('..%2fmarked')), 'it is on record')
    expect(event.rule).toBe('canonical-path')
  })
})

describe('identity', () => {
  test.each([
    ['Impersonate-User: admin'], ['impersonate-group: system:masters'], ['Impersonate-Extra-scopes: x'], ['Impersonate-Uid: 1'], ['X-Remote-User: admin'], ['X-Remote-Group: system:masters'], ['x-remote-extra-a: b'],
  ])('%s is refused with an event', async (header) => {
    const before = cluster.seen.length
    const answer = await raw(request('GET', `${base}/api/v1/namespaces/shop/pods`, [header]))
    expect(statusOf(answer)).toBe(403)
    expect(answer).toContain('impersonation')
    expect(cluster.seen.length).toBe(before)
  })

  test('what reaches the API server: the agent\'s own credential and who it is for, nothing of the client\'s', async () => {
    const marker = 'kube-client/0 (marker)'
    const trailer = ['Transfer-Encoding: chunked', 'Content-Type: application/json', 'Trailer: Impersonate-User', 'Connection: X-Secret-Hop', 'X-Secret-Hop: 1', 'Cookie: a=b', 'X-Forwarded-For: 6.6.6.6', 'Proxy-Authorization: Basic eDp5', `User-Agent: ${marker}`]
    const object = JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'with-trailer' }, data: {} })
    const answer = await raw(request('POST', `${base}/api/v1/namespaces/shop/configmaps`, trailer, `${object.length.toString(16)}\r\n${object}\r\n0\r\nImpersonate-User: admin\r\n\r\n`))
    expect(statusOf(answer), answer).toBe(201)
    const seen = cluster.seen.filter(({ target }) => target.endsWith('/configmaps')).at(-1)
    expect(seen?.headers['authorization']).toBe(`Bearer ${agentToken}`)
    expect(seen?.headers['impersonate-user']).toBe('ci:shop-ci')
    expect(seen?.headers['impersonate-group']).toBe('repo:acme/shop')
    const text = JSON.stringify(seen?.headers)
    for (const stray of [token, 'admin', 'X-Secret-Hop', 'x-secret-hop', 'cookie', 'forwarded', 'proxy-authorization', 'trailer', marker]) expect(text).not.toContain(stray)
  })

  test.each([
    ['two tokens', (): string => ['GET /k8s/recorded/api HTTP/1.1', 'Host: localhost', `Authorization: Bearer ${token}`, 'Authorization: Bearer other', '', ''].join('\r\n')],
    ['none', (): string => ['GET /k8s/recorded/api HTTP/1.1', 'Host: localhost', '', ''].join('\r\n')],
    ['basic', (): string => ['GET /k8s/recorded/api HTTP/1.1', 'Host: localhost', 'Authorization: Basic YTpi', '', ''].join('\r\n')],
    ['in the query', (): string => [`GET /k8s/recorded/api?access_token=${token} HTTP/1.1`, 'Host: localhost', '', ''].join('\r\n')],
  ])('a token shown wrongly (%s) is 401', async (_name, bytes) => {
    expect(statusOf(await raw(bytes()))).toBe(401)
  })

  test('on one connection each request is authenticated by itself', async () => {
    const good = request('GET', `${base}/api/v1/namespaces/shop/pods`)
    const bad = good.replace(token, 'x.y.z').replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n')
    const answer = await raw(good + bad)
    expect(answer.match(/HTTP\/1\.1 \d{3}/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 401'])
  })

  test('many wrong tokens close the connection', async () => {
    const bad = request('GET', `${base}/api`).replace(token, 'nonsense')
    const answer = await raw(bad.repeat(30))
    expect(answer.match(/HTTP\/1\.1 401/g)?.length).toBeLessThan(30)
  })
})

test('a token minted for the session by TokenRequest is what the API server sees, not what mints it', async () => {
  const credentials = path.join(folder, 'credentials')
  const document = [
    'apiVersion: sallyport.dev/v1', 'kind: Target', 'metadata: { name: minted }', 'spec:', '  protocol: kubernetes', '  agents: { labels: { site: demo } }', '  kubernetes:', `    server: ${cluster.url}`,
    `    ca: "file:${credentials}/ca.pem"`, `    credential: { token: "file:${credentials}/token" }`, '    tokenRequest: { serviceAccount: shop/shop }', '',
  ].join('\n')
  writeFileSync(path.join(credentials, 'ca.pem'), readFileSync(path.join(folder, 'cluster', 'ca.pem')))
  const policy = readFileSync(path.join(folder, 'policy.yaml'), 'utf8').replace('name: hostile', 'name: minted').replace('[recorded]', '[minted]')
  const applied = await stack.api('POST', '/v1/apply', { documents: [{ path: 'minted.yaml', text: document }, { path: 'policy2.yaml', text: policy }], reason: 'test' })
  expect(applied.body.applied, JSON.stringify(applied.body)).toBe(true)
  for (let turn = 0; turn < 2; turn++) expect(statusOf(await raw(request('GET', '/k8s/minted/api/v1/namespaces/shop/pods')))).toBe(200)
  const seen = cluster.seen.slice(-3)
  expect(seen.map(({ target, user }) => [target.replace(/\?.*/, ''), user])).toEqual([
    ['/api/v1/namespaces/shop/serviceaccounts/shop/token', 'agent'],
    ['/api/v1/namespaces/shop/pods', 'system:serviceaccount:minted'],
    ['/api/v1/namespaces/shop/pods', 'system:serviceaccount:minted'],
  ])
})

describe('smuggling', () => {
  const object = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"smuggled"}}'
  const second = `DELETE ${base}/api/v1/namespaces/shop/configmaps/victim HTTP/1.1\r\nHost: localhost\r\n\r\n`
  test.each([
    ['content-length and chunked', ['Content-Length: 5', 'Transfer-Encoding: chunked'], `0\r\n\r\n${second}`],
    ['chunked and content-length', ['Transfer-Encoding: chunked', `Content-Length: ${second.length}`], `0\r\n\r\n${second}`],
    ['two lengths', ['Content-Length: 0', `Content-Length: ${second.length}`], second],
    ['two equal lengths', [`Content-Length: ${object.length}`, `Content-Length: ${object.length}`], object],
    ['odd coding', ['Transfer-Encoding: xchunked'], `0\r\n\r\n${second}`],
    ['coding twice', ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], `0\r\n\r\n${second}`],
    ['coding list', ['Transfer-Encoding: gzip, chunked'], `0\r\n\r\n${second}`],
    ['space before the colon', ['Transfer-Encoding : chunked'], `0\r\n\r\n${second}`],
    ['folded header', ['X-A: b\r\n Transfer-Encoding: chunked'], `0\r\n\r\n${second}`],
    ['negative length', ['Content-Length: -1'], second],
    ['hexadecimal length', ['Content-Length: 0x10'], second],
    ['line feed alone in a chunk', ['Transfer-Encoding: chunked'], `${object.length.toString(16)}\n${object}\n0\n\n${second}`],
    ['a chunk longer than it says', ['Transfer-Encoding: chunked'], `2\r\n${object}\r\n0\r\n\r\n${second}`],
  ])('%s', async (_name, headers, body) => {
    await raw(request('POST', `${base}/api/v1/namespaces/shop/configmaps`, headers, body))
    expect(reached('configmaps/victim')).toBe(0)
    expect(cluster.store.list({ group: '', version: 'v1', resource: 'configmaps', singular: 'configmap', kind: 'ConfigMap', namespaced: true, shortNames: [], subresources: [], all: false }, 'shop').some((found) => JSON.stringify(found).includes('"smuggled"'))).toBe(false)
  })

  test('what could not be read is on record with its address, once somebody sent it', async () => {
    await raw(`GET ${base}/api HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding : chunked\r\n\r\n`)
    const found = await eventually(async () => (await stack.events('kind=auth.failed')).find(({ event }) => event.code === 'MALFORMED'), 'the refusal is on record')
    expect(found.event).toMatchObject({ method: 'none (kubernetes)', client_address: expect.stringMatching(/127\.0\.0\.1|::1/), reason: expect.stringContaining('HPE_') })
  })

  test('HTTP/2: pseudo-headers, upper case, hop-by-hop fields and CONNECT are refused by the connection or the request', async () => {
    const before = cluster.seen.length
    for (const headers of [{ ':method': 'CONNECT', ':authority': 'node-1:10250' }, { ':method': 'GET', ':path': `${base}/api/v1/namespaces/shop/../x`, authorization: `Bearer ${token}` }, { ':method': 'GET', ':path': `${base}/api/v1/namespaces/shop/pods`, authorization: `Bearer ${token}`, 'impersonate-user': 'admin' }]) {
      const session = http2.connect(`https://localhost:${stack.line.gateway.httpsPort}`, { ca: readFileSync(stack.line.gateway.caFile) })
      session.on('error', () => undefined)
      const status = await new Promise<number>((resolve) => {
        const stream = session.request(headers)
        stream.on('response', (response) => resolve(Number(response[':status'])))
        stream.on('error', () => resolve(0))
        stream.on('close', () => resolve(0))
      })
      expect(status === 0 || status >= 400).toBe(true)
      session.destroy()
    }
    expect(cluster.seen.length).toBe(before)
  })
})

describe('upgrades', () => {
  const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Protocol: v5.channel.k8s.io']
  test.each([
    ['where nothing is upgraded', '/api/v1/namespaces/shop/pods', upgrade],
    ['to something else', '/api/v1/namespaces/shop/pods', ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA']],
    ['denied by the policy', '/api/v1/namespaces/shop/pods/x/exec?command=sh&stdout=true', upgrade],
    ['without a subprotocol', '/api/v1/namespaces/shop/pods/x/exec?command=sh&stdout=true', upgrade.slice(0, 4)],
    ['with a bad key', '/api/v1/namespaces/shop/pods/x/exec?command=sh&stdout=true', upgrade.map((header) => (header.startsWith('Sec-WebSocket-Key') ? 'Sec-WebSocket-Key: short' : header))],
    ['exec without an upgrade', '/api/v1/namespaces/shop/pods/x/exec?command=sh&stdout=true', []],
    ['attach', '/api/v1/namespaces/shop/pods/x/attach?stdin=true', upgrade],
    ['port-forward', '/api/v1/namespaces/shop/pods/x/portforward', upgrade],
  ])('%s: no 101, and what follows is not a request', async (_name, target, headers) => {
    const before = cluster.seen.length
    const answer = await raw(request('GET', base + target, headers, `GET ${base}/api/v1/namespaces/shop/pods?limit=77 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n\r\n`))
    expect(answer).not.toContain('HTTP/1.1 101')
    expect(statusOf(answer)).toBeGreaterThanOrEqual(400)
    if (headers.length > 0) expect(cluster.seen.length).toBe(before)
  })
})

describe('bodies', () => {
  const create = (headers: readonly string[], body: string): Promise<string> => raw(request('POST', `${base}/api/v1/namespaces/shop/configmaps`, headers, body))

  test.each([
    ['twice the same key', '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"metadata":{"name":"b"}}'],
    ['another namespace', '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"prod"}}'],
    ['another version', '{"apiVersion":"v2","kind":"ConfigMap","metadata":{"name":"a"}}'],
    ['two objects', '{"apiVersion":"v1"}{"apiVersion":"v1"}'],
    ['too deep', `${'['.repeat(200)}${']'.repeat(200)}`],
    ['no object', '"text"'],
    ['not JSON', 'apiVersion: v1'],
  ])('%s', async (_name, body) => {
    const before = cluster.seen.length
    expect(statusOf(await create(['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`], body))).toBe(400)
    expect(cluster.seen.length).toBe(before)
  })

  test('compressed, of another type, or longer than Kubernetes takes', async () => {
    expect(statusOf(await create(['Content-Encoding: gzip', 'Content-Length: 2'], '{}'))).toBe(415)
    expect(statusOf(await create(['Content-Type: application/cbor', 'Content-Length: 2'], '{}'))).toBe(415)
    expect(statusOf(await create(['Content-Type: text/plain', 'Content-Length: 2'], '{}'))).toBe(415)
    const large = 'x'.repeat(4 * 1024 * 1024)
    const answer = await create(['Content-Type: application/json', 'Transfer-Encoding: chunked'], `${large.length.toString(16)}\r\n${large}\r\n0\r\n\r\n`)
    expect(statusOf(answer)).toBe(413)
    const event = await eventually(async () => (await stack.events('kind=command&decision=deny')).find((found) => found.rule === 'body'), 'it is on record')
    expect(event.event.text).toContain('POST ')
  })
})
