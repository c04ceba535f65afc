import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BundlesService } from '../audit/bundles.service.js'
import { CheckpointsService } from '../audit/checkpoints.service.js'
import { EventsService } from '../audit/events.service.js'
import { commandRecord, makeAgent, makeSession, record } from '../testing/fixtures.js'
import { startApp, type TestApp } from '../testing/app.js'
import { addressWith, wordsReplaced } from './identifiers.js'
import { isPseudonym } from './persons.repository.js'

const user = (name: string, more = ''): string => `apiVersion: sallyport.dev/v1\nkind: User\nmetadata: { name: ${name} }\nspec: { roles: [admin], email: ${name}@example.com, aliases: { github: octo-${name} }${more} }\n`

describe('privacy', () => {
  let t: TestApp
  let agent: string
  let seq = 0
  const events = (): EventsService => t.app.get(EventsService, { strict: false })
  const delivered = async (...records: Buffer[]): Promise<void> => void (await events().ingest(agent, BigInt(seq - records.length + 1), records))
  const verify = async (): Promise<any> => (await t.call('GET', '/v1/audit/verify')).body
  const search = async (query: string): Promise<any[]> => (await t.call('GET', `/v1/events?${query}`)).body.items
  const apply = async (text: string, prune = false): Promise<any> => (await t.call('POST', '/v1/apply', { body: { documents: [{ path: 'users.yaml', text }], prune } })).body

  /** Every row of every table that holds the text, as `table: row`. */
  async function rowsWith(text: string, only?: string): Promise<string[]> {
    const tables = await t.postgres.prisma.$queryRaw<{ name: string }[]>`SELECT relname::text AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`
    const found: string[] = []
    for (const { name } of tables.filter((table) => only === undefined || table.name.startsWith(only))) {
      const rows = await t.postgres.prisma.$queryRawUnsafe<{ row: string }[]>(`SELECT t::text AS row FROM "${name}" t`)
      found.push(...rows.flatMap(({ row }) => (row.includes(text) ? [`${name}: ${row.slice(0, 300)}`] : [])))
    }
    return found
  }

  async function session(more: Parameters<typeof makeSession>[2], ended = true): Promise<string> {
    const { id } = await makeSession(t.postgres.prisma, agent, more)
    await delivered(record((seq += 1), 'session.start', { session: id, parameters: {} }))
    await delivered(commandRecord((seq += 1), id))
    if (ended) await delivered(record((seq += 1), 'session.end', { session: id, reason: 'client_closed', commands: 1 }))
    return id
  }

  beforeAll(async () => {
    t = await startApp()
    agent = await makeAgent(t.postgres.prisma)
    await apply(`${user('dana')}---\n${user('ada')}`)
  })
  afterAll(async () => {
    await t?.stop()
  })

  it('no name of a person stands in the log; whoever may read the log reads the names', async () => {
    const own = await session({ identityKind: 'user', identity: 'dana', actor: null, claims: { email: 'dana@example.com', department: 'data' }, clientAddress: '192.0.2.77' })
    const run = await session({ actor: 'octo-dana', claims: { actor: 'octo-dana', actor_id: '990017', repository: 'acme/shop', run_id: '990017' } })
    await events().append({ kind: 'auth.failed', method: 'credential', user: 'dana', code: 'LOCKED', reason: 'the user dana is disabled' })
    await events().append({ kind: 'auth.succeeded', identity: { kind: 'user', name: 'dana' }, method: 'oidc_token', client_address: '192.0.2.77', claims: { email: 'dana@example.com' } })
    await events().append({ kind: 'session.killed', session: run, by: 'dana', reason: 'dana was asked by ada' })
    await t.call('POST', '/v1/tokens', { body: { user: 'dana', name: 'laptop' } })
    for (const name of ['dana', 'octo-dana', 'dana@example.com', '192.0.2.77']) expect(await rowsWith(name, 'event'), name).toEqual([])

    const mine = await search('who=dana&order=asc')
    expect(mine.length).toBeGreaterThan(4)
    expect(new Set(mine.map(({ who }) => who))).toEqual(new Set(['dana']))
    const opened = await search(`session=${own}&kind=session.start`)
    expect(opened[0]).toMatchObject({ who: 'dana', identity: { name: 'dana' }, claims: { email: 'dana@example.com', department: 'data' } })
    expect((await search(`session=${run}&kind=command`))[0]).toMatchObject({ who: 'shop-ci', claims: { actor: 'octo-dana', repository: 'acme/shop' } })
    expect((await search('kind=auth.failed'))[0]).toMatchObject({ event: { user: 'dana', reason: 'the user dana is disabled' } })
    expect((await search('kind=auth.succeeded'))[0].event.client_address).toBe('192.0.2.77')
    expect((await search('text=octo-dana')).length).toBeGreaterThan(0)
    expect((await search('text=no-such-name')).length).toBe(0)
    expect((await search('kind=document.applied'))[0]).toMatchObject({ who: 'ada', event: { changes: [{ kind: 'User', name: 'ada' }, { kind: 'User', name: 'dana' }] } })
  })

  it('what a client wrote is never taken for a pseudonym', async () => {
    const { body } = await t.call('POST', '/v1/privacy/find', { body: { identifier: 'dana' } })
    const pseudonym: string = body.identifiers.find(({ identifier }: { identifier: string }) => identifier === 'dana').pseudonym
    expect(isPseudonym(pseudonym)).toBe(true)
    expect(body.identifiers.map(({ identifier }: { identifier: string }) => identifier)).toEqual(expect.arrayContaining(['dana', 'dana@example.com', 'octo-dana', '990017', '192.0.2.77']))
    const { id } = await makeSession(t.postgres.prisma, agent, { actor: null, claims: {} })
    await delivered(record((seq += 1), 'session.start', { session: id, parameters: {} }))
    await delivered(commandRecord((seq += 1), id, `SELECT '${pseudonym}'`), record((seq += 1), 'session.end', { session: id, reason: 'client_closed', commands: 1 }))
    expect((await search(`session=${id}&kind=command`))[0].event.text).toBe(`SELECT '${pseudonym}'`)
  })

  it('is refused to whom it is not for, and while the person is still here', async () => {
    const { token } = (await t.call('POST', '/v1/tokens', { body: { user: 'dana', name: 'p' } })).body
    await apply(user('dana').replace('[admin]', '[member]'))
    for (const path of ['find', 'erase']) expect((await t.call('POST', `/v1/privacy/${path}`, { token, body: path === 'find' ? { identifier: 'ada' } : { identifiers: ['ada'], reason: 'asked to' } })).status).toBe(403)
    const erase = (identifiers: string[]): Promise<{ status: number; body: any }> => t.call('POST', '/v1/privacy/erase', { body: { identifiers, reason: 'request 17 of dana' } })
    expect(await erase(['nobody-knows'])).toMatchObject({ status: 404 })
    expect(await erase(['dana'])).toMatchObject({ status: 409, body: { code: 'USER_EXISTS' } })
    await apply(user('ada'), true)
    const live = await session({ identityKind: 'user', identity: 'dana', actor: null, claims: {} }, false)
    expect(await erase(['dana'])).toMatchObject({ status: 409, body: { code: 'LIVE_SESSIONS' } })
    await delivered(record((seq += 1), 'session.end', { session: live, reason: 'client_closed', commands: 1 }))
    const hold = (await t.call('POST', '/v1/audit/holds', { body: { reason: 'case 4711', identity: 'dana' } })).body.id
    expect((await t.call('GET', '/v1/audit/holds')).body.items[0]).toMatchObject({ identity: 'dana' })
    expect(await erase(['dana'])).toMatchObject({ status: 409, body: { code: 'UNDER_HOLD' } })
    expect((await t.call('POST', `/v1/audit/holds/${hold}/release`, { body: { reason: 'closed' } })).status).toBe(204)
    expect(await rowsWith('dana')).not.toEqual([])
  })

  it('when the key is deleted nobody can tell any more, and the log still proves itself, byte for byte', async () => {
    const [of] = await search('who=dana&kind=session.start')
    const before = await t.postgres.prisma.$queryRaw<{ digest: string }[]>`SELECT md5(string_agg(body, '' ORDER BY "position")) AS digest FROM event WHERE "position" <= ${BigInt(of.position)}`
    await t.app.get(CheckpointsService, { strict: false }).sign()
    const reply = await t.call('POST', '/v1/privacy/erase', { body: { identifiers: ['dana'], reason: 'request 17 of dana' } })
    expect(reply, JSON.stringify(reply.body)).toMatchObject({ status: 200, body: { identifiers: 5, still_named_in: [] } })

    for (const name of ['dana', 'octo-dana', 'dana@example.com', '192.0.2.77']) expect(await rowsWith(name), name).toEqual([])
    expect(await t.postgres.prisma.$queryRaw`SELECT md5(string_agg(body, '' ORDER BY "position")) AS digest FROM event WHERE "position" <= ${BigInt(of.position)}`).toEqual(before)
    expect(await verify()).toMatchObject({ ok: true })
    expect(await search('who=dana')).toEqual([])
    const [now] = await search(`session=${of.session}&kind=session.start`)
    expect(isPseudonym(now.who)).toBe(true)
    expect(JSON.stringify(now)).not.toMatch(/dana|192\.0\.2\.77/)
    expect((await search(`who=${now.who}`)).length).toBeGreaterThan(0)
    expect((await search('kind=privacy.erased'))[0]).toMatchObject({ who: 'ada', event: { persons: reply.body.persons, identifiers: 5, by: 'ada' } })
    expect(await t.call('POST', '/v1/privacy/find', { body: { identifier: 'dana' } })).toMatchObject({ status: 404 })
    let bundle = ''
    for await (const line of await t.app.get(BundlesService, { strict: false }).ofSession(of.session, agent)) bundle += line
    expect(bundle).toContain(now.who)
  })

  it('who comes back is somebody new', async () => {
    await apply(user('dana'))
    await events().append({ kind: 'auth.succeeded', identity: { kind: 'user', name: 'dana' }, method: 'oidc_token' })
    const items = await search('who=dana')
    expect(items.map(({ kind }) => kind)).toEqual(['auth.succeeded'])
    expect(await verify()).toMatchObject({ ok: true })
  })

  it('many at once, on a cold cache, get one pseudonym', async () => {
    await Promise.all(Array.from({ length: 40 }, (_, i) => events().append({ kind: 'token.created', token: `t${i}`, user: 'ada', name: 'n', by: 'newcomer' })))
    const rows = await t.postgres.prisma.$queryRaw<{ identity: string }[]>`SELECT DISTINCT identity FROM event WHERE kind = 'token.created' AND "position" > (SELECT max("position") - 40 FROM event)`
    expect(rows.length).toBe(1)
    expect((await search('who=newcomer&limit=50')).length).toBe(40)
  })
})

it('replaces names as whole words, and nothing in other words', () => {
  const pseudonym = 'person-x'
  expect(wordsReplaced('ada, adapter, ada@b.c, Xada, (ada) ada.', 'ada', pseudonym)).toBe('person-x, adapter, ada@b.c, Xada, (person-x) person-x.')
  expect(wordsReplaced('a.b (a.b) aXb a.b.c', 'a.b', pseudonym)).toBe('person-x (person-x) aXb a.b.c')
  expect(wordsReplaced('$& $1 ada', 'ada', '$&')).toBe('$& $1 $&')
  expect(addressWith('192.0.2.1:99', new Map([['192.0.2.1', pseudonym]]))).toBe('person-x:99')
  expect(addressWith('2001:db8::1', new Map([['2001:db8::1', pseudonym]]))).toBe('person-x')
})
