import { commandDigest, type Command } from '@sallyport/kit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ApprovalsService } from '../approvals/approvals.service.js'
import { BundlesService } from '../audit/bundles.service.js'
import { CheckpointsService } from '../audit/checkpoints.service.js'
import { EventsService } from '../audit/events.service.js'
import { startApp, type TestApp } from '../testing/app.js'
import { commandRecord, makeAgent, makeSession, record } from '../testing/fixtures.js'
import { mentionsPseudonym } from './people.js'

const user = (name: string, more = ''): string => `apiVersion: sallyport.dev/v1\nkind: User\nmetadata: { name: ${name} }\nspec: { groups: [dba]${more} }\n---\n`
const ada = 'apiVersion: sallyport.dev/v1\nkind: User\nmetadata: { name: ada }\nspec: { roles: [admin] }\n---\n'
const marta = user('marta', ', aliases: { github: octomarta }, email: marta@example.com, displayName: Marta Muster')
const names = ['marta', 'octomarta', 'marta@example.com', 'Marta Muster', '4711815', '192.0.2.77']

describe('privacy', () => {
  let t: TestApp
  let agent: string
  let seq = 0
  let own: string
  let run: string
  const apply = async (text: string, prune = false): Promise<void> => {
    const { status, body } = await t.call('POST', '/v1/apply', { body: { documents: [{ path: 'people.yaml', text }], prune } })
    expect(status, JSON.stringify(body)).toBe(200)
  }
  const events = (): EventsService => t.app.get(EventsService, { strict: false })
  const delivered = async (...records: Buffer[]): Promise<void> => void (await events().ingest(agent, BigInt(seq - records.length + 1), records))
  const search = async (query: string): Promise<any[]> => (await t.call('GET', `/v1/events?limit=1000&${query}`)).body.items
  const erase = (person: string) => t.call('POST', '/v1/privacy/erase', { body: { person, reason: 'marta asked for it' } })
  const sql = (text: string): Promise<any[]> => t.postgres.prisma.$queryRawUnsafe(text)

  /** Every row of every table, as text, table by table. Bytes are hexadecimal: what is in them is looked for so, too. */
  async function found(tables = /./): Promise<string[]> {
    const hits: string[] = []
    for (const { name } of await sql("SELECT relname::text AS name FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace")) {
      if (!tables.test(name)) continue
      const rows = await sql(`SELECT t::text AS row FROM "${name}" t`)
      for (const { row } of rows) {
        const text = String(row).toLowerCase()
        for (const one of names) if (text.includes(one.toLowerCase()) || text.includes(Buffer.from(one).toString('hex'))) hits.push(`${name}: ${one} in ${text.slice(0, 600)}`)
      }
    }
    return hits
  }

  beforeAll(async () => {
    t = await startApp()
    agent = await makeAgent(t.postgres.prisma)
    await apply(marta + user('dora'))
    const token = (await t.call('POST', '/v1/tokens', { body: { user: 'marta', name: 'laptop of marta' } })).body.token
    own = (await makeSession(t.postgres.prisma, agent, { identityKind: 'user', identity: 'marta', actor: null, clientAddress: '192.0.2.77', claims: { sub: '4711815', email: 'marta@example.com', iss: 'https://idp.example.com' } })).id
    run = (await makeSession(t.postgres.prisma, agent, { claims: { repository: 'octomarta/shop', ref: 'refs/heads/octomarta/fix', actor: 'octomarta', actor_id: '4711815', run_id: '42' }, actor: 'octomarta' })).id
    const identity = { kind: 'user', name: 'marta', groups: ['dba'] } as const
    await events().append({ kind: 'auth.succeeded', identity, method: 'oidc_token', client_address: '192.0.2.77', claims: { sub: '4711815', email: 'marta@example.com' } })
    await events().append({ kind: 'session.refused', identity, target: 'orders-db', client_address: '192.0.2.77', code: 'POLICY_DENIED', reason: 'no policy gives user marta a session on orders-db' })
    for (const session of [own, run]) {
      await delivered(record((seq += 1), 'session.start', { session, parameters: {} }))
      await delivered(commandRecord((seq += 1), session))
    }
    // A vote of the person, on a command of somebody else's run.
    const other = await makeSession(t.postgres.prisma, agent, { actor: 'someone', claims: {} })
    const command: Command = { text: 'DELETE FROM orders', effects: [{ action: 'sql.delete', resource: 'public.orders' }] }
    const digest = commandDigest(command, { session: other.id, target: other.target, identity: other.identity })
    const hold = { requirements: [{ rule: 'p#1', groups: ['dba'], quorum: 1 }], timeout_seconds: 60 }
    await t.app.get(ApprovalsService, { strict: false }).request(agent, { sessionId: other.id, commandId: '1', digest, commandJson: JSON.stringify(command), holdJson: JSON.stringify(hold) })
    const [asked] = (await t.call('GET', '/v1/approvals', { token })).body.items
    expect((await t.call('POST', `/v1/approvals/${asked.id}/approve`, { token, body: { reason: 'fine, says marta' } })).status).toBeLessThan(300)
  })
  afterAll(async () => {
    await t?.stop()
  })

  it('no name is in what is hashed, and none in clear beside it', async () => {
    expect(await found(/^(event|person_key|audit)/)).toEqual([])
    // The scan sees them where they are.
    expect((await found(/^(session|vote|document_version|api_token)$/)).length).toBeGreaterThan(8)
    const bodies = await sql("SELECT body, identity FROM event WHERE kind IN ('session.start', 'auth.succeeded', 'approval.voted')")
    expect(bodies.length).toBeGreaterThan(2)
    expect(bodies.every(({ body }) => mentionsPseudonym(body))).toBe(true)
  })

  it('readers see the names, wherever they stand', async () => {
    const all = await search('')
    expect(JSON.stringify(all)).not.toMatch(/person-[a-z2-7]{26}/)
    const [start] = await search(`session=${own}&kind=session.start`)
    expect(start).toMatchObject({ who: 'marta', identity: { kind: 'user', name: 'marta' }, claims: { sub: '4711815', email: 'marta@example.com', iss: 'https://idp.example.com' } })
    const [ofRun] = await search(`session=${run}&kind=session.start`)
    expect(ofRun).toMatchObject({ who: 'shop-ci', claims: { repository: 'octomarta/shop', ref: 'refs/heads/octomarta/fix', actor: 'octomarta', actor_id: '4711815', run_id: '42' } })
    const [refused] = await search('kind=session.refused')
    expect(refused.event).toMatchObject({ client_address: '192.0.2.77', reason: 'no policy gives user marta a session on orders-db' })
    const [decided] = await search('kind=approval.decided')
    expect(decided.event).toMatchObject({ reviewers: ['marta'], reason: 'fine, says marta' })
  })

  it('who finds the person, however it is written; nobody else', async () => {
    const kinds = (await search('who=marta')).map(({ kind }) => kind)
    expect(kinds).toEqual(expect.arrayContaining(['session.start', 'command', 'auth.succeeded', 'approval.voted']))
    expect((await search('who=Marta')).length).toBe(kinds.length)
    expect(await search('who=mart')).toEqual([])
  })

  it('an agent is told what to write: a decision carries pseudonyms beside the names', () => {
    const payload = t.sent.find(({ typ }) => typ === 'approval+jwt')?.payload
    expect(payload).toMatchObject({ reviewers: ['marta'], reason: 'fine, says marta', recorded: { reviewers: [expect.stringMatching(/^person-/)], reason: expect.stringMatching(/^fine, says person-/) } })
  })

  it('a pseudonym that somebody writes is not read back', async () => {
    const [{ identity: pseudonym }] = await sql(`SELECT identity FROM event WHERE session_id = '${own}' AND kind = 'command'`)
    await delivered(commandRecord((seq += 1), run, `SELECT '${pseudonym}'`))
    const [command] = await search(`session=${run}&kind=command`)
    expect(command.event.text).toBe(`SELECT '${pseudonym}'`)
    await events().append({ kind: 'session.viewed', by: pseudonym.replace(/.$/, 'a'), how: 'search' })
    await events().append({ kind: 'alert', code: 'TEST', message: `says ${pseudonym}` })
    const [alert] = await search('kind=alert')
    expect(alert.event.message).toBe(`says ${pseudonym.replace('-', '_')}`)
  })

  it('is refused while a document, a live session or a legal hold keeps the person; and for whom nobody knows', async () => {
    expect(await erase('nobody')).toMatchObject({ status: 404 })
    expect(await erase('marta')).toMatchObject({ status: 409, body: { code: 'PERSON_IN_DOCUMENTS', detail: expect.stringContaining('User marta') } })
    await apply(ada + user('dora'), true)
    expect(await erase('marta')).toMatchObject({ status: 409, body: { code: 'PERSON_HAS_SESSIONS' } })
    for (const session of [own, run]) await delivered(record((seq += 1), 'session.end', { session, reason: 'client_closed', commands: 1 }))
    const { id } = (await t.call('POST', '/v1/audit/holds', { body: { reason: 'case 17', identity: 'marta' } })).body
    expect(await erase('marta')).toMatchObject({ status: 409, body: { code: 'LEGAL_HOLD' } })
    await t.call('POST', `/v1/audit/holds/${id}/release`, { body: { reason: 'closed' } })
    const byTarget = (await t.call('POST', '/v1/audit/holds', { body: { reason: 'case 18', target: 'orders-db' } })).body
    expect(await erase('octomarta')).toMatchObject({ status: 409, body: { code: 'LEGAL_HOLD' } })
    await t.call('POST', `/v1/audit/holds/${byTarget.id}/release`, { body: { reason: 'closed' } })
    expect((await search('who=marta')).length).toBeGreaterThan(3)
  })

  it('erased: no table holds a name any more, the log is whole, readers see what stands for the person', async () => {
    const lines: string[] = []
    await t.app.get(CheckpointsService, { strict: false }).sign()
    const before = await sql('SELECT "position", hash, body FROM event ORDER BY "position"')
    const { status, body } = await erase('octomarta')
    expect(status, JSON.stringify(body)).toBe(200)
    expect(body).toEqual({ person: expect.stringMatching(/^person-/), identifiers: expect.any(Number), tables: expect.arrayContaining(['session', 'vote', 'document_version']) })
    expect(await found()).toEqual([])
    expect(await search('who=marta')).toEqual([])
    expect(JSON.stringify(await search('')).toLowerCase()).not.toContain('marta')
    const after = await sql('SELECT "position", hash, body FROM event ORDER BY "position"')
    expect(JSON.stringify(after.map(({ body: text }) => text))).toContain('privacy.erased')
    expect(after.slice(0, before.length).map(({ body: text }) => text)).toEqual(before.map(({ body: text }) => text))
    expect((await t.call('GET', '/v1/audit/verify')).body).toMatchObject({ ok: true })
    for await (const line of await t.app.get(BundlesService, { strict: false }).ofSession(run, agent)) lines.push(line)
    expect(lines.join('')).not.toContain('marta')
    const [start] = await search(`session=${own}&kind=session.start`)
    expect(start).toMatchObject({ who: body.person, identity: { name: body.person } })
    expect(await search(`who=${body.person}`)).not.toEqual([])
    const [view] = (await t.call('GET', '/v1/events?kind=privacy')).body.items
    expect(view).toMatchObject({ kind: 'privacy.erased', who: 'ada', event: { person: body.person, by: 'ada', reason: `${body.person} asked for it` } })
    expect(await erase(body.person)).toMatchObject({ status: 404 })
  })

  it('whoever comes back under the name is somebody new', async () => {
    await events().append({ kind: 'session.viewed', by: 'marta', how: 'search' })
    expect(await search('who=marta')).toHaveLength(1)
  })
})
