import { generateKeyPairSync } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type { ActionTree, AuditMode } from '@sallyport/policy'
import { CompactSign } from 'jose'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Command } from './command.js'
import type { GrantPayload } from './grant.js'
import type { Denial } from './guard.js'
import { Permit } from './permit.js'
import { SessionGuard, type SessionGuardOptions } from './session-guard.js'
import { Spool, SpoolError } from './spool/spool.js'
import { verifyGrant } from './verified-grant.js'

/** What a command does when its record can't be made, or can't be made durable, in each mode that a policy may ask for. */
const keys = generateKeyPairSync('ed25519')
const actions: ActionTree = { actions: { 'sql.select': '', 'sql.delete': '', 'sql.drop': '' }, aliases: {} }
const command = (action: string): Command => ({ text: action, effects: [{ action, resource: 'public.orders' }] })
const result = { status: 'ok', rows: 1, bytes: 1, masked: 0 } as const

let directory: string
let spool: Spool
let now = 0
/** Code with which the spool refuses, when it does. */
let refusing: SpoolError['code'] | undefined
let gaps: string[]

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'modes-'))
  now = 0
  refusing = undefined
  gaps = []
  spool = new Spool({ directory, reserveBytes: 64 * 1024, maxAgeMilliseconds: 60_000, monotonic: () => now })
})

afterEach(async () => {
  await spool.close()
  fs.rmSync(directory, { recursive: true })
})

async function guardOf(audit: AuditMode, more: Partial<SessionGuardOptions> = {}): Promise<SessionGuard> {
  const at = Math.floor(Date.now() / 1000)
  const payload: GrantPayload = {
    v: 1, sid: '0197a1b2-0000-7000-8000-000000000001', version: 1, agent: 'a', iat: at, exp: at + 600, lease: at + 60,
    identity: { kind: 'workload', id: 'w', name: 'ci', groups: [], claims: {} },
    target: { id: 't', name: 'db', protocol: 'x', labels: {}, spec: {} },
    rules: [
      { policy: 'p', index: 0, verdict: 'allow', actions: ['sql.select'], on: ['public.*'] },
      { policy: 'p', index: 1, verdict: 'hold', actions: ['sql.delete'], on: ['public.*'], approvers: { groups: ['dba'], quorum: 1 }, timeout_seconds: 60 },
    ],
    masks: [],
    terms: { ttl_seconds: 600, idle_seconds: 60, audit, record_result_bytes: 0, record_terminal_bytes: 0, record_input: false, record_parameters: true },
    approval_url: 'https://s/',
  }
  const jws = await new CompactSign(Buffer.from(JSON.stringify(payload))).setProtectedHeader({ alg: 'EdDSA', typ: 'grant+jwt', kid: 'k' }).sign(keys.privateKey)
  const refused = <A, R>(append: (event: A) => R) => (event: A): R => {
    if (refusing !== undefined) throw new SpoolError(refusing, `refused: ${refusing}`)
    return append(event)
  }
  return new SessionGuard({
    grant: await verifyGrant(jws, new Map([['k', keys.publicKey]]), 'a', at),
    actions,
    spool: {
      append: refused((event) => spool.append(event)),
      appendClosing: refused((event) => spool.appendClosing(event)),
      durable: (receipt) => spool.durable(receipt),
      room: () => spool.room(),
      get overdue() {
        return spool.overdue
      },
      get backlogMilliseconds() {
        return spool.backlogMilliseconds
      },
    },
    approvals: { request: () => { throw new Error('asked') } },
    signal: new AbortController().signal,
    durableMilliseconds: 1500,
    onGap: (reason) => gaps.push(reason),
    ...more,
  })
}

async function permitOf(outcome: ReturnType<SessionGuard['submit']>): Promise<Permit> {
  const decided = await outcome
  if (!(decided instanceof Permit)) throw new Error(`no permit: ${decided.message}`)
  return decided
}

async function denialOf(outcome: ReturnType<SessionGuard['submit']>): Promise<Denial> {
  const decided = await outcome
  if (decided instanceof Permit) throw new Error('a permit')
  return decided
}

async function recorded(): Promise<Record<string, unknown>[]> {
  return (await spool.read(1, 1_000_000)).records.map((record) => JSON.parse(record.toString()) as Record<string, unknown>)
}

describe('strict', () => {
  test('waits for the record before the command, and for the result before its end; a result that nobody waits for ends nothing', async () => {
    const guard = await guardOf('strict', { durableMilliseconds: 100 })
    const outcome = guard.submit(command('sql.select'))
    spool.acknowledge(1)
    const permit = await permitOf(outcome)
    const end = guard.finish(permit, result)
    spool.acknowledge(2)
    await expect(end).resolves.toBeUndefined()
    const second = guard.submit(command('sql.select'))
    spool.acknowledge(3)
    const late = await permitOf(second)
    // As engines do where the client sees no end: it must not become an unhandled rejection, which ends the process.
    void guard.finish(late, result)
    await new Promise((resolve) => setTimeout(resolve, 200))
  })
})

