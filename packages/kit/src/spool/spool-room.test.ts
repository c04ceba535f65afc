import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { AgentEventBody, CommandEndEvent } from '../event.js'
import { encodeChunks, makePayload, splitRecord } from '../recording/payload.js'
import { Spool, SpoolError, type SpoolOptions } from './spool.js'

/** Room for what closes: in the spool's own bound, and on a disk that is full. The disk's errors come from a replaced fs.writeSync. */
let directory: string
const open: Spool[] = []

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'spool-'))
})

afterEach(async () => {
  vi.restoreAllMocks()
  for (const spool of open.splice(0)) await spool.close()
  fs.rmSync(directory, { recursive: true, force: true })
})

function spoolOf(options: Partial<SpoolOptions> = {}): Spool {
  const spool = new Spool({ directory, reserveBytes: 256 * 1024, ...options })
  open.push(spool)
  return spool
}

const uuid = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
const started = (session: string): AgentEventBody => ({ kind: 'session.start', session, parameters: {} })
const command = (session: string, ordinal: number, text = 'SELECT 1'): AgentEventBody => ({
  kind: 'command', session, command: ordinal, text, effects: [], decision: { verdict: 'allow', rule: 'p#0', reason: '', hint: '' },
})
const long = makePayload(JSON.stringify({ columns: ['c'], rows: Array.from({ length: 500 }, () => ['x'.repeat(2000)]), truncated: true }))
/** As long as an end can be: every character takes six bytes as JSON. */
const longEnd = (session: string, ordinal: number): CommandEndEvent => ({
  kind: 'command.end', session, command: ordinal, status: 'cancelled', tag: '\u0001'.repeat(200), rows: Number.MAX_SAFE_INTEGER, bytes: Number.MAX_SAFE_INTEGER,
  duration_us: Number.MAX_SAFE_INTEGER, masked: Number.MAX_SAFE_INTEGER, error_code: '\u0001'.repeat(200), error_message: '\u0001'.repeat(512), sha256: 'a'.repeat(64),
  result_bytes: long.facts.bytes, result_sha256: long.facts.sha256,
})

function codeOf(work: () => unknown): string {
  try {
    work()
    return 'none'
  } catch (error) {
    return error instanceof SpoolError ? error.code : String(error)
  }
}

async function kinds(spool: Spool): Promise<string[]> {
  const all: string[] = []
  for (let seq = 1; seq <= spool.lastSeq; ) {
    const { records } = await spool.read(seq, 1_000_000)
    all.push(...records.map((record) => String(JSON.parse(Buffer.from(splitRecord(record).header).toString()).kind)))
    seq += records.length
  }
  return all
}

function endAll(spool: Spool, opened: ReadonlyMap<string, number>): void {
  for (const [session, commands] of opened) {
    for (let ordinal = 1; ordinal <= commands; ordinal += 1) {
      const { facts, payload } = encodeChunks([])
      spool.appendClosing({ kind: 'recording', session, command: ordinal, first: 99_999, ...facts, last: true, truncated: true }, payload)
      spool.appendClosing(longEnd(session, ordinal), long.payload)
    }
    spool.appendClosing({ kind: 'gap', session, audit: 'best_effort', first_command: 1, last_command: 2_000_000_000, from: new Date().toISOString(), to: new Date().toISOString(), missing: { command: 2_000_000_000, 'command.end': 2_000_000_000, recording: 2_000_000_000, 'command.released': 2_000_000_000 }, reason: 'unwritable', certain: true })
    spool.appendClosing({ kind: 'session.end', session, reason: '\u0001'.repeat(500), detail: '\u0001'.repeat(500), commands })
  }
}

const signer = { key: 'k'.repeat(43), sign: () => new Uint8Array(64) }

describe('a full spool', () => {
  test('whatever was begun can be closed, however much that is', async () => {
    const spool = spoolOf({ maxBytes: 512 * 1024, signer })
    const opened = new Map<string, number>()
    // As much as it lets begin: first sessions with some commands each, then records until there is no room.
    begin: for (let n = 1; ; n += 1) {
      for (let ordinal = 0; ordinal <= 5; ordinal += 1) {
        if (codeOf(() => spool.append(ordinal === 0 ? started(uuid(n)) : command(uuid(n), ordinal))) !== 'none') break begin
        opened.set(uuid(n), ordinal)
      }
    }
    expect(opened.size).toBeGreaterThan(20)
    while (codeOf(() => spool.append({ kind: 'command.held', session: uuid(1), command: 1, approval: 'a'.repeat(1000) })) === 'none');
    expect(spool.full || spool.bytes > 500 * 1024).toBe(true)
    endAll(spool, opened)
    await spool.close()
    const again = spoolOf({ maxBytes: 512 * 1024 })
    expect(again.unfinished).toEqual([])
    expect((await kinds(again)).filter((kind) => kind === 'session.end')).toHaveLength(opened.size)
  })

  test('takes records again once they are acknowledged, also when it is smaller than a segment would be', async () => {
    const spool = spoolOf({ maxBytes: 512 * 1024 })
    let ordinal = 0
    const fill = (): string => codeOf(() => spool.append(command(uuid(1), (ordinal += 1), 'x'.repeat(5000))))
    while (fill() === 'none');
    expect(fill()).toBe('full')
    const room = spool.room()
    spool.acknowledge(spool.lastSeq)
    await room
    expect(fill()).toBe('none')
  })

  test('an agent can start on it, and close what the last one left open', () => {
    const first = new Spool({ directory, maxBytes: 64 * 1024, reserveBytes: 64 * 1024 })
    first.append(started(uuid(1)))
    while (codeOf(() => first.append(command(uuid(1), first.lastSeq))) === 'none');
    const second = spoolOf({ maxBytes: 64 * 1024, reserveBytes: 64 * 1024 })
    const [left] = second.unfinished
    for (const ordinal of left?.commands ?? []) second.appendClosing(longEnd(uuid(1), ordinal), long.payload)
    second.appendClosing({ kind: 'session.end', session: uuid(1), reason: 'agent_crashed', commands: 1 })
    expect(left?.commands.length).toBeGreaterThan(10)
  })
})

