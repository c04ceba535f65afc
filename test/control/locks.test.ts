import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Client, psql, psqlSession } from '../support/client.js'
import { direct, eventually } from '../support/direct.js'
import { Stack } from '../support/stack.js'

/** Identities, targets and agents are locked while real clients work, on two gateways. */
let stack: Stack
const tokens = new Map<string, string>()
const tokenOf = (user: string): string => tokens.get(user) ?? stack.token(user)

beforeAll(async () => {
  stack = await Stack.start({ gateways: 2, agents: 2 })
  const text = `apiVersion: sallyport.dev/v1
kind: Policy
metadata: { name: people-on-orders }
spec:
  subjects: [{ user: dana }]
  targets: { names: [${stack.target.name}] }
  rules: [{ allow: sql.select, on: ["*.*"] }]
---
apiVersion: sallyport.dev/v1
kind: User
metadata: { name: olaf }
spec: { roles: [operator] }
---
apiVersion: sallyport.dev/v1
kind: User
metadata: { name: mina }
spec: { roles: [auditor] }
`
  const applied = await stack.api('POST', '/v1/apply', { documents: [{ path: 'people.yaml', text }] })
  expect(applied.body).toMatchObject({ applied: true })
  for (const user of ['olaf', 'mina']) tokens.set(user, (await stack.api('POST', '/v1/tokens', { user, name: 'test', ttl_seconds: 3600 })).body.token)
})
afterAll(async () => {
  await stack.stop()
})

/** A psql that has answered once; on the gateway with this number. */
async function connected(gateway: number, env: Record<string, string> = {}): Promise<Client> {
  const session = psqlSession({ ...(await stack.pgEnv({ gateway })), ...env })
  session.send('SELECT 40 + 2;\n')
  await session.seen(/^42$/m)
  return session
}

/** A user's own credential, as libpq takes it. */
async function asUser(name: string): Promise<Record<string, string>> {
  const { body } = await stack.api('POST', '/v1/credentials', { target: stack.target.name }, tokenOf(name))
  return { PGUSER: body.username, PGPASSWORD: body.access_token }
}

interface Lock {
  readonly id: string
}

async function lock(kind: string, name: string, token?: string): Promise<Lock> {
  const { status, body } = await stack.api('POST', '/v1/locks', { kind, name, reason: 'strange things' }, token)
  expect(status, JSON.stringify(body)).toBe(201)
  return body as Lock
}

async function release({ id }: Lock, token?: string): Promise<void> {
  expect((await stack.api('POST', `/v1/locks/${id}/release`, { reason: 'all is well' }, token)).status).toBe(204)
}

/** Ends the sessions within two seconds of the call that locked, and tells them which kind of thing was locked, not why. */
async function cutInTime(sessions: readonly Client[], since: number, told: RegExp): Promise<void> {
  for (const session of sessions) {
    await session.exited
    expect(session.stderr).toMatch(told)
    expect(session.stderr).not.toContain('strange things')
  }
  expect(Date.now() - since).toBeLessThan(2000)
}

/** An endless statement, so that psql notices the end while it waits. */
async function busy(session: Client): Promise<Client> {
  session.send('SELECT count(*) FROM generate_series(1, 3000000000);\n')
  return session
}

const backends = (): Promise<unknown[]> => direct(stack, "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%3000000000%' AND pid <> pg_backend_pid() AND state = 'active'")

