import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { ApiProblem, ApiUnreachable, asStream, createApi, each, given, ok, once, readEvents, take, type ApiOptions } from './index.js'

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void

let server: Server | undefined
const seen: { method: string; url: string; headers: IncomingMessage['headers']; body: string }[] = []

async function start(handler: Handler): Promise<string> {
  seen.length = 0
  server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      seen.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body })
      handler(request, response, body)
    })
  })
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
}

const json = (response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void => {
  response.writeHead(status, { 'content-type': status >= 400 ? 'application/problem+json' : 'application/json', ...headers }).end(JSON.stringify(body))
}

const api = (baseUrl: string, more: Partial<ApiOptions> = {}) => createApi({ baseUrl, token: 'spt_1', ...more })

afterEach(async () => {
  server?.closeAllConnections()
  await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)))
  server = undefined
})

const me = { user: 'ada', roles: ['admin'], groups: [], token_id: 't' }

describe('the client', () => {
  it('sends the token, a page its cookie proof with what changes something, and no proof twice', async () => {
    const url = await start((request, response) => (request.method === 'DELETE' ? response.writeHead(204).end() : json(response, 200, me)))
    expect((await ok(api(url).GET('/v1/whoami'))).user).toBe('ada')
    expect(seen[0]?.headers).toMatchObject({ authorization: 'Bearer spt_1' })
    const page = createApi({ baseUrl: url, csrf: () => 'c1' })
    await ok(page.GET('/v1/whoami'))
    expect(seen[1]?.headers).not.toHaveProperty('authorization')
    expect(seen[1]?.headers).not.toHaveProperty('x-sallyport-csrf')
    expect(await ok(page.DELETE('/v1/tokens/{id}', { params: { path: { id: 'a/b' } } }))).toBeUndefined()
    expect(seen[2]).toMatchObject({ url: '/v1/tokens/a%2Fb', headers: { 'x-sallyport-csrf': 'c1' } })
    await ok(api(url).GET('/v1/whoami', { headers: { authorization: 'Bearer spc_own' } }))
    expect(seen[3]?.headers.authorization).toBe('Bearer spc_own')
  })

  it('turns problems into errors with all that they say; also answers of something in between', async () => {
    const problem = { type: 'about:blank', title: 'Conflict', status: 409, code: 'LAST_ADMIN', detail: 'No.', hint: 'Do this.', errors: [{ path: 'a.yaml', line: 3, message: 'm' }, 'odd'], request_id: 'r1', tests: [1] }
    const url = await start((request, response) => (request.url === '/v1/whoami' ? json(response, 409, problem) : response.writeHead(502).end('<html>bad gateway</html>')))
    const error = await ok(api(url).GET('/v1/whoami')).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ApiProblem)
    expect(error).toMatchObject({ status: 409, code: 'LAST_ADMIN', message: 'No.', detail: 'No.', hint: 'Do this.', requestId: 'r1', errors: [{ path: 'a.yaml', line: 3, message: 'm' }], body: { tests: [1] } })
    await expect(ok(api(url).GET('/v1/users'))).rejects.toMatchObject({ status: 502, code: '', detail: '<html>bad gateway</html>' })
  })

  it('waits as it is told and asks again, but never repeats what might then be done twice', async () => {
    let refusals = 2
    const url = await start((_, response) => (refusals-- > 0 ? json(response, 503, { code: 'UNAVAILABLE' }, { 'retry-after': '0' }) : json(response, 200, me)))
    const waits: number[] = []
    expect((await ok(api(url, { onRetry: (_, wait) => waits.push(wait) }).GET('/v1/whoami'))).user).toBe('ada')
    expect(waits).toEqual([0, 0])
    const body = { user: 'ada', name: 'ci' }
    refusals = 2
    await expect(ok(api(url).POST('/v1/tokens', { body }))).rejects.toMatchObject({ status: 503 })
    expect(seen).toHaveLength(4)
    refusals = 1
    await ok(api(url).POST('/v1/tokens', { body, headers: once('k-1') }))
    expect(seen.slice(4).map(({ headers, body: sent }) => [headers['idempotency-key'], sent])).toEqual([1, 2].map(() => ['k-1', JSON.stringify(body)]))
    refusals = 9
    await expect(ok(api(url, { retries: 1 }).GET('/v1/whoami'))).rejects.toMatchObject({ status: 503 })
    expect(seen).toHaveLength(8)
  })

  it('does not sit out a wait that is too long, and stops waiting when told', async () => {
    const url = await start((request, response) => json(response, 429, { code: 'TOO_MANY_REQUESTS' }, { 'retry-after': request.url === '/v1/users' ? '20' : '3600' }))
    await expect(ok(api(url).GET('/v1/whoami'))).rejects.toMatchObject({ status: 429 })
    expect(seen).toHaveLength(1)
    const stop = new AbortController()
    const call = ok(api(url, { onRetry: () => setTimeout(() => stop.abort(), 10) }).GET('/v1/users', { signal: stop.signal }))
    await expect(call).rejects.toMatchObject({ name: 'AbortError' })
    expect(seen).toHaveLength(2)
  })

  it('tells a control plane that is not there from one that is silent', async () => {
    const url = await start((request, response) => {
      if (request.url === '/v1/users') response.writeHead(200, { 'content-type': 'application/json' }).write('{')
    })
    const [silent, stalled] = await Promise.all(['/v1/whoami', '/v1/users'].map((path) => ok(api(url, { timeoutMilliseconds: 150 }).GET(path as '/v1/whoami')).catch((error: unknown) => error)))
    for (const error of [silent, stalled]) {
      expect(error).toBeInstanceOf(ApiUnreachable)
      expect(error).toMatchObject({ timedOut: true })
    }
    server?.closeAllConnections()
    await new Promise((resolve) => server?.close(resolve))
    await expect(ok(api(url).GET('/v1/whoami'))).rejects.toMatchObject({ name: 'ApiUnreachable', timedOut: false })
  })

  it('does not carry a token where a stranger points', async () => {
    const url = await start((_, response) => response.writeHead(302, { location: 'http://127.0.0.1:1/steal' }).end())
    await expect(ok(api(url).GET('/v1/whoami'))).rejects.toThrow()
    expect(seen).toHaveLength(1)
  })
})

