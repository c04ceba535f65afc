import { generateKeyPairSync, pbkdf2, sign } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { genesisOf, headOf, keyIdOf, SessionVerifier } from '@sallyport/audit-log'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { AgentEventBody } from '../event.js'
import { digestOf, splitRecord } from '../recording/payload.js'
import { SpoolCorruptError } from './recovery.js'
import { Spool, SpoolError } from './spool.js'
import { timestamp, wallClock } from './timestamp.js'

let directory: string
const open: Spool[] = []

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'spool-'))
})

afterEach(async () => {
  for (const spool of open.splice(0)) await spool.close()
  fs.rmSync(directory, { recursive: true, force: true })
})

function spoolOf(options: { maxBytes?: number; segmentBytes?: number } = {}): Spool {
  const spool = new Spool({ directory, ...options })
  open.push(spool)
  return spool
}

const started = (session: string): AgentEventBody => ({ kind: 'session.start', session, parameters: {} })
const command = (session: string, ordinal: number, text = 'SELECT 1'): AgentEventBody => ({
  kind: 'command',
  session,
  command: ordinal,
  text,
  effects: [],
  decision: { verdict: 'allow', rule: 'p#0', reason: '', hint: '' },
})

test('records are numbered, on disk when append returns, and read back as they were written', async () => {
  const spool = spoolOf()
  expect(spool.append(started('a')).seq).toBe(1)
  expect(spool.append(command('a', 1)).seq).toBe(2)
  const onDisk = fs.readdirSync(directory).filter((name) => name.endsWith('.spool'))
  expect(fs.readFileSync(path.join(directory, onDisk[0] ?? '')).toString('latin1')).toContain('"seq":2')
  const { records } = await spool.read(1, 1_000_000)
  expect(records.map((record) => JSON.parse(record.toString()).seq)).toEqual([1, 2])
})

test('a spool opened again goes on where the killed one ended', async () => {
  const first = new Spool({ directory })
  first.append(started('a'))
  first.append(command('a', 1))
  first.append(command('a', 2))
  // No close: as after kill -9.
  const second = spoolOf()
  expect(second.lastSeq).toBe(3)
  expect(second.unfinished).toEqual([{ session: 'a', commands: [1, 2], started: 2, ended: false, bestEffort: false }])
  expect(second.append(started('b')).seq).toBe(4)
  expect((await second.read(2, 1_000_000)).records).toHaveLength(3)
})

test('a torn last record is cut off, at whatever byte it was torn', () => {
  const first = new Spool({ directory })
  first.append(started('a'))
  const file = path.join(directory, fs.readdirSync(directory)[0] ?? '')
  const whole = fs.readFileSync(file)
  first.append(command('a', 1))
  const both = fs.readFileSync(file)
  for (let length = whole.length; length < both.length; length += 1) {
    fs.writeFileSync(file, both.subarray(0, length))
    const again = new Spool({ directory })
    expect(again.lastSeq).toBe(1)
    expect(fs.statSync(file).size).toBe(whole.length)
  }
})

test('R a flipped bit in the middle is an error that names the place, not a shorter spool', () => {
  const first = new Spool({ directory })
  first.append(started('a'))
  const file = path.join(directory, fs.readdirSync(directory)[0] ?? '')
  const at = fs.statSync(file).size + 20
  first.append(command('a', 1))
  first.append(command('a', 2))
  const bytes = fs.readFileSync(file)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  fs.writeFileSync(file, bytes)
  expect(() => new Spool({ directory })).toThrow(SpoolCorruptError)
})

test('R a missing segment is an error', async () => {
  const first = new Spool({ directory, segmentBytes: 400 })
  for (let index = 1; index <= 20; index += 1) first.append(command('a', index))
  await first.close()
  const names = fs.readdirSync(directory).filter((name) => name.endsWith('.spool')).sort()
  expect(names.length).toBeGreaterThan(3)
  fs.rmSync(path.join(directory, names[1] ?? ''))
  expect(() => new Spool({ directory })).toThrow(/starts at record/)
})

test('acknowledged segments go, unacknowledged stay, and waiters learn of it', async () => {
  const spool = spoolOf({ segmentBytes: 400 })
  const receipts = Array.from({ length: 20 }, (_, index) => spool.append(command('a', index + 1)))
  const before = spool.bytes
  const tenth = receipts[9]
  if (!tenth) throw new Error('no receipt')
  const durable = spool.durable(tenth)
  spool.acknowledge(10)
  await durable
  expect(spool.bytes).toBeLessThan(before)
  expect((await spool.read(11, 1_000_000)).firstSeq).toBe(11)
  let records: Buffer[] = []
  for (let from = 11; from <= 20; from += records.length) {
    records = (await spool.read(from, 1_000_000)).records
    expect(records.length).toBeGreaterThan(0)
    expect(JSON.parse(records[0]?.toString() ?? '').seq).toBe(from)
  }
})

test('R a spool that was lost or restored from an older copy refuses to go on', () => {
  const spool = spoolOf()
  spool.append(started('a'))
  spool.acknowledge(99)
  expect(() => spool.append(command('a', 1))).toThrow(/enrol it again/)
})

test('R a full spool refuses commands, and still takes the records that close them', () => {
  const spool = spoolOf({ maxBytes: 2000 })
  let refused: unknown
  for (let index = 1; index < 100 && !refused; index += 1) {
    try {
      spool.append(command('a', index))
    } catch (error) {
      refused = error
    }
  }
  expect(refused).toBeInstanceOf(SpoolError)
  expect(() => spool.appendClosing({ kind: 'session.end', session: 'a', reason: 'client_closed', commands: 1 })).not.toThrow()
})

