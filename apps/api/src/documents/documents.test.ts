import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../testing/app.js'
import { DocumentsService } from './documents.service.js'

const base = `apiVersion: sallyport.dev/v1
kind: IdentityProvider
metadata: { name: dev }
spec: { issuer: "https://issuer.example.com", audience: sallyport }
---
apiVersion: sallyport.dev/v1
kind: Workload
metadata: { name: shop-ci }
spec: { provider: dev, match: [{ claim: repository, equals: acme/shop }] }
---
apiVersion: sallyport.dev/v1
kind: User
metadata: { name: dana }
spec: { roles: [reviewer], groups: [dba] }
---
apiVersion: sallyport.dev/v1
kind: Target
metadata: { name: orders-db, labels: { env: demo } }
spec:
  protocol: postgres
  agent: site-a
  postgres: { host: 127.0.0.1, port: 5432, database: orders, user: app, password: "env:ORDERS_PASSWORD" }
`
const policy = (rules: string, tests = '[]', name = 'shop'): string => `apiVersion: sallyport.dev/v1
kind: Policy
metadata: { name: ${name} }
spec:
  subjects: [{ workload: shop-ci }]
  targets: { labels: { env: demo } }
  rules:
    ${rules}
  tests: ${tests}
`
const allow = '- { allow: sql.select, on: "public.orders" }'

