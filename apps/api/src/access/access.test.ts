import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../testing/app.js'
import { RouteCheck } from './routes.js'

describe('access', () => {
  let t: TestApp
  beforeAll(async () => {
    t = await startApp()
  })
  afterAll(async () => {
    await t?.stop()
  })

  it('walks all routes: each states its permission, and without a token only public ones answer', async () => {
    const routes = t.app.get(RouteCheck, { strict: false }).routes()
    expect(routes.length).toBeGreaterThan(15)
    for (const route of routes) {
      expect(route.permission, `${route.controller}.${route.handler}`).toBeDefined()
      const path = '/' + route.path.replaceAll(/:\w+/g, '019aaaaa-0000-7000-8000-000000000000').replaceAll(/\/+/g, '/').replace(/^\//, '')
      const method = route.method === 'ALL' ? 'GET' : route.method
      const { status } = await t.call(method, path, { token: '', ...(method === 'POST' ? { body: {} } : {}) })
      if (route.permission === 'public') expect(status, path).toBeLessThan(500)
      else expect(status, `${method} ${path}`).toBe(401)
    }
  })

  it('serves the API description and its page', async () => {
    const openapi = await t.call('GET', '/openapi.json', { token: '' })
    expect(openapi.status).toBe(200)
    expect(Object.keys(openapi.body.paths)).toContain('/v1/apply')
    expect((await t.call('GET', '/docs', { token: '' })).status).toBe(200)
  })

  it('says who a token speaks for', async () => {
    const { status, body } = await t.call('GET', '/v1/whoami')
    expect(status).toBe(200)
    expect(body).toMatchObject({ user: 'ada', roles: ['admin'] })
  })

  it('answers problems: 404 with a request id, 400 for an unknown key, no internals', async () => {
    const missing = await t.call('GET', '/v1/nothing')
    expect(missing.status).toBe(404)
    expect(missing.headers.get('content-type')).toContain('application/problem+json')
    expect(missing.body).toMatchObject({ status: 404, code: 'NOT_FOUND', request_id: missing.headers.get('x-request-id') })
    const extra = await t.call('POST', '/v1/tokens', { body: { user: 'ada', name: 'x', roles: ['admin'] } })
    expect(extra.status).toBe(400)
    expect(extra.body.code).toBe('INVALID_REQUEST')
  })

  it('refuses unknown, altered, expired, revoked tokens and disabled users', async () => {
    const other = await t.call('POST', '/v1/tokens', { body: { user: 'ada', name: 'other', ttl_seconds: 60 } })
    expect(other.status).toBe(201)
    const token: string = other.body.token
    expect((await t.call('GET', '/v1/whoami', { token })).status).toBe(200)
    const last = token.at(-1) === 'A' ? 'B' : 'A'
    for (const wrong of ['x', 'spt_00', token.slice(0, -1), token.slice(0, -5) + last.repeat(5), token + 'A']) {
      expect((await t.call('GET', '/v1/whoami', { token: wrong })).status, wrong).toBe(401)
    }
    await t.postgres.prisma.apiToken.update({ where: { id: other.body.id }, data: { expiresAt: new Date(Date.now() - 1) } })
    expect((await t.call('GET', '/v1/whoami', { token })).status).toBe(401)
    await t.postgres.prisma.apiToken.update({ where: { id: other.body.id }, data: { expiresAt: null } })
    expect((await t.call('DELETE', `/v1/tokens/${other.body.id}`)).status).toBe(204)
    expect((await t.call('GET', '/v1/whoami', { token })).status).toBe(401)
    const stored = await t.postgres.prisma.apiToken.findUniqueOrThrow({ where: { id: other.body.id } })
    expect(JSON.stringify(stored)).not.toContain(token.slice(token.indexOf('_', 4) + 1))
  })

  it('lets a member see only what is theirs, and disabling works at once', async () => {
    const text = (disabled: boolean): string =>
      `apiVersion: sallyport.dev/v1\nkind: User\nmetadata: { name: mia }\nspec: { roles: [member], disabled: ${disabled} }\n`
    expect((await t.call('POST', '/v1/apply', { body: { documents: [{ path: 'u.yaml', text: text(false) }] } })).status).toBe(200)
    const { token } = (await t.call('POST', '/v1/tokens', { body: { user: 'mia', name: 'm' } })).body
    expect((await t.call('GET', '/v1/whoami', { token })).status).toBe(200)
    for (const path of ['/v1/events', '/v1/audit/verify', '/v1/users', '/v1/documents']) expect((await t.call('GET', path, { token })).status, path).toBe(403)
    expect((await t.call('POST', '/v1/apply', { token, body: { documents: [] } })).status).toBe(403)
    expect((await t.call('POST', '/v1/tokens', { token, body: { user: 'ada', name: 'x' } })).status).toBe(403)
    await t.call('POST', '/v1/apply', { body: { documents: [{ path: 'u.yaml', text: text(true) }] } })
    expect((await t.call('GET', '/v1/whoami', { token })).status).toBe(401)
  })
})