describe('the age of what waits', () => {
  test('makes it overdue, by a clock that no one sets, until it is acknowledged', () => {
    let now = 0
    const spool = spoolOf({ maxAgeMilliseconds: 1000, monotonic: () => now, now: () => 1_700_000_000_000 - now * 1e6 })
    spool.append(started(uuid(1)))
    now = 900
    spool.append(command(uuid(1), 1))
    expect(spool.overdue).toBe(false)
    now = 1001
    expect([spool.overdue, spool.backlogMilliseconds]).toEqual([true, 1001])
    spool.acknowledge(1)
    expect([spool.overdue, spool.backlogMilliseconds]).toEqual([false, 101])
    spool.acknowledge(2)
    now = 10_000_000
    expect([spool.overdue, spool.backlogMilliseconds]).toEqual([false, 0])
  })

  test('counts from before a restart; a clock that was set back in between starts it anew', () => {
    const written = new Spool({ directory, reserveBytes: 64 * 1024, now: () => 1_700_000_000_000 })
    written.append(started(uuid(1)))
    written.append(command(uuid(1), 1))
    expect(spoolOf({ maxAgeMilliseconds: 60_000, now: () => 1_700_000_090_000 }).overdue).toBe(true)
    expect(spoolOf({ maxAgeMilliseconds: 60_000, now: () => 1_600_000_000_000 }).overdue).toBe(false)
  })
})

describe('R a disk that fails', () => {
  /** write(2) as a disk with so much room would do it; unlinking the reserve gives room back. */
  function diskOf(bytes: number): { room: number } {
    const disk = { room: bytes }
    const write = fs.writeSync.bind(fs)
    const remove = fs.rmSync.bind(fs)
    vi.spyOn(fs, 'writeSync').mockImplementation(((fd: number, buffer: Buffer, offset: number, length: number) => {
      if (disk.room <= 0) throw Object.assign(new Error('no space'), { code: 'ENOSPC' })
      const written = write(fd, buffer, offset, Math.min(length, disk.room))
      disk.room -= written
      return written
    }) as typeof fs.writeSync)
    vi.spyOn(fs, 'rmSync').mockImplementation((file, options) => {
      const size = fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0
      remove(file, options)
      disk.room += size
    })
    return disk
  }

  test('ENOSPC: what is open is closed in the room that was held, nothing new begins, and it goes on by itself when there is room', async () => {
    const disk = diskOf(256 * 1024 + 100_000)
    const spool = spoolOf({ signer })
    const opened = new Map<string, number>()
    for (let n = 1; codeOf(() => spool.append(started(uuid(n)))) === 'none' && n < 1000; n += 1) {
      opened.set(uuid(n), 0)
      for (let ordinal = 1; ordinal <= 3 && codeOf(() => spool.append(command(uuid(n), ordinal))) === 'none'; ordinal += 1) opened.set(uuid(n), ordinal)
    }
    while (codeOf(() => spool.append({ kind: 'command.held', session: uuid(1), command: 1, approval: 'a'.repeat(1000) })) === 'none');
    expect([spool.full, spool.failure]).toEqual([true, undefined])
    expect(codeOf(() => spool.append(started(uuid(5000))))).toBe('full')
    endAll(spool, opened)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(spool.failure).toBeUndefined()
    disk.room = 1_000_000
    await vi.waitFor(() => spool.append(started(uuid(6000))), { timeout: 3000 })
    expect(spool.full).toBe(false)
    const all = await kinds(spool)
    expect(all.filter((kind) => kind === 'session.end')).toHaveLength(opened.size)
    expect(new Spool({ directory, reserveBytes: 1024 }).unfinished.map(({ session }) => session)).toEqual([uuid(6000)])
  })

  test('EIO: refuses everything at once and for good', () => {
    const refused: string[] = []
    const spool = spoolOf({ onFailure: ({ code }) => refused.push(code) })
    spool.append(started(uuid(1)))
    vi.spyOn(fs, 'writeSync').mockImplementation(() => {
      throw Object.assign(new Error('i/o'), { code: 'EIO' })
    })
    expect(codeOf(() => spool.append(command(uuid(1), 1)))).toBe('unwritable')
    vi.restoreAllMocks()
    expect(codeOf(() => spool.append(command(uuid(1), 1)))).toBe('unwritable')
    expect(codeOf(() => spool.appendClosing(longEnd(uuid(1), 1), long.payload))).toBe('unwritable')
    expect(refused).toEqual(['unwritable'])
  })

  test('EIO when it is synced: what was written is not trusted', async () => {
    vi.spyOn(fs, 'fdatasync').mockImplementation((_fd, callback) => callback(Object.assign(new Error('i/o'), { code: 'EIO' })))
    const spool = spoolOf({ syncMilliseconds: 1 })
    spool.append(started(uuid(1)))
    await vi.waitFor(() => expect(spool.failure?.code).toBe('unwritable'))
    expect(codeOf(() => spool.append(command(uuid(1), 1)))).toBe('unwritable')
  })
})