test('a segment that is full is not closed under a sync that another thread has not come to yet', async () => {
  const failures: SpoolError[] = []
  const spool = new Spool({ directory, segmentBytes: 1, syncMilliseconds: 1, onFailure: (error) => failures.push(error) })
  open.push(spool)
  spool.append(started('a'))
  // All threads are busy: the sync of the first segment waits in the queue while the next record opens the second.
  const busy = Array.from({ length: 8 }, () => new Promise((resolve) => pbkdf2('x', 'y', 200_000, 64, 'sha512', resolve)))
  for (let ordinal = 1; ordinal <= 5; ordinal += 1) {
    await new Promise((resolve) => setTimeout(resolve, 5))
    spool.append(command('a', ordinal))
  }
  await Promise.all(busy)
  await spool.close()
  open.length = 0
  expect(failures).toEqual([])
})

test('a closed spool refuses', async () => {
  const spool = new Spool({ directory })
  await spool.close()
  expect(() => spool.append(started('a'))).toThrow(SpoolError)
})

test('events stay one line whatever they quote', async () => {
  const spool = spoolOf()
  spool.append(command('a', 1, 'SELECT 1;\n{"kind":"session.end"}\u0000\ud800'))
  const { records } = await spool.read(1, 1_000_000)
  expect(records[0]?.includes(0x0a)).toBe(false)
  expect(JSON.parse(records[0]?.toString() ?? '').kind).toBe('command')
})

test('timestamps have microseconds and are UTC', () => {
  expect(timestamp(1_700_000_000_123.456)).toBe('2023-11-14T22:13:20.123456Z')
})

test('the clock follows the system\'s when that is set, and has microseconds otherwise', () => {
  const clock = wallClock()
  const before = clock()
  expect(Math.abs(before - Date.now())).toBeLessThan(60)
  vi.useFakeTimers({ now: before + 3_600_000, toFake: ['Date'] })
  try {
    expect(clock() - before).toBeGreaterThan(3_599_000)
    vi.setSystemTime(before - 3_600_000)
    expect(clock() - before).toBeLessThan(-3_599_000)
  } finally {
    vi.useRealTimers()
  }
})

test('sessions are chained and signed, and go on in their chain after a kill, also behind an unsigned end', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  let signs = true
  const signer = {
    key: keyIdOf(spki),
    sign: (text: Uint8Array) => {
      if (!signs) throw new Error('killed here')
      return sign('sha256', Buffer.concat([Buffer.from('sallyport-audit-v1\0'), text]), { key: privateKey, dsaEncoding: 'ieee-p1363' })
    },
  }
  const [a, b] = ['00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-00000000000b'] as const
  const first = new Spool({ directory, signer })
  for (const session of [a, b]) first.append(started(session))
  for (let ordinal = 1; ordinal <= 300; ordinal++) first.append(command(a, ordinal))
  first.append({ kind: 'session.end', session: a, reason: 'client_closed', commands: 300 })
  first.append({ kind: 'command.end', session: a, command: 300, status: 'cancelled', rows: 0, bytes: 0, duration_us: 1, masked: 0 })
  signs = false
  first.append({ kind: 'session.end', session: b, reason: 'client_closed', commands: 0 })
  first.append({ kind: 'command.end', session: b, command: 1, status: 'cancelled', rows: 0, bytes: 0, duration_us: 1, masked: 0 })
  first.append(command('00000000-0000-4000-8000-00000000000c', 1))
  // As after kill -9.
  signs = true
  const second = new Spool({ directory, signer })
  open.push(second)
  expect(second.unfinished.map(({ session, commands, ended }) => [session, commands.length, ended])).toEqual([[a, 299, true], ['00000000-0000-4000-8000-00000000000c', 1, false]])
  second.append({ kind: 'command.end', session: a, command: 299, status: 'cancelled', rows: 0, bytes: 0, duration_us: 1, masked: 0 })
  second.append(command('00000000-0000-4000-8000-00000000000c', 2))
  await second.close()
  const verifier = new SessionVerifier({ learn: () => undefined, find: (_source, key) => (key === keyIdOf(spki) ? publicKey : undefined) })
  const third = spoolOf()
  for (let seq = 1; seq <= third.lastSeq; ) {
    const { records } = await third.read(seq, 1_000_000)
    for (const text of records.map((record) => record.toString())) {
      const { kind, session } = JSON.parse(text)
      expect(verifier.check({ position: BigInt(seq), source: 'agent:x', kind, session: session ?? null, seq: BigInt(seq), text })).toBeUndefined()
      seq += 1
    }
  }
  expect(verifier.finish(0).counts).toEqual({ signed: 2, lost: 0, open: 1, broken: 0, gaps: 0 })
})

test('a record with a payload: the chain is over its header, also behind a restart', async () => {
  const payload = Buffer.from('{"d":"one"}\n{"d":"two"}\n')
  const event: AgentEventBody = { kind: 'recording', session: 'a', command: 1, first: 0, count: 2, bytes: payload.length, sha256: digestOf(payload) }
  const first = spoolOf()
  first.append(started('a'))
  first.append(event, payload)
  await first.close()
  const again = spoolOf()
  again.append(command('a', 2))
  const { records } = await again.read(1, 1_000_000)
  const split = records.map(splitRecord)
  expect(split.map((record) => record.payload && Buffer.from(record.payload).toString())).toEqual([undefined, payload.toString(), undefined])
  const links = split.map(({ header }) => JSON.parse(Buffer.from(header).toString()).chain)
  expect(links).toEqual([1, 2, 3].map((n) => ({ n, prev: n === 1 ? genesisOf('a') : headOf(split[n - 2]?.header ?? '') })))
})