describe('locks', () => {
  test('a workload: its sessions on both gateways end within two seconds, it gets neither sessions nor credentials, until it is released', async () => {
    const before = await stack.exchange()
    const sessions = [await busy(await connected(0)), await busy(await connected(1))]
    const others = await connected(0, await asUser('dana'))
    await eventually(async () => (await backends()).length === 2, 'both work')
    const since = Date.now()
    const made = await lock('workload', 'shop-ci')
    await cutInTime(sessions, since, /the workload shop-ci was locked/)
    await eventually(async () => (await backends()).length === 0, 'what ran at the target is cancelled')

    for (const gateway of [0, 1]) expect((await psql(await stack.pgEnv({ gateway }), 'SELECT 1')).stderr).toMatch(/the workload shop-ci is locked/)
    // A credential of before doesn't help.
    expect((await psql({ ...(await stack.pgEnv()), PGUSER: before.username, PGPASSWORD: before.access_token }, 'SELECT 1')).stderr).toMatch(/the workload shop-ci is locked/)
    await expect(stack.exchange()).rejects.toThrow(/the workload shop-ci is locked/)
    // Nobody else is touched.
    others.send('SELECT 6 * 7 + 1;\n')
    await others.seen(/^43$/m)
    others.end()
    await others.exited

    await release(made)
    expect((await psql(await stack.pgEnv({ gateway: 1 }), 'SELECT 1')).stdout).toBe('1\n')
  })

  test('a user: sessions end, and the API, the web and votes are closed as well', async () => {
    const session = await busy(await connected(1, await asUser('dana')))
    const credential = await asUser('dana')
    const since = Date.now()
    const made = await lock('user', 'dana', tokenOf('olaf'))
    await cutInTime([session], since, /the user dana was locked/)
    expect((await psql({ ...(await stack.pgEnv()), ...credential }, 'SELECT 1')).stderr).toMatch(/the user dana is locked/)
    expect((await stack.api('GET', '/v1/whoami', undefined, stack.token('dana'))).status).toBe(401)
    const { body } = await stack.api('GET', '/v1/users')
    expect(body.items.find(({ name }: { name: string }) => name === 'dana')).toMatchObject({ locked: true, disabled: true })
    await release(made, tokenOf('olaf'))
    expect((await stack.api('GET', '/v1/whoami', undefined, stack.token('dana'))).status).toBe(200)
    // The person stands in the log by a pseudonym, and is named to those who may read it.
    const [event] = await stack.events('kind=lock.created&who=olaf')
    expect(event).toMatchObject({ kind: 'lock.created', event: { locked: 'user', by: 'olaf', identity: { kind: 'user', name: 'dana' } } })
  })

  test('a target: sessions of everybody end, on every gateway', async () => {
    const sessions = [await busy(await connected(0)), await busy(await connected(1, await asUser('dana')))]
    const since = Date.now()
    const made = await lock('target', stack.target.name)
    await cutInTime(sessions, since, /the target \S+ was locked/)
    expect((await psql(await stack.pgEnv({ gateway: 1 }), 'SELECT 1')).stderr).toMatch(/the target \S+ is locked/)
    await expect(stack.exchange()).rejects.toThrow(/is locked/)
    await release(made)
    expect((await psql(await stack.pgEnv(), 'SELECT 1')).code).toBe(0)
  })

  test('an agent: its sessions end, and others serve the target until it is released', async () => {
    const session = await busy(await connected(0))
    const { body } = await stack.api('GET', '/v1/sessions?state=live')
    const agents: { id: string; name: string; kind: string }[] = (await stack.api('GET', '/v1/agents?kind=agent')).body.items
    const used = agents.find(({ id }) => id === body.items[0].agent_id)
    const other = agents.find(({ id }) => id !== used?.id)
    if (!used || !other) throw new Error('two agents are needed')
    const since = Date.now()
    const made = await lock('agent', used.name)
    await cutInTime([session], since, /the agent \S+ was locked/)
    const next = await busy(await connected(1))
    const live = await stack.api('GET', '/v1/sessions?state=live')
    expect(live.body.items).toMatchObject([{ agent_id: other.id }])
    const both = await lock('agent', other.name)
    await next.exited
    expect((await psql(await stack.pgEnv(), 'SELECT 1')).stderr).toMatch(/every agent for the target \S+ is locked/)
    await release(made)
    await release(both)
    expect((await psql(await stack.pgEnv(), 'SELECT 1')).code).toBe(0)
  })

  test('a lock with a time ends by itself; a list tells what stands', async () => {
    await stack.api('POST', '/v1/locks', { kind: 'workload', name: 'shop-ci', reason: 'for a moment', ttl_seconds: 10 })
    expect((await stack.api('GET', '/v1/locks')).body.items).toMatchObject([{ kind: 'workload', name: 'shop-ci', state: 'standing', by: 'ada' }])
    await eventually(async () => (await psql(await stack.pgEnv(), 'SELECT 1')).code === 0, 'it is over', 20_000)
    expect((await stack.api('GET', '/v1/locks')).body.items).toEqual([])
    expect((await stack.api('GET', '/v1/locks?state=all&limit=1')).body.items).toMatchObject([{ state: 'expired' }])
  })

  test('who may: operators, but not over administrators and not over themselves; a name that is mistyped is no safety', async () => {
    const asked = (body: unknown, who?: string) => stack.api('POST', '/v1/locks', body, who === undefined ? undefined : tokenOf(who))
    const mina = { kind: 'user', name: 'mina', reason: 'a test' }
    for (const who of ['dana', 'mina']) expect((await asked(mina, who)).body).toMatchObject({ status: 403, code: 'FORBIDDEN' })
    expect((await stack.api('GET', '/v1/locks', undefined, tokenOf('dana'))).status).toBe(403)
    // Who may read everything changes nothing.
    expect((await stack.api('GET', '/v1/locks', undefined, tokenOf('mina'))).status).toBe(200)
    expect((await asked({ ...mina, name: 'ada' }, 'olaf')).body).toMatchObject({ status: 403, detail: 'ada is an administrator: only administrators lock and unlock them.' })
    expect((await asked({ ...mina, name: 'ada' })).body).toMatchObject({ status: 409, code: 'LOCKS_YOURSELF' })
    for (const [kind, name] of [['workload', 'shop-c'], ['user', 'nobody'], ['target', 'orders'], ['agent', 'gateway-0']]) {
      expect((await asked({ kind, name, reason: 'a test' })).body).toMatchObject({ status: 404 })
    }
    expect((await asked({ kind: 'host', name: 'x', reason: 'a test' })).status).toBe(400)
    expect((await stack.api('GET', '/v1/locks')).body.items).toEqual([])
    const made = await lock('user', 'mina', tokenOf('olaf'))
    await release(made)
    expect((await stack.api('POST', `/v1/locks/${made.id}/release`, { reason: 'again' })).body).toMatchObject({ code: 'LOCK_RELEASED' })
  })
})
