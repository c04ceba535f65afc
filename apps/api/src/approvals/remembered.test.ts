import { commandDigest, type Command } from '@sallyport/kit'
import type { HoldRequirement } from '@sallyport/policy'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { EventsService } from '../audit/events.service.js'
import type { Session } from '../generated/prisma/client.js'
import { startApp, type SentMessage, type TestApp } from '../testing/app.js'
import { makeAgent, makeSession } from '../testing/fixtures.js'
import { ApprovalsService } from './approvals.service.js'

const document = (kind: string, name: string, spec: string): string => `apiVersion: sallyport.dev/v1\nkind: ${kind}\nmetadata: { name: ${name} }\nspec: ${spec}\n---\n`
const people = [
  document('User', 'dana', '{ groups: [dba], aliases: { github: octodana } }'),
  document('User', 'dora', '{ groups: [dba] }'),
  document('User', 'dirk', '{ groups: [dba, security] }'),
  document('User', 'sue', '{ groups: [security] }'),
  document('User', 'lea', '{ groups: [leads] }'),
  document('User', 'olga', '{ roles: [auditor] }'),
].join('')
const place =
  document('IdentityProvider', 'github', '{ issuer: "https://issuer.example", audience: sallyport }') +
  document('Workload', 'shop-ci', '{ provider: github, match: [{ claim: repository, equals: acme/shop }] }') +
  document('Target', 'orders-db', '{ protocol: postgres, agent: a1, postgres: { host: 127.0.0.1, port: 5432, database: orders, user: app, password: "env:X", tls: { mode: disable } } }')
/** Rules by position: once per session, once per command, not at all, with leads after a second. */
const policy = (reason = 'a'): string =>
  document('Policy', 'p', `
  subjects: [{ workload: shop-ci }]
  targets: { names: [orders-db] }
  rules:
    - { hold: sql.delete, approvers: { groups: [dba], remember: { scope: session, for: 30m } }, reason: ${reason} }
    - { hold: sql.update, approvers: { groups: [dba], quorum: 2, remember: { scope: command, for: 10m } } }
    - { hold: sql.insert, approvers: { groups: [dba] } }
    - { hold: sql.ddl, approvers: { groups: [dba], escalate: { after: 1s, to: { groups: [leads] } } }, timeout: 5m }
`)
const rules: Record<string, HoldRequirement> = {
  session: { rule: 'p#0', groups: ['dba'], quorum: 1, remember: { scope: 'session', for_seconds: 1800 } },
  command: { rule: 'p#1', groups: ['dba'], quorum: 2, remember: { scope: 'command', for_seconds: 600 } },
  plain: { rule: 'p#2', groups: ['dba'], quorum: 1 },
  escalating: { rule: 'p#3', groups: ['dba'], quorum: 1, escalate: { after_seconds: 1, groups: ['leads'] } },
}
const remove = (id: number): Command => ({ text: `DELETE FROM orders WHERE id = ${id}`, effects: [{ action: 'sql.delete', resource: 'public.orders' }], facts: { tx: 'I', a: 1 } })

