import { expect, test } from 'vitest'
import { eventOfWatch, Watched } from './watched.js'

const time = '2026-01-05T14:03:10.000000Z'
const event = (kind: string, command: number, fields: object = {}) => eventOfWatch({ kind, command, time, position: '1', event: { kind, command, ...fields } })
const piece = (command: number, ...chunks: readonly (readonly [string, string])[]) => event('recording', command, { first: 0, chunks: chunks.map(([s, d], t) => ({ t_us: t, s, d })) })

function watched(terminals = true) {
  let shown = ''
  const said: string[] = []
  const screen = { columns: 80, rows: 24, write: (text: string) => void (shown += text), say: (text: string) => void said.push(text) }
  return { watch: new Watched(screen, terminals), shown: () => shown, said }
}

test('a terminal is shown as it is, alone until it is over, and the viewer\'s is put in order then', () => {
  const { watch, shown, said } = watched()
  watch.push(event('command', 1, { text: 'shell' }))
  watch.push(piece(1, ['r', '120x40'], ['o', 'a\u001b[?1049h\u001b[5;5Hb']))
  watch.push(event('command', 2, { text: 'ls' }))
  watch.push(piece(2, ['o', 'not now']))
  watch.push(piece(1, ['o', 'c'], ['r', '120x40'], ['r', '60x20']))
  expect(shown()).toMatch(/#1\n {4}shell\n/)
  expect(shown().endsWith('a\u001b[?1049h\u001b[5;5Hbc')).toBe(true)
  expect(said).toEqual(["(the session's terminal is 120x40; this one has 80x24)"])
  watch.push(event('command.end', 1, { status: 'ok' }))
  expect(shown()).toContain('\u001b[?47l')
  watch.push(piece(3, ['o', 'and so on\n']))
  expect(shown()).toContain('| and so on')
})

test('S9 nothing that acts on the viewer comes through, however it is cut', () => {
  const { watch, shown } = watched()
  watch.push(piece(1, ['r', '80x24'], ['o', 'a\u001b]52;c;cm0=']))
  watch.push(piece(1, ['o', '\u0007\u001b[6n\u001b['], ['o', '31mb\u202e']))
  expect(shown()).toBe('a\u001b[31mb')
  const plain = watched(false)
  plain.watch.push(piece(1, ['r', '80x24'], ['o', 'a\u001b]52;c;cm0=\u0007']))
  expect(plain.shown()).not.toMatch(/[\u001b\u0007]/)
})

test('what came after the end of a command, and what is no recording, is no harm', () => {
  const { watch, shown } = watched()
  watch.push(event('command.end', 1, { status: 'ok' }))
  watch.push(piece(1, ['r', '80x24'], ['o', 'late']))
  watch.push(event('recording', 2, { chunks: 'none' }))
  watch.end()
  expect(shown()).not.toContain('late')
  expect(shown()).not.toContain('\u001b')
})
