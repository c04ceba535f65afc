import { generateKeyPairSync } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type { ActionTree, Effect, Rule } from '@sallyport/policy'
import { CompactSign } from 'jose'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ApprovalAsk, ApprovalDesk } from './approvals.js'
import { commandDigest, type Command } from './command.js'
import type { ApprovalDecisionPayload, GrantPayload, HeldPayload } from './grant.js'
import type { Denial } from './guard.js'
import { Permit } from './permit.js'
import { SessionGuard } from './session-guard.js'
import { Spool, SpoolError } from './spool/spool.js'
import { digestOf, splitRecord } from './recording/payload.js'
import { GrantError, verifyGrant, type VerifiedGrant } from './verified-grant.js'

const sid = '0197a1b2-0000-7000-8000-000000000001'
const keys = generateKeyPairSync('ed25519')
const actions: ActionTree = { actions: { 'sql.select': '', 'sql.delete': '', 'sql.drop': '' }, aliases: {} }
const rules: Rule[] = [
  { policy: 'p', index: 0, verdict: 'allow', actions: ['sql.select'], on: ['public.*'] },
  { policy: 'p', index: 1, verdict: 'hold', actions: ['sql.delete'], on: ['public.*'], approvers: { groups: ['dba'], quorum: 1 }, timeout_seconds: 60 },
]

function payload(change: Partial<GrantPayload> = {}): GrantPayload {
  const now = Math.floor(Date.now() / 1000)
  return {
    v: 1,
    sid,
    version: 1,
    agent: 'agent-1',
    iat: now,
    exp: now + 600,
    lease: now + 60,
    identity: { kind: 'workload', id: 'w', name: 'shop-ci', groups: [], claims: {} },
    target: { id: 't', name: 'orders-db', protocol: 'x', labels: {}, spec: {} },
    rules,
    masks: [],
    terms: { ttl_seconds: 600, idle_seconds: 60, audit: 'spooled', record_result_bytes: 0, record_terminal_bytes: 0, record_input: false, record_parameters: true },
    approval_url: 'https://s/approvals/',
    ...change,
  }
}

async function sign(value: unknown, typ = 'grant+jwt', key = keys.privateKey): Promise<string> {
  return new CompactSign(Buffer.from(JSON.stringify(value))).setProtectedHeader({ alg: 'EdDSA', typ, kid: 'k' }).sign(key)
}

const pinned = new Map([['k', keys.publicKey]])
const grantOf = async (change: Partial<GrantPayload> = {}): Promise<VerifiedGrant> =>
  verifyGrant(await sign(payload(change)), pinned, 'agent-1', Date.now() / 1000)

class Desk implements ApprovalDesk {
  readonly asked: ApprovalAsk[] = []
  readonly cancelled: string[] = []
  held = Promise.withResolvers<HeldPayload>()
  decided = Promise.withResolvers<ApprovalDecisionPayload>()
  request(ask: ApprovalAsk) {
    this.asked.push(ask)
    return { held: this.held.promise, decided: this.decided.promise, cancel: (reason: string) => void this.cancelled.push(reason) }
  }
  hold(): void {
    const ask = this.asked[0]
    this.held.resolve({ agent: 'agent-1', sid, command: String(ask?.command), approval: 'ap-1', digest: ask?.digest ?? '', groups: ['dba'], exp: Date.now() / 1000 + 60 })
  }
  decide(change: Partial<ApprovalDecisionPayload> = {}): void {
    const ask = this.asked[0]
    const now = Math.floor(Date.now() / 1000)
    this.decided.resolve({
      agent: 'agent-1',
      sid,
      command: String(ask?.command),
      approval: 'ap-1',
      digest: ask?.digest ?? '',
      verdict: 'approved',
      reason: '',
      reviewers: ['dana'],
      iat: now,
      exp: now + 60,
      ...change,
    })
  }
}

let directory: string
let spool: Spool
let desk: Desk
let ending: AbortController

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'guard-'))
  spool = new Spool({ directory })
  desk = new Desk()
  ending = new AbortController()
})

afterEach(async () => {
  await spool.close()
  fs.rmSync(directory, { recursive: true, force: true })
})

async function guardOf(change: Partial<GrantPayload> = {}): Promise<SessionGuard> {
  return new SessionGuard({ grant: await grantOf(change), actions, spool, approvals: desk, signal: ending.signal, durableMilliseconds: 200 })
}

const effect = (action: string, resource = 'public.orders'): Effect => ({ action, resource })
const select: Command = { text: 'SELECT', effects: [effect('sql.select')] }
const remove: Command = { text: 'DELETE', effects: [effect('sql.delete')], parameters: ['1'] }

