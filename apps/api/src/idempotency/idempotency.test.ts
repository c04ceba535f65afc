import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../testing/app.js'

let app: TestApp
beforeAll(async () => {
  app = await startApp()
})
afterAll(() => app?.stop())

interface Answer {
  readonly status: number
  readonly body: any
  readonly replayed: boolean
}

async function create(key: string, body: unknown, { token = app.adminToken, path = '/v1/tokens' } = {}): Promise<Answer> {
  const response = await fetch(app.url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...(key === '' ? {} : { 'idempotency-key': key }) },
    body: JSON.stringify(body),
  })
  return { status: response.status, body: await response.json(), replayed: response.headers.get('idempotency-replayed') === 'true' }
}

const count = (name: string): Promise<number> => app.postgres.prisma.apiToken.count({ where: { name } })
const rows = () => app.postgres.prisma.idempotency.findMany()

describe('idempotency keys', () => {
  it('create once and answer the same; without a key twice', async () => {
    const first = await create('k-1', { user: 'ada', name: 'one' })
    const second = await create('k-1', { user: 'ada', name: 'one' })
    expect([first.status, first.replayed, second.status, second.replayed]).toEqual([201, false, 201, true])
    expect(second.body).toEqual(first.body)
    expect(await count('one')).toBe(1)
    await create('', { user: 'ada', name: 'two' })
    await create('', { user: 'ada', name: 'two' })
    expect(await count('two')).toBe(2)
  })

  it('at once: one is carried out, all get its answer', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => create('k-many', { user: 'ada', name: 'many' })))
    expect(new Set(answers.map(({ status, body }) => `${status} ${body.token}`)).size).toBe(1)
    expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1)
    expect(await count('many')).toBe(1)
  })

  it('for another request are refused', async () => {
    await create('k-2', { user: 'ada', name: 'a' })
    expect(await create('k-2', { user: 'ada', name: 'b' })).toMatchObject({ status: 422, body: { code: 'IDEMPOTENCY_KEY_REUSED' } })
    expect(await count('b')).toBe(0)
    expect(await create('k 3', { user: 'ada', name: 'c' })).toMatchObject({ status: 400, body: { code: 'INVALID_IDEMPOTENCY_KEY' } })
    expect(await create('x'.repeat(256), { user: 'ada', name: 'c' })).toMatchObject({ status: 400 })
  })

  it("are their user's and token's own, and of one route: nobody reads another's secret", async () => {
    const first = await create('k-4', { user: 'ada', name: 'mine' })
    const other = await create('k-5', { user: 'ada', name: 'other' })
    const foreign = await create('k-4', { user: 'ada', name: 'mine' }, { token: other.body.token })
    expect(foreign).toMatchObject({ status: 201, replayed: false })
    expect(foreign.body.token).not.toBe(first.body.token)
    expect(await create('k-4', { reason: 'a case', identity: 'x' }, { path: '/v1/audit/holds' })).toMatchObject({ status: 201, replayed: false })
  })

  it('keep answers sealed: no secret lies in the database', async () => {
    const { body } = await create('k-6', { user: 'ada', name: 'sealed' })
    const stored = Buffer.concat((await rows()).map(({ reply }) => Buffer.from(reply ?? new Uint8Array()))).toString('latin1')
    expect(stored).not.toContain(body.token)
    expect(stored).not.toContain('token')
    // Put in another key's place it opens nothing.
    const row = (await rows()).find(({ key }) => key === 'k-6')
    await create('k-7', { user: 'ada', name: 'sealed' })
    await app.postgres.prisma.idempotency.updateMany({ where: { key: 'k-7' }, data: { reply: row?.reply ?? null } })
    expect((await create('k-7', { user: 'ada', name: 'sealed' })).status).toBe(500)
  })

  it('of what was refused are free again', async () => {
    expect((await create('k-8', { user: 'nobody', name: 'x' })).status).toBe(404)
    expect((await rows()).some(({ key }) => key === 'k-8')).toBe(false)
    expect(await create('k-8', { user: 'ada', name: 'x' })).toMatchObject({ status: 201, replayed: false })
  })

  it('whose first request ended without a word do nothing twice, until they expire', async () => {
    await create('k-9', { user: 'ada', name: 'lost' })
    await app.postgres.prisma.idempotency.updateMany({ where: { key: 'k-9' }, data: { reply: null } })
    expect(await create('k-9', { user: 'ada', name: 'lost' })).toMatchObject({ status: 409, body: { code: 'IDEMPOTENCY_UNDECIDED' } })
    expect(await count('lost')).toBe(1)
    await app.postgres.prisma.idempotency.updateMany({ where: { key: 'k-9' }, data: { expiresAt: new Date(Date.now() - 1) } })
    expect(await create('k-9', { user: 'ada', name: 'lost' })).toMatchObject({ status: 201, replayed: false })
  })
})
