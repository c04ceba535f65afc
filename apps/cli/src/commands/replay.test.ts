import { expect, test } from 'vitest'
import { approvalCard } from './approvals.js'
import { replay, replayParts } from './replay.js'

const time = (second: number): string => `2026-01-05T14:03:${String(second).padStart(2, '0')}.123456Z`

test('a session reads in order: statement, effects, decision, approval, result', () => {
  const shown = replay([
    { kind: 'session.start', session: 's', time: time(1) },
    {
      kind: 'command', command: 1, time: time(2), text: 'delete from orders\nwhere id = $1', parameters: ['7', null],
      effects: [{ action: 'sql.delete', resource: 'public.orders' }, { action: 'sql.transaction', resource: '', harmless: true }],
      decision: { verdict: 'hold', rule: 'p#2', reason: 'sql.delete on public.orders needs dba' },
    },
    { kind: 'command.held', command: 1, time: time(3), approval: 'a-1' },
    { kind: 'command.released', command: 1, time: time(9), verdict: 'approved', reviewers: ['dana'], reason: 'duplicate' },
    {
      kind: 'command.end', command: 1, time: time(10), status: 'ok', tag: 'DELETE 1', rows: 1, masked: 1, duration_us: 1500,
      result: { columns: ['id', 'email'], rows: [['7', 'a***@e***'], ['8', null]], truncated: true },
    },
    { kind: 'session.end', time: time(11), reason: 'client_closed' },
  ])
  expect(shown).toBe(`14:03:01.123  session starts

14:03:02.123  #1
    delete from orders
    where id = $1
    $1 = "7"
    $2 = NULL
    sql.delete public.orders
    → hold (p#2): sql.delete on public.orders needs dba
14:03:03.123  #1 waits for approval a-1
14:03:09.123  #1 approved by dana (duplicate)
14:03:10.123  #1 DELETE 1, 1 rows, 1 masked, 1.5 ms
    id | email
    ---+----------
    7  | a***@e***
    8  | NULL
    … (the record is cut here)
14:03:11.123  session ends: client_closed`)
})

test("the agent's order holds, and the control plane's events stand between by time", () => {
  const shown = replay([
    { kind: 'session.opened', time: time(1) },
    { kind: 'session.killed', time: time(8) },
    { kind: 'session.end', seq: 12, time: time(6), reason: 'killed' },
    { kind: 'session.start', seq: 11, time: time(7) },
  ])
  expect(shown.split('\n').map((line) => line.split('  ')[1])).toEqual(['session.opened', 'session starts', 'session ends: killed', 'session.killed'])
})

test('S9 nothing recorded acts on the terminal of the one who replays or reviews', () => {
  const evil = 'x\u001b]0;owned\u0007\u202e\u009b2J'
  const events = [
    { kind: 'command', command: evil, time: evil, text: evil, parameters: [evil], effects: [{ action: evil, resource: evil }], decision: { verdict: evil, rule: evil, reason: evil } },
    { kind: 'command.held', command: 1, time: evil, approval: evil },
    { kind: 'command.released', command: 1, time: evil, verdict: evil, reviewers: [evil], reason: evil },
    { kind: 'command.end', command: 1, time: evil, status: 'error', error_code: evil, error_message: evil, rows: 1, masked: 0, duration_us: 1, result: { columns: [evil], rows: [[evil]] } },
    { kind: 'recording', command: 1, first: 0, chunks: [{ t_us: 0, s: 'o', d: evil }, { t_us: 0, s: 'e', d: Buffer.from(evil).toString('base64'), b: true }, { t_us: 0, s: evil, d: evil }] },
    { kind: 'recording', command: evil, first: 0, chunks: [{ t_us: 0, s: 'r', d: evil }, { t_us: 0, s: 'o', d: evil }], truncated: true },
    { kind: evil, time: evil, reason: evil },
  ]
  const card = approvalCard({
    id: evil, state: evil, text: evil, parameters: [evil], target: evil, identity: { kind: evil, name: evil, groups: [evil] },
    ci: { repository: evil, run_url: evil }, requirements: [{ rule: evil, groups: [evil], quorum: 1 }], votes: [{ user: evil, verdict: evil, reason: evil }],
    effects: [{ action: evil, resource: evil, details: { reads: [evil] } }],
  })
  for (const shown of [replay(events), card]) expect(shown).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/)
})

const base64 = (...bytes: number[]): { d: string; b: true } => ({ d: Buffer.from(bytes).toString('base64'), b: true })

test('what a command printed without a terminal reads as text, characters whole, in place of the preview', () => {
  const shown = replay([
    { kind: 'command', command: 1, time: time(2), seq: 1, text: 'make', effects: [], decision: { verdict: 'allow', rule: 'p#0', reason: 'r' } },
    { kind: 'recording', command: 1, time: time(3), seq: 2, first: 0, chunks: [{ t_us: 1, s: 'o', d: 'one\ntw' }, { t_us: 2, s: 'o', d: 'o\n' }, { t_us: 3, s: 'e', ...base64(0xe8, 0xaa) }] },
    { kind: 'recording', command: 1, time: time(4), seq: 3, first: 3, chunks: [{ t_us: 4, s: 'e', ...base64(0x9e, 0x0a) }, { t_us: 5, s: 'o', d: 'last' }], last: true, truncated: true },
    { kind: 'command.end', command: 1, time: time(5), seq: 4, status: 'ok', tag: 'exit 0', rows: 0, duration_us: 1500, result: { columns: ['stream', 'text'], rows: [['stdout', 'one']] } },
  ])
  expect(shown.split('\n').slice(4)).toEqual(['    #1 printed:', '    | one', '    | two', '    ! 語', '    | last', '    … (the recording reached its limit here)', '14:03:05.123  #1 exit 0, 0 rows, 1.5 ms'])
})

test('a terminal is one part, whole, where it begins, also beside another command', () => {
  const parts = replayParts([
    { kind: 'recording', command: 1, seq: 1, first: 0, chunks: [{ t_us: 0, s: 'r', d: '80x24' }, { t_us: 5000, s: 'o', d: 'a' }] },
    { kind: 'recording', command: 2, seq: 2, first: 0, chunks: [{ t_us: 0, s: 'o', d: 'x' }] },
    { kind: 'recording', command: 1, seq: 3, first: 2, chunks: [{ t_us: 9000, s: 'o', d: 'b' }] },
  ])
  expect(parts).toMatchObject([{ command: '1', terminal: true, chunks: [{ at: 0 }, { at: 5 }, { at: 9, bytes: Buffer.from('b') }] }, '    #2 printed:\n    | x'])
})