async function recorded(): Promise<Record<string, unknown>[]> {
  return (await spool.read(1, 1_000_000)).records.map((record) => {
    const { header, payload } = splitRecord(record)
    return { ...(JSON.parse(Buffer.from(header).toString()) as Record<string, unknown>), ...(payload === undefined ? {} : { payload: Buffer.from(payload).toString() }) }
  })
}

async function denialOf(outcome: unknown): Promise<Denial> {
  const value = await outcome
  if (value instanceof Permit || typeof value !== 'object' || value === null || !('cause' in value)) throw new Error('not a denial')
  return value as Denial
}

test('an allowed command is on record before its permit exists', async () => {
  const guard = await guardOf()
  const permit = guard.submit(select)
  expect(permit).toBeInstanceOf(Permit)
  expect((await recorded()).map((event) => event['kind'])).toEqual(['command'])
})

test('a permit is used once', async () => {
  const permit = (await guardOf()).submit(select)
  if (!(permit instanceof Permit)) throw new Error('no permit')
  permit.consume()
  expect(() => permit.consume()).toThrow()
})

test('nobody but the guard makes a permit', () => {
  expect(() => Reflect.construct(Permit, [Symbol('permit'), 1, select, 1, 0n])).toThrow(TypeError)
})

test('what no rule allows is denied, recorded, and says what to do', async () => {
  const denial = await denialOf((await guardOf()).submit({ text: 'DROP', effects: [effect('sql.drop')] }))
  expect(denial.cause).toBe('denied')
  expect(denial.hint).not.toBe('')
  expect((await recorded())[0]).toMatchObject({ kind: 'command', decision: { verdict: 'deny' } })
})

test('nothing runs when it cannot be recorded', async () => {
  const guard = await guardOf()
  await spool.close()
  expect((await denialOf(guard.submit(select))).cause).toBe('unavailable')
})

test('a held command runs once it was approved, with its hold and release on record', async () => {
  const guard = await guardOf()
  const notices: string[] = []
  const outcome = guard.submit(remove, { hold: () => ({ signal: new AbortController().signal, onHeld: (notice) => notices.push(notice.url), release: () => undefined }) })
  desk.hold()
  await desk.held.promise
  await Promise.resolve()
  desk.decide()
  expect(await outcome).toBeInstanceOf(Permit)
  expect(notices).toEqual(['https://s/approvals/ap-1'])
  expect((await recorded()).map((event) => event['kind'])).toEqual(['command', 'command.held', 'command.released'])
})

for (const [name, change, cause] of [
  ['rejected', { verdict: 'rejected', reason: 'no' }, 'rejected'],
  ['expired', { verdict: 'expired' }, 'expired'],
  ['A for another digest', { digest: 'f'.repeat(64) }, 'refused'],
  ['A for another session', { sid: 'other' }, 'refused'],
  ['A for another command', { command: '7' }, 'refused'],
  ['A too late', { exp: 1 }, 'refused'],
] as const) {
  test(`a hold that is ${name} permits nothing`, async () => {
    const outcome = (await guardOf()).submit(remove)
    desk.hold()
    desk.decide(change)
    expect((await denialOf(outcome)).cause).toBe(cause)
    expect((await recorded()).at(-1)?.['kind']).toBe('command.released')
  })
}

test('a client that cancels withdraws its hold', async () => {
  const cancel = new AbortController()
  const outcome = (await guardOf()).submit(remove, { hold: () => ({ signal: cancel.signal, onHeld: () => undefined, release: () => undefined }) })
  desk.hold()
  cancel.abort()
  expect((await denialOf(outcome)).cause).toBe('cancelled')
  expect(desk.cancelled).toHaveLength(1)
})

test('the end of the session ends its hold, and an approval that comes later is lost', async () => {
  const outcome = (await guardOf()).submit(remove)
  desk.hold()
  ending.abort()
  desk.decide()
  expect((await denialOf(outcome)).cause).toBe('unavailable')
})

test('an unreachable control plane denies a hold', async () => {
  const outcome = (await guardOf()).submit(remove)
  desk.held.reject(new Error('gone'))
  expect((await denialOf(outcome)).cause).toBe('unavailable')
})

test('a policy that denies by the time of the approval wins', async () => {
  const guard = await guardOf()
  const outcome = guard.submit(remove)
  desk.hold()
  guard.update(await grantOf({ version: 2, rules: [{ policy: 'p', index: 0, verdict: 'deny', actions: ['sql.delete'], on: [] }] }))
  desk.decide()
  expect((await denialOf(outcome)).cause).toBe('denied')
})