describe('approvals that stand for what comes next', () => {
  let t: TestApp
  let agent: string
  let session: Session
  let ordinal = 0
  const tokens: Record<string, string> = {}

  const apply = async (text: string): Promise<void> => {
    const reply = await t.call('POST', '/v1/apply', { body: { documents: [{ path: 'all.yaml', text }] } })
    expect(JSON.stringify(reply.body.errors ?? '')).toBe('""')
  }
  beforeAll(async () => {
    t = await startApp({ SALLYPORT_OPEN_HOLDS: '3' })
    await apply(people + place + policy())
    for (const name of ['dana', 'dora', 'dirk', 'sue', 'lea', 'olga']) tokens[name] = (await t.call('POST', '/v1/tokens', { body: { user: name, name } })).body.token
  })
  afterAll(async () => {
    await t?.stop()
  })
  const run = (more: Partial<Session> = {}): Promise<Session> => makeSession(t.postgres.prisma, agent, { actor: 'someone', claims: { repository: 'acme/shop' }, ...more })
  beforeEach(async () => {
    await t.postgres.prisma.approval.updateMany({ where: { state: 'pending' }, data: { state: 'cancelled' } })
    await t.postgres.prisma.rememberedApproval.updateMany({ where: { endedAt: null }, data: { endedAt: new Date() } })
    agent = await makeAgent(t.postgres.prisma)
    session = await run()
  })

  async function ask(rule: string, command: Command, of = session): Promise<SentMessage> {
    const number = String(++ordinal)
    const before = t.sent.length
    await t.app.get(ApprovalsService, { strict: false }).request(agent, {
      sessionId: of.id, commandId: number, digest: commandDigest(command, { session: of.id, target: of.target, identity: of.identity }),
      commandJson: JSON.stringify(command), holdJson: JSON.stringify({ requirements: [rules[rule]], timeout_seconds: 300 }),
    })
    const sent = t.sent[before]
    if (!sent) throw new Error('nothing was sent')
    return sent
  }
  const held = async (rule: string, command: Command, of = session): Promise<string> => {
    const sent = await ask(rule, command, of)
    expect(sent.typ).toBe('held+jwt')
    return String(sent.payload['approval'])
  }
  const approve = (id: string, who: string, remember?: boolean | number) => t.call('POST', `/v1/approvals/${id}/approve`, { token: tokens[who] ?? '', body: remember === undefined ? {} : { remember } })
  const remembered = async (who = 'dana') => (await t.call('GET', '/v1/approvals/remembered', { token: tokens[who] ?? '' })).body.items

  it('session: covers what meets the same rule, with a decision of its own that names whom it rests on', async () => {
    const first = await held('session', remove(1))
    expect((await t.call('GET', `/v1/approvals/${first}`, { token: tokens['dana'] ?? '' })).body.remember).toEqual({ scope: 'session', for_seconds: 1800 })
    expect((await approve(first, 'dana', true)).body).toMatchObject({ state: 'approved', remembered: { scope: 'session', uses: 0 } })
    const second = await ask('session', remove(2))
    expect(second).toMatchObject({ typ: 'approval+jwt', payload: { verdict: 'approved', sid: session.id, command: String(ordinal), digest: commandDigest(remove(2), { session: session.id, target: 'orders-db', identity: 'shop-ci' }), reviewers: ['dana'] } })
    const item = (await t.call('GET', `/v1/approvals/${String(second.payload['approval'])}`, { token: tokens['dora'] ?? '' })).body
    expect(item).toMatchObject({ state: 'approved', rests_on: first, votes: [], text: remove(2).text })
    expect(await remembered()).toMatchObject([{ approval: first, state: 'active', uses: 1, reviewers: ['dana'], rules: ['p#0'] }])
    const events = (await t.call('GET', `/v1/events?session=${session.id}&kind=approval&order=asc`)).body.items
    expect(events.map((one: any) => one.kind)).toEqual([
      'approval.requested', 'approval.voted', 'approval.decided', 'approval.remembered', 'approval.requested', 'approval.reused', 'approval.decided',
    ])
    expect(events[5].event).toMatchObject({ approval: second.payload['approval'], rests_on: first, scope: 'session' })
    // Not what meets another rule, nor another session.
    await held('plain', remove(3))
    await held('session', remove(2), await run())
  })

  it('is off unless the reviewer asks for it, and never where the rules offer nothing or less', async () => {
    await approve(await held('session', remove(1)), 'dana')
    const plain = await held('plain', remove(1))
    expect((await approve(plain, 'dana', true)).body).toMatchObject({ status: 422, code: 'REMEMBER_NOT_OFFERED' })
    expect((await approve(plain, 'dana', false)).body.state).toBe('approved')
    const long = await held('session', remove(2))
    expect((await approve(long, 'dana', 1801)).body).toMatchObject({ status: 422, code: 'REMEMBER_TOO_LONG' })
    expect(await remembered()).toEqual([])
  })

  it('A never for what can not be analysed, and never on an agent’s word alone', async () => {
    const opaque: Command = { text: 'eval x', effects: [{ action: 'sql.unknown', resource: '', details: { mustName: true } }], facts: {} }
    expect((await approve(await held('session', opaque), 'dana', true)).body.code).toBe('REMEMBER_NOT_OFFERED')
    await approve(await held('session', remove(1)), 'dana', true)
    await held('session', opaque)
    // An agent that offers what the policy doesn't.
    const forged = rules['plain']
    rules['plain'] = { rule: 'p#2', groups: ['dba'], quorum: 1, remember: { scope: 'session', for_seconds: 28_000 } }
    expect((await approve(await held('plain', remove(1)), 'dana', true)).body.code).toBe('REMEMBER_NOT_OFFERED')
    if (forged) rules['plain'] = forged
  })

  it('command: exactly the same again in any session of the identity, when everybody needed wants that', async () => {
    const first = await held('command', remove(1))
    await approve(first, 'dana', 60)
    await approve(first, 'dora')
    await held('command', remove(1))
    const second = await held('command', remove(1))
    await approve(second, 'dana', 300)
    await approve(second, 'dora', true)
    expect(await remembered()).toMatchObject([{ approval: second, scope: 'command' }])
    const other = await run()
    expect(await ask('command', remove(1), other)).toMatchObject({ payload: { verdict: 'approved', reviewers: ['dana', 'dora'] } })
    for (const changed of [remove(2), { ...remove(1), facts: { tx: 'T' } }, { ...remove(1), parameters: ['1'] }, { ...remove(1), effects: [{ action: 'sql.delete', resource: 'audit.orders' }] }]) {
      await held('command', changed, other)
      await t.postgres.prisma.approval.updateMany({ where: { state: 'pending' }, data: { state: 'cancelled' } })
    }
    await held('command', remove(1), await run({ identity: 'other-ci' }))
    await held('command', remove(1), await run({ target: 'other-db' }))
  })

  it('A self-approval: nobody’s vote for another’s run lets their own run through', async () => {
    const first = await held('command', remove(1))
    await approve(first, 'dana', true)
    await approve(first, 'dora', true)
    await held('command', remove(1), await run({ actor: 'OctoDana' }))
    expect(await ask('command', remove(1), await run())).toMatchObject({ payload: { verdict: 'approved' } })
  })

  it('ends when the policy changes, when a reviewer leaves or is disabled, by revocation, with the session, with the credential, in time', async () => {
    const kept = async (): Promise<string> => {
      const id = await held('session', remove(1))
      await approve(id, 'dora', true)
      expect(await ask('session', remove(2))).toMatchObject({ payload: { verdict: 'approved' } })
      return id
    }
    const endedBecause = async (id: string, reason: RegExp): Promise<void> => {
      const sent = await ask('session', remove(3))
      expect(sent.typ).toBe('held+jwt')
      await t.postgres.prisma.approval.updateMany({ where: { state: 'pending' }, data: { state: 'cancelled' } })
      expect((await t.postgres.prisma.rememberedApproval.findUniqueOrThrow({ where: { approvalId: id } })).endReason).toMatch(reason)
      expect((await t.call('GET', '/v1/events?kind=approval.forgotten')).body.items[0].event).toMatchObject({ approval: id, reason: expect.stringMatching(reason) })
    }
    const changed = await kept()
    await apply(policy('b'))
    await endedBecause(changed, /policy/)
    const left = await kept()
    await apply(document('User', 'dora', '{ groups: [] }') + document('User', 'dirk', '{ groups: [dba, security] }'))
    await endedBecause(left, /no longer|not approve it any more/)
    await apply(document('User', 'dora', '{ groups: [dba] }'))
    const disabled = await kept()
    await apply(document('User', 'dora', '{ groups: [dba], disabled: true }'))
    await endedBecause(disabled, /not approve it any more/)
    await apply(document('User', 'dora', '{ groups: [dba] }'))
    const revoked = await kept()
    expect((await t.call('DELETE', `/v1/approvals/remembered/${revoked}`, { token: tokens['sue'] ?? '' })).status).toBe(404)
    expect((await t.call('DELETE', `/v1/approvals/remembered/${revoked}`, { token: tokens['olga'] ?? '' })).status).toBe(403)
    expect((await t.call('DELETE', `/v1/approvals/remembered/${revoked}`, { token: tokens['dana'] ?? '' })).status).toBe(204)
    await endedBecause(revoked, /revoked/)
    const late = await kept()
    await t.postgres.prisma.rememberedApproval.update({ where: { approvalId: late }, data: { expiresAt: new Date(Date.now() - 1) } })
    expect((await ask('session', remove(4))).typ).toBe('held+jwt')
    const over = await kept()
    await t.app.get(EventsService, { strict: false }).append({ kind: 'session.killed', session: session.id, by: 'ada', reason: 'test' })
    expect((await t.postgres.prisma.rememberedApproval.findUniqueOrThrow({ where: { approvalId: over } })).endReason).toBe('the session ended')
  })

  it('command: ends when the credential of the run that asked is revoked', async () => {
    const credential = await t.postgres.prisma.credential.create({
      data: { id: session.id, username: session.id, identityKind: 'workload', identity: 'shop-ci', target: 'orders-db', salt: new Uint8Array(1), iterations: 1, storedKey: new Uint8Array(1), serverKey: new Uint8Array(1), singleUse: false, createdAt: new Date(), expiresAt: new Date(Date.now() + 60_000) },
    })
    session = await run({ credentialId: credential.id })
    const id = await held('command', remove(1))
    await approve(id, 'dana', true)
    await approve(id, 'dora', true)
    const other = await run()
    expect(await ask('command', remove(1), other)).toMatchObject({ payload: { verdict: 'approved' } })
    await t.postgres.prisma.credential.update({ where: { id: credential.id }, data: { revokedAt: new Date() } })
    expect((await ask('command', remove(1), other)).typ).toBe('held+jwt')
  })

  it('A race: a revocation and a use at once: what is used before it is approved, nothing after it', async () => {
    const id = await held('session', remove(1))
    await approve(id, 'dana', true)
    const [used] = await Promise.all([ask('session', remove(2)), t.call('DELETE', `/v1/approvals/remembered/${id}`, { token: tokens['dana'] ?? '' })])
    expect(['held+jwt', 'approval+jwt']).toContain(used.typ)
    expect((await ask('session', remove(3))).typ).toBe('held+jwt')
  })

  it('escalation: others are asked after a time, may decide then and not before, and the item says so', async () => {
    const id = await held('escalating', remove(1))
    expect((await t.call('GET', `/v1/approvals/${id}`, { token: tokens['lea'] ?? '' })).status).toBe(404)
    expect((await approve(id, 'lea')).body.code).toBe('NOT_ASKED')
    expect((await t.call('GET', `/v1/approvals/${id}`, { token: tokens['dana'] ?? '' })).body.escalates_at).toBeDefined()
    await expect.poll(async () => (await t.call('GET', `/v1/approvals/${id}`, { token: tokens['lea'] ?? '' })).body.escalated_groups, { timeout: 5000 }).toEqual(['leads'])
    expect((await t.call('GET', '/v1/approvals?state=pending', { token: tokens['lea'] ?? '' })).body.items).toHaveLength(1)
    expect((await t.call('GET', `/v1/events?session=${session.id}&kind=approval.escalated`)).body.items).toMatchObject([{ event: { approval: id, rules: ['p#3'], groups: ['leads'] } }])
    expect((await approve(id, 'lea')).body).toMatchObject({ state: 'approved' })
  })

  it('comments: who may see may speak, auditors read, everything is visible, recorded and told', async () => {
    const id = await held('plain', remove(1))
    const say = (who: string, text: string) => t.call('POST', `/v1/approvals/${id}/comments`, { token: tokens[who] ?? '', body: { text } })
    expect((await say('dana', 'why\u202e now?')).body).toMatchObject({ user: 'dana', text_visible: 'why\\u202e now?' })
    expect((await say('dora', 'because')).status).toBe(201)
    expect((await say('sue', 'me too')).status).toBe(404)
    expect((await say('olga', 'me too')).status).toBe(403)
    expect((await say('dana', 'x'.repeat(2001))).status).toBe(400)
    expect((await say('dana', '  ')).status).toBe(400)
    expect((await t.call('GET', `/v1/approvals/${id}/comments`, { token: tokens['olga'] ?? '' })).body.items.map((one: any) => one.user)).toEqual(['dana', 'dora'])
    expect((await t.call('GET', `/v1/approvals/${id}/comments`, { token: tokens['sue'] ?? '' })).status).toBe(404)
    expect((await t.call('GET', `/v1/events?session=${session.id}&kind=approval.commented`)).body.items).toHaveLength(2)
  })

  it('A flood: bounds the open holds of one identity over all its sessions; the deny twin is the one before', async () => {
    for (let i = 0; i < 3; i++) await held('plain', remove(i), await run())
    expect(await ask('plain', remove(9), await run())).toMatchObject({ typ: 'approval+jwt', payload: { verdict: 'refused', reason: 'workload shop-ci has 3 commands waiting for approval already' } })
    // A user who happens to be called like the workload has a count of their own.
    await held('plain', remove(9), await run({ identityKind: 'user' }))
  })
})
