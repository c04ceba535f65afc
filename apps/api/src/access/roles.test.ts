import { afterAll, beforeAll, expect, it } from 'vitest'
import { startApp, type TestApp } from '../testing/app.js'
import type { PermissionName } from './permission.js'
import { RouteCheck, type RouteInfo } from './routes.js'

const roles = ['admin', 'operator', 'policy_author', 'auditor', 'reviewer', 'member'] as const
type Role = (typeof roles)[number]

/** Who gets past the guard, by what a route states. What a handler then refuses (somebody else's token, a group that isn't asked) has tests of its own. */
const allowed: Readonly<Record<Exclude<PermissionName, 'public'>, readonly Role[]>> = {
  'signed-in': roles,
  admin: ['admin'],
  operator: ['admin', 'operator'],
  'policy-author': ['admin', 'operator', 'policy_author'],
  auditor: ['admin', 'auditor'],
  documents: ['admin', 'operator', 'policy_author', 'auditor'],
}

/** What changes something and is open to everybody who is signed in: one's own things, and votes, which groups decide about. */
const ownThings = [
  'DELETE /v1/approvals/remembered/:id', 'DELETE /v1/auth/sessions/:id', 'DELETE /v1/tokens/:id', 'POST /v1/approvals/:id/approve', 'POST /v1/approvals/:id/comments',
  'POST /v1/approvals/:id/reject', 'POST /v1/auth/signout', 'POST /v1/policy/explain',
]

let t: TestApp
const tokens = new Map<Role, string>()

beforeAll(async () => {
  t = await startApp()
  const text = roles.map((role) => `apiVersion: sallyport.dev/v1\nkind: User\nmetadata: { name: is-${role.replace('_', '-')} }\nspec: { roles: [${role}] }\n`).join('---\n')
  await t.call('POST', '/v1/apply', { body: { documents: [{ path: 'roles.yaml', text }] } })
  for (const role of roles) tokens.set(role, (await t.call('POST', '/v1/tokens', { body: { user: `is-${role.replace('_', '-')}`, name: 'test', ttl_seconds: 600 } })).body.token)
})
afterAll(() => t.stop())

const routes = (): RouteInfo[] => t.app.get(RouteCheck).routes().filter(({ permission }) => permission !== 'public')
const named = ({ method, path }: RouteInfo): string => `${method} /${path.replaceAll(/\/+/g, '/').replace(/^\/|\/$/g, '')}`
const isRefusedByRole = (body: unknown): boolean => typeof body === 'object' && body !== null && 'detail' in body && /^This needs the role /.test(String(body.detail))

it('every route lets in who has a role for it, and nobody else', async () => {
  const wrong: string[] = []
  for (const route of routes()) {
    const { method, permission } = route
    if (permission === undefined || permission === 'public') continue
    const path = named(route).split(' ')[1]?.replaceAll(/:[a-z]+/g, '0190aaaa-0000-7000-8000-000000000001') ?? ''
    // These answer for as long as somebody listens, or end what the others need.
    if (/\/(stream|watch|signout)$/.test(path)) continue
    for (const role of roles) {
      // A body that no handler takes: whoever is let in gets no further.
      const { body } = await t.call(method, path, { token: tokens.get(role) ?? '', ...(method === 'GET' || method === 'DELETE' ? {} : { body: { nothing_that_is_known: true } }) })
      if (isRefusedByRole(body) === allowed[permission].includes(role)) wrong.push(`${role}: ${named(route)}`)
    }
  }
  expect(routes().length).toBeGreaterThan(30)
  expect(wrong).toEqual([])
})

it('an auditor reads, and changes nothing but what is their own', () => {
  const changing = routes().filter(({ method, permission }) => method !== 'GET' && permission !== undefined && permission !== 'public' && allowed[permission].includes('auditor')).map(named).sort()
  // Their searches; holds of the law are the administrators'.
  expect(changing.filter((route) => !ownThings.includes(route))).toEqual(['DELETE /v1/audit/searches/:name', 'POST /v1/privacy/find', 'PUT /v1/audit/searches/:name'])
  expect(ownThings.filter((route) => !changing.includes(route))).toEqual([])
})