test('A an approval by the people asked then does not stand for those that a newer policy asks', async () => {
  const guard = await guardOf()
  const outcome = guard.submit(remove)
  desk.hold()
  const stricter = rules.map((rule) => (rule.verdict === 'hold' ? { ...rule, approvers: { groups: ['security'], quorum: 2 } } : rule))
  guard.update(await grantOf({ version: 2, rules: stricter }))
  desk.decide()
  expect(await denialOf(await outcome)).toMatchObject({ cause: 'refused' })
})

test('an older grant can not be replayed over a newer one', async () => {
  const guard = await guardOf()
  const second = await grantOf({ version: 2, rules: [] })
  expect(guard.update(second)).toBe(true)
  expect(guard.update(await grantOf({ version: 2 }))).toBe(false)
  expect(guard.update(await grantOf())).toBe(false)
  expect((await denialOf(guard.submit(select))).cause).toBe('denied')
})

test('a strict session waits for the control plane, and denies when it does not answer', async () => {
  const guard = await guardOf({ terms: { ttl_seconds: 600, idle_seconds: 60, audit: 'strict', record_result_bytes: 0, record_terminal_bytes: 0, record_input: false, record_parameters: true } })
  const first = guard.submit(select)
  spool.acknowledge(1)
  expect(await first).toBeInstanceOf(Permit)
  expect((await denialOf(guard.submit(select))).cause).toBe('unavailable')
})

test('the digest changes with every part, and no two parts can be shifted into each other', () => {
  const scope = { session: 's', target: 't', identity: 'i' }
  const base = commandDigest(remove, scope)
  const others: [Command, typeof scope][] = [
    [{ ...remove, text: 'DELETE ' }, scope],
    [{ ...remove, parameters: ['2'] }, scope],
    [{ ...remove, parameters: ['1', null] }, scope],
    [{ ...remove, parameters: [null] }, scope],
    [{ ...remove, facts: { transaction: 'open' } }, scope],
    [{ text: remove.text, effects: remove.effects }, scope],
    [remove, { ...scope, session: 's2' }],
    [remove, { session: 'st', target: '', identity: 'i' }],
  ]
  const digests = new Set(others.map(([command, where]) => commandDigest(command, where)))
  expect(digests.size).toBe(others.length)
  expect(digests.has(base)).toBe(false)
})

test('I grants that are forged, foreign, expired or hold unknown fields are refused', async () => {
  const now = Date.now() / 1000
  const other = generateKeyPairSync('ed25519')
  const bad = [
    await sign(payload(), 'grant+jwt', other.privateKey),
    await sign(payload(), 'approval+jwt'),
    await sign(payload({ agent: 'agent-2' })),
    await sign(payload({ exp: 1 })),
    await sign(payload({ lease: 1 })),
    await sign({ ...payload(), unknown: true }),
    `${Buffer.from('{"alg":"none","typ":"grant+jwt","kid":"k"}').toString('base64url')}.${Buffer.from(JSON.stringify(payload())).toString('base64url')}.`,
    'nonsense',
  ]
  for (const jws of bad) await expect(verifyGrant(jws, pinned, 'agent-1', now)).rejects.toThrow(GrantError)
})

test('what a command showed is recorded between its beginning and its end', async () => {
  const guard = await guardOf({ terms: { ttl_seconds: 600, idle_seconds: 60, audit: 'spooled', record_result_bytes: 0, record_terminal_bytes: 7, record_input: true, record_parameters: true } })
  expect([guard.recordTerminalBytes, guard.recordInput]).toEqual([7, true])
  const permit = guard.submit(select)
  if (!(permit instanceof Permit)) throw new Error('no permit')
  guard.record(permit, { first: 0, chunks: [{ t_us: 5, s: 'o', d: 'hello' }], last: true })
  await guard.finish(permit, { status: 'ok', rows: 0, bytes: 5, masked: 0 })
  await new Promise((resolve) => setTimeout(resolve, 20))
  const events = await recorded()
  const payload = String(events[1]?.['payload'])
  expect(payload).toMatch(/^[\w-]{22}\n\{"t_us":5,"s":"o","d":"hello"\}\n$/)
  expect(events).toMatchObject([{ kind: 'command' }, { kind: 'recording', session: sid, command: 1, first: 0, count: 1, bytes: 54, sha256: digestOf(Buffer.from(payload)), last: true }, { kind: 'command.end' }])
})

test('R a recording does not use up the room that is kept for ends', async () => {
  await spool.close()
  spool = new Spool({ directory, maxBytes: 1500 })
  const guard = await guardOf()
  const permit = guard.submit(select)
  if (!(permit instanceof Permit)) throw new Error('no permit')
  expect(() => guard.record(permit, { first: 0, chunks: [{ t_us: 5, s: 'o', d: 'x'.repeat(2000) }] })).toThrow(SpoolError)
  expect(() => guard.finish(permit, { status: 'ok', rows: 0, bytes: 0, masked: 0 })).not.toThrow()
})
