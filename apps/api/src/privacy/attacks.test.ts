import { commandDigest, type Command } from '@sallyport/kit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ApprovalsService } from '../approvals/approvals.service.js'
import { EventsService } from '../audit/events.service.js'
import { startApp, type TestApp } from '../testing/app.js'
import { commandRecord, makeAgent, makeSession, record } from '../testing/fixtures.js'
import { PseudonymsService } from './pseudonyms.service.js'

const user = (name: string, roles = ''): string => `apiVersion: sallyport.dev/v1\nkind: User\nmetadata: { name: ${name} }\nspec: { groups: [dba]${roles} }\n---\n`

describe('pseudonyms, attacked', () => {
  let t: TestApp
  let agent: string
  let seq = 0
  const tokens: Record<string, string> = {}
  const events = (): EventsService => t.app.get(EventsService, { strict: false })
  const delivered = async (...records: Buffer[]): Promise<void> => void (await events().ingest(agent, BigInt(seq - records.length + 1), records))
  const search = async (query: string): Promise<any[]> => (await t.call('GET', `/v1/events?${query}`)).body.items
  const sql = (text: string): Promise<any[]> => t.postgres.prisma.$queryRawUnsafe(text)
  const apply = async (text: string, prune = false): Promise<void> => {
    const { status, body } = await t.call('POST', '/v1/apply', { body: { documents: [{ path: 'people.yaml', text }], prune } })
    expect(status, JSON.stringify(body)).toBe(200)
  }
  const pseudonymOf = async (identifier: string): Promise<string> =>
    (await t.call('POST', '/v1/privacy/find', { body: { identifier } })).body.identifiers.find((one: any) => one.identifier === identifier).pseudonym

  /** A held command of a session; its approval. */
  async function held(session: { id: string; target: string; identityKind: string; identity: string }, text: string): Promise<string> {
    const command: Command = { text, effects: [{ action: 'sql.delete', resource: 'public.orders' }] }
    const identity = await t.app.get(PseudonymsService, { strict: false }).ofIdentity(session.identityKind, session.identity)
    const hold = { requirements: [{ rule: 'p#1', groups: ['dba'], quorum: 1 }], timeout_seconds: 60 }
    const digest = commandDigest(command, { session: session.id, target: session.target, identity })
    await t.app.get(ApprovalsService, { strict: false }).request(agent, { sessionId: session.id, commandId: String((seq += 1)), digest, commandJson: JSON.stringify(command), holdJson: JSON.stringify(hold) })
    seq -= 1
    const [asked] = (await t.call('GET', `/v1/approvals?session=${session.id}`)).body.items
    expect(asked).toBeDefined()
    return asked.id
  }

  beforeAll(async () => {
    t = await startApp()
    agent = await makeAgent(t.postgres.prisma)
    await apply(user('marta') + user('mallory') + user('dora'))
    for (const name of ['marta', 'mallory', 'dora']) tokens[name] = (await t.call('POST', '/v1/tokens', { body: { user: name, name: 'n' } })).body.token
  })
  afterAll(async () => {
    await t?.stop()
  })

  it('who knows a pseudonym learns nobody\'s name by running it, holding it, or giving it as a reason', async () => {
    const pseudonym = await pseudonymOf('marta')
    const own = await makeSession(t.postgres.prisma, agent, { identityKind: 'user', identity: 'mallory', actor: null, claims: {} })
    await delivered(record((seq += 1), 'session.start', { session: own.id, parameters: { application_name: pseudonym } }))
    await delivered(commandRecord((seq += 1), own.id, `DELETE FROM orders WHERE note = '${pseudonym}'`))
    const approval = await held(own, `DELETE FROM orders WHERE note = '${pseudonym}'`)
    expect((await t.call('POST', `/v1/approvals/${approval}/reject`, { token: tokens['dora'] ?? '', body: { reason: `not ${pseudonym}` } })).status).toBeLessThan(300)
    await delivered(record((seq += 1), 'session.end', { session: own.id, reason: 'protocol_error', detail: `near ${pseudonym}`, commands: 1 }))
    const seen = await t.call('GET', `/v1/sessions/${own.id}/events`, { token: tokens['mallory'] ?? '' })
    const all = seen.status === 404 ? { items: await search(`session=${own.id}`) } : seen.body
    expect(all.items.map((item: any) => item.kind)).toEqual(expect.arrayContaining(['command', 'approval.requested', 'approval.voted', 'approval.decided', 'session.end']))
    expect(JSON.stringify(all)).not.toContain('marta')
    // And of the others names are read back: it isn't that nothing is.
    expect(JSON.stringify(all)).toContain('dora')
  })

  it('nothing that an agent writes tells a name: reasons for decisions come to it with pseudonyms', async () => {
    const own = await makeSession(t.postgres.prisma, agent, { identityKind: 'user', identity: 'mallory', actor: null, claims: {} })
    t.sent.length = 0
    const approval = await held(own, 'DELETE FROM orders')
    expect((await t.call('POST', `/v1/approvals/${approval}/approve`, { token: tokens['dora'] ?? '', body: { reason: 'mallory may, says dora' } })).status).toBeLessThan(300)
    const payload = t.sent.find(({ typ }) => typ === 'approval+jwt')?.payload
    const [dora, mallory] = [await pseudonymOf('dora'), await pseudonymOf('mallory')]
    expect(payload).toMatchObject({ reviewers: ['dora'], recorded_reviewers: [dora], reason: 'mallory may, says dora', recorded_reason: `${mallory} may, says ${dora}` })
    await delivered(record((seq += 1), 'command.released', { session: own.id, command: 1, verdict: 'approved', reviewers: [dora], reason: payload?.['recorded_reason'] }))
    expect((await search(`session=${own.id}&kind=command.released`))[0].event).toMatchObject({ reviewers: ['dora'], reason: 'mallory may, says dora' })
    const person = { identityKind: 'user', identity: 'mallory', claims: {} }
    expect(await events().recordedReason(person, 'no policy gives user mallory a session any more')).toBe(`no policy gives user ${mallory} a session any more`)
    await delivered(record((seq += 1), 'session.end', { session: own.id, reason: 'killed', detail: `no policy gives user ${mallory} a session any more`, commands: 1 }))
    expect((await search(`session=${own.id}&kind=session.end`))[0].event.detail).toBe('no policy gives user mallory a session any more')
  })

  it('the digest of a command has no name in it that could be tried out', async () => {
    const own = await makeSession(t.postgres.prisma, agent, { identityKind: 'user', identity: 'mallory', actor: null, claims: {} })
    await held(own, 'DELETE FROM orders')
    const [asked] = await search(`session=${own.id}&kind=approval.requested`)
    const guess = commandDigest({ text: 'DELETE FROM orders', effects: [] }, { session: own.id, target: own.target, identity: 'mallory' })
    expect(asked.event.digest).toMatch(/^[0-9a-f]{64}$/)
    expect(asked.event.digest).not.toBe(guess)
  })

  it('names in what else a token claims are nobody\'s either: a branch, a repository', async () => {
    const run = await makeSession(t.postgres.prisma, agent, { actor: 'octomarta', claims: { actor: 'octomarta', repository: 'octomarta/shop', ref: 'refs/heads/octomarta/fix', sub: 'repo:octomarta/shop:ref:refs/heads/octomarta/fix', other: 'octomartas' } })
    await delivered(record((seq += 1), 'session.start', { session: run.id, parameters: {} }), (seq += 1, record(seq, 'session.end', { session: run.id, reason: 'client_closed', commands: 0 })))
    const [{ body }] = await sql(`SELECT body FROM event WHERE session_id = '${run.id}' AND kind = 'session.start'`)
    expect(body.replace('octomartas', '')).not.toContain('octomarta')
    expect((await search(`session=${run.id}&kind=session.start`))[0].claims).toEqual({ actor: 'octomarta', repository: 'octomarta/shop', ref: 'refs/heads/octomarta/fix', sub: 'repo:octomarta/shop:ref:refs/heads/octomarta/fix', other: 'octomartas' })
  })

  it('erasing reaches tables that nobody has thought of yet, and leaves what is others\'', async () => {
    await sql('CREATE TABLE later (id int PRIMARY KEY, who text, notes jsonb, list text[])')
    await t.postgres.prisma.$executeRawUnsafe(`INSERT INTO later VALUES (1, 'octomarta', '{"said": "ask octomarta, or martas", "by": {"name": "octomarta"}}', '{octomarta,other}'), (2, 'octomartas', '{}', '{}')`)
    const place = '192.0.2.9'
    for (const identity of ['dora', 'marta']) {
      const { id } = await makeSession(t.postgres.prisma, agent, { identityKind: 'user', identity, actor: null, claims: {}, clientAddress: place })
      await events().append({ kind: 'auth.succeeded', identity: { kind: 'user', name: identity }, method: 'oidc_token', client_address: place })
      await delivered(record((seq += 1), 'session.end', { session: id, reason: 'client_closed', commands: 0 }))
    }
    await apply(user('ada', ', roles: [admin]') + user('mallory') + user('dora'), true)
    for (const identifier of ['octomarta', 'marta']) expect(await t.call('POST', '/v1/privacy/erase', { body: { identifiers: [identifier], reason: 'asked to' } }), identifier).toMatchObject({ status: 200 })
    const rows = await sql('SELECT * FROM later ORDER BY id')
    const stands = rows[0].who
    expect(stands).toMatch(/^person-/)
    expect(rows).toEqual([
      { id: 1, who: stands, notes: { said: `ask ${stands}, or martas`, by: { name: stands } }, list: [stands, 'other'] },
      { id: 2, who: 'octomartas', notes: {}, list: [] },
    ])
    const addresses = await sql("SELECT identity, client_address FROM session WHERE identity_kind = 'user' AND (client_address = '192.0.2.9' OR client_address LIKE 'person-%')")
    expect(addresses).toEqual(expect.arrayContaining([{ identity: 'dora', client_address: place }, { identity: expect.stringMatching(/^person-/), client_address: expect.stringMatching(/^person-/) }]))
    expect((await t.call('GET', '/v1/audit/verify')).body).toMatchObject({ ok: true })
  })
})
