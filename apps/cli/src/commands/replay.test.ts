import { expect, test } from 'vitest'
import { approvalCard } from './approvals.js'
import { replay } from './replay.js'

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
    { kind: evil, time: evil, reason: evil },
  ]
  const card = approvalCard({
    id: evil, state: evil, text: evil, parameters: [evil], target: evil, identity: { kind: evil, name: evil, groups: [evil] },
    ci: { repository: evil, run_url: evil }, requirements: [{ rule: evil, groups: [evil], quorum: 1 }], votes: [{ user: evil, verdict: evil, reason: evil }],
    effects: [{ action: evil, resource: evil, details: { reads: [evil] } }],
  })
  for (const shown of [replay(events), card]) expect(shown).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/)
})
