import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TerminalSanitiser, terminalReset } from './terminal-sanitiser.js'

const sanitise = (...pieces: string[]): string => {
  const sanitiser = new TerminalSanitiser()
  return pieces.map((piece) => sanitiser.push(piece)).join('')
}

/** Written apart from the sanitiser: everything that may stand in its output besides plain text. */
const harmless = [
  /\u001b\[[0-9:;]*m/g,
  /\u001b\[(?:\d{0,4})[ABCDEFGIZ`adeLMPSTX@bg]/g,
  /\u001b\[(?:\d{0,4})(?:;\d{0,4})?[Hfr]/g,
  /\u001b\[[012]?J/g,
  /\u001b\[\d{0,4}K/g,
  /\u001b\[[su]/g,
  /\u001b\[\?(?:6|7|12|25|47|1047|1048|1049)(?:;(?:6|7|12|25|47|1047|1048|1049))*[hl]/g,
  /\u001b\[4(?:;4)*[hl]/g,
  /\u001b[78DEHM]/g,
  /\u001b[()][0B]/g,
]
const control = /[\u0000-\u0007\u000b\u000c\u0010-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]|\p{Cs}/u

function leftOver(text: string): string | undefined {
  let rest = text
  // A marker in each place, so that removing one sequence can't make another out of its neighbours.
  for (const pattern of harmless) rest = rest.replaceAll(pattern, '\u2205')
  return control.exec(rest)?.[0]
}

const dangerous = [
  '\u001b]52;c;cm0gLXJmIH4=\u0007', '\u001b]52;c;cm0=\u001b\\', '\u009d52;c;cm0=\u009c', '\u001b]0;title\u0007', '\u001b]8;;http://evil\u001b\\link\u001b]8;;\u001b\\',
  '\u001bP$q"p\u001b\\', '\u001bP+q544e\u001b\\', '\u0090$qm\u009c', '\u001b_Gi=1;payload\u001b\\', '\u001b^pm\u001b\\', '\u001bXsos\u001b\\', '\u001bktitle\u001b\\',
  '\u001b[6n', '\u001b[5n', '\u001b[?6n', '\u001b[c', '\u001b[>c', '\u001b[=c', '\u001bZ', '\u009b6n', '\u009bc', '\u001b[21t', '\u001b[18t', '\u001b[8;1;1t', '\u001b[x', '\u001b[?u', '\u001b[>1u',
  '\u001b[>4;2m', '\u001b[?4m', '\u001b[>q', '\u001b[?2026$p', '\u001b["p', '\u001b[?1000h', '\u001b[?1003h', '\u001b[?1006h', '\u001b[?2004h', '\u001b[?1004h', '\u001b[?1h', '\u001b=', '\u001bc',
  '\u001b[3J', '\u001b[99999b', '\u001b[1;2;3;4;5T', '\u001b[5i', '\u001b[4i', '\u001b[0c', '\u001b#8', '\u001b%G', '\u001b F', '\u001bN', '\u001bO', '\u0007', '\u0005', '\u202e', '\u007f', '\ud800',
  '\u001b[?1;1049;2004h', '\u001b[1;2s', '\u001b[2 q', '\u001b[!p', '\u001b(A', '\u001b]', '\u001bP', '\u001b[', '\u001b',
]

test('S9 whatever a host printed and however it is split, only what is listed reaches the viewer', () => {
  const part = fc.oneof(
    fc.constantFrom(...dangerous),
    fc.constantFrom('\u001b[', '\u001b]', '\u001b', '\u009b', '\u009d', '\u0090', '\u009c', '\\', '\u0007', '\u0018', '?', '>', ';', '52', '6', 'n', 'c', 'h', 'm', 'J', '\n', '\u001b[31m', '\u001b[?1049h', 'é', '語', '😀'),
    fc.string({ unit: 'binary', maxLength: 6 }),
  )
  fc.assert(
    fc.property(fc.array(part, { maxLength: 30 }), fc.array(fc.nat(200), { maxLength: 6 }), (parts, cuts) => {
      const text = parts.join('')
      const characters = [...text]
      const places = [0, ...cuts.map((cut) => cut % (characters.length + 1)).sort((a, b) => a - b), characters.length]
      const pieces = places.slice(1).map((end, index) => characters.slice(places[index], end).join(''))
      const safe = sanitise(...pieces)
      expect(safe).toBe(sanitise(text))
      expect(leftOver(safe)).toBeUndefined()
    }),
    { numRuns: 1500 },
  )
})

test('the check of that property finds every dangerous sequence where it stands unsanitised', () => {
  for (const sequence of dangerous) expect(leftOver(`a${sequence}語`), JSON.stringify(sequence)).toBeDefined()
})

test('each dangerous sequence leaves nothing, or what is harmless of it', () => {
  expect(sanitise('a\u001b]52;c;cm0=\u0007b\u001b[6nc\u009bcd')).toBe('abcd')
  expect(sanitise('\u001b]8;;http://evil\u001b\\link\u001b]8;;\u001b\\!')).toBe('link!')
  expect(sanitise('\u001b[?1;1049;2004h')).toBe('\u001b[?1049h')
  expect(sanitise('\u001bc')).toBe('\u001b[m\u001b[r\u001b[H\u001b[2J')
})

test('what full-screen programs draw with passes unchanged', () => {
  const screen = '\u001b[?1049h\u001b[1;24r\u001b[H\u001b[2J\u001b[38;5;196mred\u001b[38:2::1:2:3m\u001b[0m\u001b(0lqk\u001b(B\u001b[10;5H\u001b[K\u001b7\u001b8\u001bM\u001b[2L\u001b[?25l\r\n\tö 語 👩\u200d💻'
  expect(sanitise(screen)).toBe(screen)
})

test('a string that never ends hides no more than its bound, and a new sequence ends it', () => {
  expect(sanitise('\u001bX' + 'x'.repeat(70_000) + 'seen')).toMatch(/seen$/)
  expect(sanitise('\u001b]0;t\u001b[31mred')).toBe('\u001b[31mred')
})

test('the reset is itself harmless', () => {
  expect(leftOver(terminalReset)).toBeUndefined()
})
