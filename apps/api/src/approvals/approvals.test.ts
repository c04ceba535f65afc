import { commandDigest, type Command } from '@sallyport/kit'
import type { Hold } from '@sallyport/policy'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { EventsService } from '../audit/events.service.js'
import type { Session } from '../generated/prisma/client.js'
import { startApp, type SentMessage, type TestApp } from '../testing/app.js'
import { makeAgent, makeSession, record } from '../testing/fixtures.js'
import { ApprovalsService } from './approvals.service.js'
import { DecisionsService } from './decisions.service.js'

const user = (name: string, groups: string[], more = ''): string =>
  `apiVersion: sallyport.dev/v1\nkind: User\nmetadata: { name: ${name} }\nspec: { groups: [${groups.join(', ')}]${more} }\n---\n`
const people = (extra = ''): string =>
  user('dana', ['dba'], ', aliases: { github: octodana }') + user('dora', ['dba']) + user('dirk', ['dba', 'security']) + user('sue', ['security']) + user('mia', []) + extra

describe('approvals', () => {
  let t: TestApp
  let agent: string
  let session: Session
  let ordinal = 0
  const tokens: Record<string, string> = {}

  const apply = async (text: string): Promise<void> => {
    const reply = await t.call('POST', '/v1/apply', { body: { documents: [{ path: 'people.yaml', text }] } })
    expect(reply.body.errors).toBeUndefined()
    expect(reply.status).toBe(200)
  }
  beforeAll(async () => {
    t = await startApp()
    await apply(people())
    for (const name of ['dana', 'dora', 'dirk', 'sue', 'mia']) tokens[name] = (await t.call('POST', '/v1/tokens', { body: { user: name, name } })).body.token
  })
  afterAll(async () => {
    await t?.stop()
  })
  beforeEach(async () => {
    agent = await makeAgent(t.postgres.prisma)
    session = await makeSession(t.postgres.prisma, agent, { actor: 'someone', claims: { repository: 'acme/shop' }, identity: `ci-${agent.slice(-6)}` })
    t.sent.length = 0
  })

  const service = (): ApprovalsService => t.app.get(ApprovalsService, { strict: false })
  const content: Command = { text: 'DELETE FROM orders', parameters: ['1', null], effects: [{ action: 'sql.delete', resource: 'public.orders' }], facts: { tx: 'I' } }
  const dba1: Hold = { requirements: [{ rule: 'p#1', groups: ['dba'], quorum: 1 }], timeout_seconds: 60 }

  async function ask(options: { hold?: Hold; from?: string; of?: Session; shown?: Command; command?: string } = {}): Promise<SentMessage> {
    const of = options.of ?? session
    const command = options.command ?? String(++ordinal)
    const digest = commandDigest(content, { session: of.id, target: of.target, identity: of.identity })
    const before = t.sent.length
    await service().request(options.from ?? agent, {
      sessionId: of.id, commandId: command, digest, commandJson: JSON.stringify(options.shown ?? content), holdJson: JSON.stringify(options.hold ?? dba1),
    })
    const sent = t.sent[before]
    if (!sent) throw new Error('nothing was sent')
    return sent
  }
  const held = async (hold?: Hold): Promise<string> => {
    const sent = await ask(hold ? { hold } : {})
    expect(sent.typ).toBe('held+jwt')
    return String(sent.payload['approval'])
  }
  const vote = (id: string, who: string, verdict: 'approve' | 'reject' = 'approve', body: object = { reason: 'because' }) =>
    t.call('POST', `/v1/approvals/${id}/${verdict}`, { token: tokens[who] ?? '', body })
  const decisions = (id: string): SentMessage[] => t.sent.filter((m) => m.typ === 'approval+jwt' && m.payload['approval'] === id)

  it('asks, shows everything, approves, and sends a decision bound to the command', async () => {
    const id = await held()
    const item = (await t.call('GET', `/v1/approvals/${id}`, { token: tokens['dana'] ?? '' })).body
    expect(item).toMatchObject({
      state: 'pending', session_id: session.id, target: 'orders-db', text: content.text, parameters: ['1', null],
      identity: { name: session.identity }, ci: { repository: 'acme/shop', actor: 'someone' }, rules: ['p#1'], votes: [],
    })
    expect((await t.call('GET', '/v1/approvals?state=pending', { token: tokens['dana'] ?? '' })).body.items.map((i: any) => i.id)).toContain(id)
    const approved = await vote(id, 'dana')
    expect(approved.status).toBe(200)
    expect(approved.body).toMatchObject({ state: 'approved', votes: [{ user: 'dana', verdict: 'approve', reason: 'because' }] })
    const [decision] = decisions(id)
    const now = Math.floor(Date.now() / 1000)
    expect(decision).toMatchObject({ agent, payload: { agent, sid: session.id, approval: id, digest: item.digest, verdict: 'approved', reviewers: ['dana'] } })
    expect(Number(decision?.payload['exp'])).toBeLessThanOrEqual(now + 60)
    const kinds = (await t.call('GET', `/v1/events?session=${session.id}&kind=approval&order=asc`)).body.items.map((i: any) => i.kind)
    expect(kinds).toEqual(['approval.requested', 'approval.voted', 'approval.decided'])
  })

  it('shows an approval to those asked only', async () => {
    const id = await held()
    expect((await t.call('GET', `/v1/approvals/${id}`, { token: tokens['mia'] ?? '' })).status).toBe(404)
    expect((await t.call('GET', '/v1/approvals', { token: tokens['mia'] ?? '' })).body.items).toEqual([])
    expect((await t.call('GET', `/approvals/${id}`, { token: '' })).body).toContain('sallyport approvals approve')
  })

  it('A replay: ended approvals take no vote; a second request for the same command gets the same answer', async () => {
    const id = await held()
    await vote(id, 'dana')
    for (const verdict of ['approve', 'reject'] as const) expect((await vote(id, 'dora', verdict)).status).toBe(409)
    const again = await ask({ command: String(ordinal) })
    expect(again).toMatchObject({ typ: 'approval+jwt', payload: { approval: id, verdict: 'approved' } })
    expect(await t.postgres.prisma.approval.count({ where: { sessionId: session.id } })).toBe(1)
  })

  it('A self-approval: neither the user of the session nor the CI actor, by any of their names', async () => {
    session = await makeSession(t.postgres.prisma, agent, { actor: 'OctoDana', identity: `ci-x${agent.slice(-6)}` })
    const id = await held()
    expect((await vote(id, 'dana')).body).toMatchObject({ status: 403, code: 'SELF_APPROVAL' })
    expect((await vote(id, 'dana', 'reject')).status).toBe(403)
    expect((await vote(id, 'dora')).status).toBe(200)
    session = await makeSession(t.postgres.prisma, agent, { identityKind: 'user', identity: 'dora', actor: null, claims: {} })
    expect((await vote(await held(), 'dora')).body.code).toBe('SELF_APPROVAL')
  })

  it('refuses who is not in a group asked, and a second vote of one person', async () => {
    const id = await held({ requirements: [{ rule: 'p#1', groups: ['dba'], quorum: 2 }], timeout_seconds: 60 })
    expect((await vote(id, 'sue')).body).toMatchObject({ status: 403, code: 'NOT_ASKED' })
    expect((await vote(id, 'dana')).body).toMatchObject({ state: 'pending' })
    expect((await vote(id, 'dana')).body).toMatchObject({ status: 403, code: 'ALREADY_VOTED' })
    expect(decisions(id)).toEqual([])
    expect((await vote(id, 'dora')).body).toMatchObject({ state: 'approved' })
    expect(decisions(id)).toHaveLength(1)
  })

  it('needs every requirement', async () => {
    const requirements = [{ rule: 'p#1', groups: ['dba'], quorum: 1 }, { rule: 'q#0', groups: ['security'], quorum: 1 }]
    const id = await held({ requirements, timeout_seconds: 60 })
    expect((await vote(id, 'dana')).body.state).toBe('pending')
    expect((await vote(id, 'sue')).body.state).toBe('approved')
    expect((await vote(await held({ requirements, timeout_seconds: 60 }), 'dirk')).body.state).toBe('approved')
  })

  it('group membership and disabling count at the time of the vote', async () => {
    const id = await held({ requirements: [{ rule: 'p#1', groups: ['dba'], quorum: 2 }], timeout_seconds: 60 })
    expect((await vote(id, 'dora')).status).toBe(200)
    await apply(people().replace('name: dora }\nspec: { groups: [dba]', 'name: dora }\nspec: { groups: [dba], disabled: true'))
    // dora's vote no longer counts, so one more isn't enough.
    expect((await vote(id, 'dana')).body.state).toBe('pending')
    await apply(people().replace('name: dirk }\nspec: { groups: [dba, security]', 'name: dirk }\nspec: { groups: [security]'))
    expect((await vote(id, 'dirk')).body.code).toBe('NOT_ASKED')
    await apply(people())
    expect((await vote(id, 'dirk')).body.state).toBe('approved')
  })

  it('one rejection by a reviewer ends it, and needs a reason', async () => {
    const id = await held({ requirements: [{ rule: 'p#1', groups: ['dba'], quorum: 2 }], timeout_seconds: 60 })
    expect((await vote(id, 'dana', 'reject', {})).status).toBe(400)
    expect((await vote(id, 'dana', 'reject', { reason: 'no' })).body).toMatchObject({ state: 'rejected', reason: 'no' })
    expect(decisions(id)).toMatchObject([{ payload: { verdict: 'rejected', reason: 'no', reviewers: ['dana'] } }])
  })

  it('A race: two approvals at once decide once; with quorum 2 both count', async () => {
    for (let i = 0; i < 5; i++) {
      const one = await held()
      const replies = await Promise.all([vote(one, 'dana'), vote(one, 'dora'), vote(one, 'dana')])
      expect(replies.filter((r) => r.status === 200)).toHaveLength(1)
      expect(decisions(one)).toHaveLength(1)
      const two = await held({ requirements: [{ rule: 'p#1', groups: ['dba'], quorum: 2 }], timeout_seconds: 60 })
      await Promise.all([vote(two, 'dana'), vote(two, 'dora')])
      expect(decisions(two)).toMatchObject([{ payload: { verdict: 'approved' } }])
      expect(await t.postgres.prisma.vote.count({ where: { approvalId: two } })).toBe(2)
    }
  })

  it('A race: approve, reject, expire and cancel at once: exactly one wins', async () => {
    const sweeper = t.app.get(DecisionsService, { strict: false })
    for (let i = 0; i < 6; i++) {
      const id = await held()
      await t.postgres.prisma.approval.update({ where: { id }, data: { expiresAt: new Date(Date.now() + 5) } })
      await Promise.all([vote(id, 'dana'), vote(id, 'dora', 'reject'), sweeper.sweep(), service().cancel(agent, session.id, String(ordinal), 'gone')])
      const decided = await t.postgres.prisma.event.count({ where: { kind: 'approval.decided', body: { contains: id } } })
      expect(decided).toBe(1)
      const row = await t.postgres.prisma.approval.findUniqueOrThrow({ where: { id } })
      expect(decisions(id).map((m) => m.payload['verdict'])).toEqual(row.state === 'cancelled' ? [] : [row.state])
    }
  })

  it('expires: by the timer, and at the time of the vote', async () => {
    const id = await held({ ...dba1, timeout_seconds: 1 })
    await expect.poll(() => decisions(id)[0]?.payload['verdict'], { timeout: 4000 }).toBe('expired')
    const late = await held()
    await t.postgres.prisma.approval.update({ where: { id: late }, data: { expiresAt: new Date(Date.now() - 1) } })
    expect((await vote(late, 'dana')).status).toBe(409)
    expect((await t.postgres.prisma.approval.findUniqueOrThrow({ where: { id: late } })).state).toBe('expired')
    const long = await held({ ...dba1, timeout_seconds: 10_000_000 })
    const row = await t.postgres.prisma.approval.findUniqueOrThrow({ where: { id: long } })
    expect(row.expiresAt.getTime()).toBeLessThanOrEqual(session.expiresAt.getTime())
  })

  it("refuses a digest that isn't of the command shown, other agents' sessions, and ended ones", async () => {
    expect(await ask({ shown: { ...content, text: 'SELECT 1' } })).toMatchObject({ typ: 'approval+jwt', payload: { verdict: 'refused' } })
    expect(await ask({ shown: { ...content, parameters: ['2', null] } })).toMatchObject({ payload: { verdict: 'refused' } })
    const other = await makeAgent(t.postgres.prisma)
    expect(await ask({ from: other })).toMatchObject({ agent: other, payload: { verdict: 'refused', reason: 'the session is not known' } })
    await t.postgres.prisma.session.update({ where: { id: session.id }, data: { killedAt: new Date() } })
    expect(await ask()).toMatchObject({ payload: { verdict: 'refused', reason: 'the session has ended' } })
    expect(await t.postgres.prisma.approval.count({ where: { sessionId: session.id } })).toBe(0)
  })

  it('A flood: bounds the open holds of one session, also when all ask at once, and says what to do', async () => {
    const maxOpenHolds = 10
    const all = await Promise.all(Array.from({ length: maxOpenHolds + 5 }, async () => {
      const command = String(++ordinal)
      const digest = commandDigest(content, { session: session.id, target: session.target, identity: session.identity })
      await service().request(agent, { sessionId: session.id, commandId: command, digest, commandJson: JSON.stringify(content), holdJson: JSON.stringify(dba1) })
    }))
    expect(all).toHaveLength(maxOpenHolds + 5)
    expect(t.sent.filter((m) => m.typ === 'held+jwt')).toHaveLength(maxOpenHolds)
    const refused = t.sent.filter((m) => m.payload['verdict'] === 'refused')
    expect(refused).toHaveLength(5)
    expect(refused[0]?.payload).toMatchObject({ reason: expect.stringMatching(/session has 10 commands waiting/), hint: expect.stringMatching(/run the command again/) })
    expect((await t.call('GET', `/v1/events?kind=alert&session=${session.id}`)).body.items[0]?.event).toMatchObject({ code: 'HOLDS_EXCEEDED' })
  })

  it('cancels with the session: by its end record, by a kill', async () => {
    const events = t.app.get(EventsService, { strict: false })
    const first = await held()
    await events.ingest(agent, 1n, [record(1, 'session.end', { session: session.id, reason: 'client_closed', commands: 1 })])
    expect((await t.postgres.prisma.approval.findUniqueOrThrow({ where: { id: first } })).state).toBe('cancelled')
    session = await makeSession(t.postgres.prisma, agent)
    const second = await held()
    await events.append({ kind: 'session.killed', session: session.id, by: 'ada', reason: 'test' })
    expect((await t.postgres.prisma.approval.findUniqueOrThrow({ where: { id: second } })).state).toBe('cancelled')
    expect((await vote(second, 'dana')).status).toBe(409)
  })

  it('streams changes to those who may see them', async () => {
    const controller = new AbortController()
    const response = await fetch(`${t.url}/v1/approvals/stream`, { headers: { authorization: `Bearer ${tokens['dana']}` }, signal: controller.signal })
    expect(response.headers.get('content-type')).toContain('text/event-stream')
    let text = ''
    const reading = (async () => {
      for await (const chunk of response.body ?? []) text += Buffer.from(chunk).toString()
    })().catch(() => undefined)
    await expect.poll(() => text).toContain('event: heartbeat')
    const hidden = await held({ requirements: [{ rule: 'p#1', groups: ['security'], quorum: 1 }], timeout_seconds: 60 })
    const id = await held()
    await vote(id, 'dora')
    await expect.poll(() => text).toContain('"approved"')
    expect(text).toContain('event: approval')
    expect(text).toContain(id)
    expect(text).not.toContain(hidden)
    controller.abort()
    await reading
    expect((await t.call('GET', '/v1/approvals/stream', { token: '' })).status).toBe(401)
  })

  it('leaves a chain that verifies', async () => {
    expect((await t.call('GET', '/v1/audit/verify')).body).toMatchObject({ ok: true })
  })
})