describe('lists', () => {
  const pageOf = (request: IncomingMessage) => {
    const at = Number(new URL(request.url ?? '', 'http://h').searchParams.get('cursor') ?? '0')
    return { items: [{ id: `t${at}` }, { id: `t${at + 1}` }], ...(at < 4 ? { next: String(at + 2) } : {}) }
  }
  it('go on page by page, no further than they are read', async () => {
    const url = await start((request, response) => json(response, 200, pageOf(request)))
    const names = each(async (cursor) => ok(api(url).GET('/v1/credentials', { params: { query: given({ cursor, limit: 2 }) } })))
    expect((await take(names, 3)).map(({ id }) => id)).toEqual(['t0', 't1', 't2'])
    expect(seen.map(({ url: asked }) => asked)).toEqual(['/v1/credentials?limit=2', '/v1/credentials?cursor=2&limit=2'])
    const all: unknown[] = []
    for await (const item of each(async (cursor) => ok(api(url).GET('/v1/credentials', { params: { query: given({ cursor }) } })))) all.push(item)
    expect(all).toHaveLength(6)
  })
  it('end when a server answers with the same cursor for ever', async () => {
    let asked = 0
    for await (const _ of each(() => Promise.resolve({ items: [asked++], next: 'same' }))) if (asked > 5) break
    expect(asked).toBe(2)
  })
})

describe('events', () => {
  const text = ': hi\n\nevent: approval\r\nid: 7\r\ndata: {"a":\r\ndata: "ü"}\r\n\r\ndata:bare\n\nevent: empty\n\nid: 8\ndata: x\r\r'
  it('come whole, however they are cut, and leaving ends the connection', async () => {
    const bytes = Buffer.from(text)
    let ended: Promise<unknown> | undefined
    const url = await start((request, response) => {
      ended = new Promise((resolve) => request.socket.once('close', resolve))
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      let at = 0
      const timer = setInterval(() => (at < bytes.length ? response.write(bytes.subarray(at, ++at)) : clearInterval(timer)), 0)
    })
    const found = await take(readEvents(api(url).GET('/v1/approvals/stream', asStream())), 3)
    expect(found).toEqual([
      { event: 'approval', data: '{"a":\n"ü"}', id: '7' },
      { event: 'message', data: 'bare', id: '7' },
      { event: 'message', data: 'x', id: '8' },
    ])
    expect(seen[0]?.headers.accept).toBe('text/event-stream')
    await ended
  })
  it('refused are problems', async () => {
    const url = await start((_, response) => json(response, 403, { code: 'FORBIDDEN', detail: 'No.' }))
    await expect(take(readEvents(api(url).GET('/v1/approvals/stream', asStream())), 1)).rejects.toMatchObject({ name: 'ApiProblem', code: 'FORBIDDEN' })
  })
})
