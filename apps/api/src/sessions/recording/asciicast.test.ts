import { expect, test } from 'vitest'
import { CastWriter } from './asciicast.js'

const time = (microsecond: number): string => `2026-01-05T14:03:${String(10 + Math.floor(microsecond / 1e6))}.${String(microsecond % 1e6).padStart(6, '0')}Z`
const body = (event: object): string => JSON.stringify({ v: 1, event })
const evil = 'a\u001b]52;c;cm0=\u0007b\u001b[6n\u001b[31mc'

interface Chunk {
  t_us: number
  s: string
  d: string
  b?: true
}

/** Writes commands, each a list of [kind, time, event]. */
function cast(commands: readonly (readonly (readonly [string, number, object])[])[], raw = false): unknown[] {
  const writer = new CastWriter({ title: 'shop-ci on web-01', raw })
  let text = ''
  for (const events of commands) {
    for (const [kind, at, event] of events) text += writer.push(kind, time(at), body(event))
    text += writer.endCommand()
  }
  return (text + writer.end()).trimEnd().split('\n').map((line): unknown => JSON.parse(line))
}
const piece = (at: number, first: number, chunks: Chunk[], more: object = {}): [string, number, object] => ['recording', at, { first, chunks, ...more }]

test('a terminal: its size in the header, times between events, resizes, typed input, exit', () => {
  expect(
    cast([
      [
        ['command', 1_000_000, { command: 3, text: 'shell' }],
        piece(1_600_000, 0, [{ t_us: 100_000, s: 'r', d: '120x40' }, { t_us: 600_000, s: 'o', d: '$ ' }]),
        piece(3_000_000, 2, [{ t_us: 1_500_000, s: 'i', d: 'ls\r' }, { t_us: 2_000_000, s: 'r', d: '100x30' }]),
        piece(3_000_001, 4, [], { last: true, truncated: true }),
        ['command.end', 4_000_000, { tag: 'exit 7' }],
      ],
    ]),
  ).toEqual([
    { version: 3, term: { cols: 120, rows: 40 }, timestamp: Date.UTC(2026, 0, 5, 14, 3, 11) / 1000, title: 'shop-ci on web-01' },
    [0, 'm', '#3 shell'],
    [0.6, 'o', '$ '],
    [0.9, 'i', 'ls\r'],
    [0.5, 'r', '100x30'],
    [0, 'm', 'the recording has reached its limit'],
    [1, 'x', '7'],
  ])
})

test('without a terminal: stdout and stderr in one, line ends as a player needs them, one command after the other', () => {
  const lines = cast([
    [['command', 0, { command: 1, text: 'make\nall\u202e' }], piece(1_000_000, 0, [{ t_us: 0, s: 'o', d: 'x\ny\n' }, { t_us: 10, s: 'e', d: 'bad\n' }], { last: true })],
    [['command', 500_000, { command: 2, text: 'id' }], piece(900_000, 0, [{ t_us: 10, s: 'o', d: 'z' }], { last: true }), ['command.end', 5_000_000, { tag: 'signal TERM' }]],
  ])
  expect(lines.slice(1)).toEqual([[0, 'm', '#1 make all\\u202e'], [0, 'o', 'x\r\ny\r\n'], [0.00001, 'o', 'bad\r\n'], [0, 'm', '#2 id'], [0, 'o', 'z']])
  expect(lines[0]).toMatchObject({ term: { cols: 80, rows: 24 } })
})

test('characters and sequences that were cut come together, and bytes that are no text show as such', () => {
  const lines = cast([
    [
      piece(0, 0, [
        { t_us: 0, s: 'r', d: '0x0' },
        { t_us: 1, s: 'o', d: Buffer.from([0xe8, 0xaa]).toString('base64'), b: true },
        { t_us: 2, s: 'o', d: Buffer.from([0x9e, 0xff]).toString('base64'), b: true },
        { t_us: 3, s: 'o', d: '\u001b[3' },
        { t_us: 4, s: 'e', d: '!' },
        { t_us: 5, s: 'o', d: '1mred\u001b]0;t' },
        { t_us: 6, s: 'o', d: Buffer.from([0xc3]).toString('base64'), b: true },
      ]),
    ],
  ])
  expect(lines.slice(2).map((line) => (Array.isArray(line) ? line[2] : undefined))).toEqual(['語\ufffd', '!', '\u001b[31mred'])
  expect(lines[0]).toMatchObject({ term: { cols: 80, rows: 24 } })
})

test('S9 what could act on the viewer is left out, unless it is asked for as it was', () => {
  const events = [['command', 0, { command: 1, text: evil }], piece(0, 0, [{ t_us: 0, s: 'r', d: '80x24' }, { t_us: 0, s: 'o', d: evil }, { t_us: 1, s: 'i', d: evil }])] as const
  const safe = cast([events])
  expect(safe.slice(2)).toEqual([[0, 'o', 'ab\u001b[31mc'], [0.000001, 'i', 'ab\u001b[31mc']])
  expect(safe[1]).toEqual([0, 'm', '#1 a\\u001b]52;c;cm0=\\u0007b\\u001b[6n\\u001b[31mc'])
  expect(cast([events], true).slice(2)).toEqual([[0, 'o', evil], [0.000001, 'i', evil]])
})

test('what an agent sent that is no recording, and what is missing, is named and skipped', () => {
  const writer = new CastWriter({ title: 't', raw: false })
  expect(writer.push('recording', time(0), 'not json')).toBe('')
  writer.push('recording', time(0), body({ first: 0, chunks: [{ t_us: 0, s: 'o', d: 'a' }] }))
  expect(writer.push('recording', time(0), body({ first: 0, chunks: [{ t_us: -1, s: 'z', d: 1 }] }))).toContain('can not be read')
  expect(writer.push('recording', time(0), body({ first: 5, chunks: [{ t_us: 0, s: 'o', d: 'b' }] }))).toContain('is missing')
  expect(writer.push('recording', time(0), body({ first: 6, chunks: [{ t_us: 0, s: 'r', d: '9e9x\u001b' }] }))).toBe('')
})