describe('documents', () => {
  let t: TestApp
  beforeAll(async () => {
    t = await startApp()
  })
  afterAll(async () => {
    await t?.stop()
  })

  const apply = (files: Record<string, string>, more: object = {}) =>
    t.call('POST', '/v1/apply', { body: { documents: Object.entries(files).map(([path, text]) => ({ path, text })), ...more } })
  const actions = (reply: any): Record<string, string> => Object.fromEntries(reply.body.changes.map((c: any) => [`${c.kind}/${c.name}`, c.action]))

  it('applies a set with its tests, keeps versions, records the event, refreshes grants', async () => {
    const tests = '[{ as: shop-ci, run: "SELECT * FROM orders", expect: allow }, { as: shop-ci, run: "DROP TABLE orders", expect: deny }]'
    const before = t.refreshed.count
    const dry = await apply({ 'base.yaml': base, 'policy.yaml': policy(allow, tests) }, { dry_run: true })
    expect(dry.body).toMatchObject({ applied: false })
    expect(dry.body.tests.map((r: any) => [r.ok, r.actual])).toEqual([[true, 'allow'], [true, 'deny']])
    expect((await t.call('GET', '/v1/documents')).body.items).toHaveLength(1)
    const reply = await apply({ 'base.yaml': base, 'policy.yaml': policy(allow, tests) }, { reason: 'first' })
    expect(reply.status).toBe(200)
    expect(reply.body.applied).toBe(true)
    expect(actions(reply)).toMatchObject({ 'Policy/shop': 'create', 'User/ada': 'unchanged', 'Target/orders-db': 'create' })
    expect(t.refreshed.count).toBe(before + 1)
    const again = await apply({ 'base.yaml': base, 'policy.yaml': policy(allow, tests) })
    expect(again.body).toMatchObject({ applied: false, version: reply.body.version })
    const events = (await t.call('GET', '/v1/events?kind=document.applied&limit=1')).body.items
    expect(events[0]).toMatchObject({ who: 'ada', event: { version: reply.body.version, reason: 'first' } })
    const changed = await apply({ 'policy.yaml': policy(allow.replace('orders', 'order_items')) })
    const diff = changed.body.changes.find((c: any) => c.kind === 'Policy').diff
    expect(diff).toContain('\n-    - { allow: sql.select, on: "public.orders" }\n')
    expect(diff).toContain('\n+    - { allow: sql.select, on: "public.order_items" }\n')
    expect((await t.call('GET', '/v1/documents/Policy/shop')).body).toMatchObject({ version: 2, author: 'ada' })
    expect(await t.postgres.prisma.documentVersion.count({ where: { kind: 'Policy', name: 'shop' } })).toBe(2)
  })

  it('names errors by file, line and suggestion, and then applies nothing', async () => {
    const reply = await apply({ 'good.yaml': policy(allow, '[]', 'good'), 'bad.yaml': policy('- { alow: sql.select }') })
    expect(reply).toMatchObject({ status: 422, body: { code: 'INVALID_DOCUMENTS' } })
    expect(reply.body.errors).toContainEqual(expect.objectContaining({ path: 'bad.yaml', line: 8, suggestion: 'allow' }))
    const unknown = await apply({ 'p.yaml': policy('- { hold: sql.select, approvers: { groups: [dbas] } }') })
    expect(unknown.body.errors[0]).toMatchObject({ path: 'p.yaml', line: 1, suggestion: 'dba' })
    expect((await apply({ 'a.yaml': policy(allow), 'b.yaml': policy(allow) })).body.errors[0].message).toContain('a.yaml')
    expect((await t.call('GET', '/v1/documents?kind=Policy')).body.items.map((i: any) => i.name)).toEqual(['shop'])
    expect((await t.call('POST', '/v1/apply', { body: { documents: [{ path: 'x', text: '', sneaky: 1 }] } })).status).toBe(400)
  })

  it("doesn't apply what fails a test, also of another policy", async () => {
    await apply({ 'p.yaml': policy(allow, '[{ as: shop-ci, run: "SELECT * FROM orders", expect: allow }]') })
    const reply = await apply({ 'deny.yaml': policy('- { deny: sql.select }', '[]', 'lockdown') })
    expect(reply).toMatchObject({ status: 422, body: { code: 'POLICY_TESTS_FAILED' } })
    expect(reply.body.tests[0]).toMatchObject({ policy: 'shop', ok: false, expected: 'allow', actual: 'deny', rule: 'lockdown#0' })
    expect((await t.call('GET', '/v1/documents/Policy/lockdown')).status).toBe(404)
  })

  it('prunes on demand, but never the last admin; deletions are versions, too', async () => {
    const whole = { 'base.yaml': base }
    const refused = await apply(whole, { prune: true })
    expect(refused.body.errors[0].message).toContain('admin')
    const admin = 'apiVersion: sallyport.dev/v1\nkind: User\nmetadata: { name: ada }\nspec: { roles: [admin] }\n'
    const reply = await apply({ ...whole, 'ada.yaml': admin }, { prune: true })
    expect(actions(reply)).toMatchObject({ 'Policy/shop': 'delete', 'Target/orders-db': 'unchanged' })
    const last = await t.postgres.prisma.documentVersion.findFirst({ where: { kind: 'Policy', name: 'shop' }, orderBy: { version: 'desc' } })
    expect(last?.text).toBeNull()
    const back = await apply({ 'p.yaml': policy(allow) })
    expect(actions(back)['Policy/shop']).toBe('create')
    expect((await t.call('GET', '/v1/documents/Policy/shop')).body.version).toBe((last?.version ?? 0) + 1)
  })

  it('warns of holds that nobody could release', async () => {
    const reply = await apply({ 'p.yaml': policy('- { hold: sql.delete, approvers: { groups: [dba], quorum: 2 } }', '[]', 'two') }, { dry_run: true })
    expect(reply.body.warnings[0]).toMatchObject({ path: 'p.yaml', message: expect.stringContaining('nobody could release') })
  })

  it('warns of a record that may have gaps', async () => {
    const text = policy(allow, '[]', 'lax').replace('spec:', 'spec:\n  session: { audit: best_effort }')
    const reply = await apply({ 'p.yaml': text }, { dry_run: true })
    expect(reply.body.warnings).toContainEqual({ path: 'p.yaml', line: expect.any(Number), message: expect.stringMatching(/"lax".*best_effort.*go on when the agent can record nothing.*gap event/) })
  })

  it('concurrent applies happen one after the other', async () => {
    const replies = await Promise.all(Array.from({ length: 5 }, (_, i) => apply({ 'p.yaml': policy(allow.replace('orders', `t${i}`), '[]', 'race') })))
    expect(replies.map((r) => r.status)).toEqual([200, 200, 200, 200, 200])
    expect(await t.postgres.prisma.documentVersion.count({ where: { name: 'race' } })).toBe(5)
    expect((await t.call('GET', '/v1/audit/verify')).body.ok).toBe(true)
  })

  it('follows applies of another replica', async () => {
    const documents = t.app.get(DocumentsService, { strict: false })
    const prisma = t.postgres.prisma
    const row = await prisma.document.findFirstOrThrow({ where: { kind: 'User', name: 'dana' } })
    await prisma.document.update({ where: { id: row.id }, data: { version: 99, text: row.text.replace('groups: [dba]', 'groups: [dba, sre]') } })
    await prisma.$executeRaw`SELECT pg_notify('sallyport_documents', 'another')`
    await expect.poll(async () => (await documents.get('User', 'dana'))?.spec.groups).toEqual(['dba', 'sre'])
  })

  it('explains a decision, to members about themselves only', async () => {
    await apply({ 'p.yaml': policy(allow) })
    const ask = (body: object, token?: string) => t.call('POST', '/v1/policy/explain', { body, ...(token ? { token } : {}) })
    const reply = await ask({ as: 'shop-ci', target: 'orders-db', text: 'SELECT * FROM orders' })
    expect(reply.body).toMatchObject({ decision: { verdict: 'allow', rule: 'shop#0' } })
    expect(reply.body.commands[0].perEffect.map((e: any) => e.verdict)).toContain('allow')
    expect((await ask({ as: 'shop-ci', target: 'orders-db', text: 'DELETE FROM orders' })).body.decision.verdict).toBe('deny')
    expect((await ask({ as: 'shop-ci', target: 'orders-db', text: 'SELEC' })).body.decision).toMatchObject({ verdict: 'deny', rule: 'unparsable' })
    expect((await ask({ as: 'dana', target: 'orders-db', text: 'SELECT 1' })).body.decision).toMatchObject({ verdict: 'deny', rule: 'no-policy' })
    expect((await ask({ as: 'nobody', target: 'orders-db', text: '' })).status).toBe(404)
    const { token } = (await t.call('POST', '/v1/tokens', { body: { user: 'dana', name: 'x' } })).body
    expect((await ask({ as: 'shop-ci', target: 'orders-db', text: '' }, token)).status).toBe(403)
    expect((await ask({ as: 'dana', target: 'orders-db', text: '' }, token)).status).toBe(200)
  })
})