describe('spooled', () => {
  test('runs at once while the control plane takes records in time', async () => {
    const guard = await guardOf('spooled')
    now = 60_000
    expect(guard.submit(command('sql.select'))).toBeInstanceOf(Permit)
  })

  test('overdue: waits as strict does, for the command and for its result, and is refused with the cause', async () => {
    const guard = await guardOf('spooled', { durableMilliseconds: 100 })
    expect(guard.submit(command('sql.select'))).toBeInstanceOf(Permit)
    now = 61_000
    const denial = await denialOf(guard.submit(command('sql.select')))
    expect(denial).toMatchObject({ cause: 'unavailable', rule: 'audit-unavailable', message: expect.stringContaining('has not acknowledged for 61 s'), hint: expect.stringContaining('Nothing was executed') })
    const outcome = guard.submit(command('sql.select'))
    expect(outcome).toBeInstanceOf(Promise)
    spool.acknowledge(3)
    const permit = await permitOf(outcome)
    const end = guard.finish(permit, result)
    expect(end).toBeInstanceOf(Promise)
    spool.acknowledge(4)
    await end
    // It has caught up.
    const next = guard.submit(command('sql.select'))
    expect(next).toBeInstanceOf(Permit)
    if (next instanceof Permit) expect(guard.finish(next, result)).toBeUndefined()
  })

  test('full: waits for room, then until it is durable; refused when none comes, with the cause and what to do', async () => {
    const guard = await guardOf('spooled')
    refusing = 'full'
    const outcome = guard.submit(command('sql.select'))
    await new Promise((resolve) => setTimeout(resolve, 50))
    refusing = undefined
    spool.append({ kind: 'agent.start', version: '1' })
    spool.acknowledge(1)
    await vi.waitFor(() => expect(spool.lastSeq).toBe(2))
    spool.acknowledge(2)
    expect((await permitOf(outcome)).ordinal).toBe(1)
    const impatient = await guardOf('spooled', { durableMilliseconds: 100 })
    refusing = 'full'
    expect(await denialOf(impatient.submit(command('sql.select')))).toMatchObject({ message: expect.stringContaining('refused: full'), hint: expect.stringMatching(/Nothing was executed.*control plane.*disk has room/) })
    expect(gaps).toEqual([])
  })

  test('a disk that fails refuses at once', async () => {
    const guard = await guardOf('spooled')
    refusing = 'unwritable'
    const outcome = guard.submit(command('sql.select'))
    expect(outcome).toMatchObject({ kind: 'denial', hint: expect.stringContaining('disk') })
  })

  test('a recording without room is closed as cut off', async () => {
    const closing: unknown[] = []
    const full = new SpoolError('full', 'full')
    const guard = await guardOf('spooled', {
      spool: {
        append: (event) => {
          if (event.kind === 'recording') throw full
          return spool.append(event)
        },
        appendClosing: (event) => {
          closing.push(event)
          return spool.appendClosing(event)
        },
        durable: (receipt) => spool.durable(receipt), room: () => spool.room(), overdue: false, backlogMilliseconds: 0,
      },
    })
    const permit = await permitOf(guard.submit(command('sql.select')))
    expect(() => guard.record(permit, { first: 0, chunks: [{ t_us: 1, s: 'o', d: 'x' }] })).toThrow(full)
    guard.record(permit, { first: 0, chunks: [{ t_us: 1, s: 'o', d: 'x' }], last: true })
    expect(closing).toMatchObject([{ kind: 'recording', first: 0, count: 0, last: true, truncated: true }])
  })
})

describe('best_effort', () => {
  test('goes on, and tells the exact range as soon as there is room; commands and start say the mode', async () => {
    const guard = await guardOf('best_effort')
    const before = await permitOf(guard.submit(command('sql.select')))
    refusing = 'full'
    expect(guard.finish(before, result)).toBeUndefined()
    const during = await permitOf(guard.submit(command('sql.select')))
    guard.record(during, { first: 0, chunks: [{ t_us: 1, s: 'o', d: 'x' }], last: true })
    expect(guard.finish(during, result)).toBeUndefined()
    expect((await denialOf(guard.submit(command('sql.drop')))).cause).toBe('denied')
    expect(guard.refuse(command('sql.drop'), { rule: 'r', message: 'm', hint: 'h' }).cause).toBe('denied')
    refusing = undefined
    await vi.waitFor(() => expect(spool.lastSeq).toBe(2), { timeout: 3000 })
    const [first, gap] = await recorded()
    expect(first).toMatchObject({ kind: 'command', command: 1, audit: 'best_effort' })
    expect(gap).toMatchObject({ kind: 'gap', session: first?.['session'], first_command: 1, last_command: 4, missing: { command: 3, recording: 1, 'command.end': 2 }, reason: 'full', certain: true })
    expect(gaps).toEqual(['full'])
    const after = guard.submit(command('sql.select'))
    expect(after).toMatchObject({ ordinal: 5 })
    // A second gap is another one.
    refusing = 'full'
    void guard.submit(command('sql.select'))
    refusing = undefined
    guard.close()
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect((await recorded()).at(-1)).toMatchObject({ kind: 'gap', first_command: 6, last_command: 6, missing: { command: 1 } })
  })

  test('a held command is never asked for off the record', async () => {
    const guard = await guardOf('best_effort')
    refusing = 'full'
    expect(await denialOf(guard.submit(command('sql.delete')))).toMatchObject({ cause: 'unavailable', rule: 'audit-unavailable' })
  })

  test.each(['closed', 'behind'] as const)('a spool that is %s could never tell of the gap: nothing runs', async (code) => {
    const guard = await guardOf('best_effort')
    refusing = code
    expect((await denialOf(guard.submit(command('sql.select')))).cause).toBe('unavailable')
    expect(gaps).toEqual([])
  })

  test('an agent that was killed in it: the next one finds that the session was best_effort', async () => {
    const guard = await guardOf('best_effort')
    await permitOf(guard.submit(command('sql.select')))
    const next = new Spool({ directory, reserveBytes: 64 * 1024 })
    expect(next.unfinished).toMatchObject([{ commands: [1], started: 1, bestEffort: true }])
    await next.close()
  })
})
