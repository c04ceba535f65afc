import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KeyReader, type Key } from './keys.js'
import { LineEditor, maxLine } from './line-editor.js'

const bytes = (text: string): Buffer => Buffer.from(text)
/** What people and terminals send, and what they don't. */
const piece = fc.oneof(
  fc.constantFrom('ls', 'wörld', '語', '\u001b[D', '\u001b[C', '\u001bOH', '\u001b[3~', '\u001b[1;5C', '\u001b[200~', '\u001b[201~', '\u001b]0;x\u0007', '\u001bP1\u001b\\', '\r', '\r\n', '\n', '\t', '\u0003', '\u0004', '\u007f', '\u0015', '\u0017', '\u001b', '\u202e', '\u0000').map(bytes),
  fc.string({ unit: 'grapheme' }).map(bytes),
  fc.uint8Array({ maxLength: 8 }).map((array) => Buffer.from(array)),
)
const input = fc.array(piece, { maxLength: 30 }).map((pieces) => Buffer.concat(pieces))

function edits(keys: readonly Key[], columns = 80): { lines: string[]; screen: string } {
  const editor = new LineEditor(columns)
  const lines: string[] = []
  let screen = editor.begin('$ ')
  for (const key of keys) {
    const edit = editor.press(key)
    screen += edit.screen
    if (edit.kind === 'line') lines.push(edit.text)
    if (edit.kind !== 'editing') screen += editor.begin('$ ')
  }
  return { lines, screen }
}
const typed = (text: string, columns?: number) => edits(new KeyReader().push(bytes(text)), columns)

describe('keys', () => {
  test('are the same however their bytes are cut', () => {
    fc.assert(
      fc.property(input, fc.array(fc.nat(), { maxLength: 12 }), (whole, cuts) => {
        const reader = new KeyReader()
        const places = [...new Set(cuts.map((cut) => cut % (whole.length + 1)))].toSorted((a, b) => a - b)
        const pieces = [...places, whole.length].map((end, index) => whole.subarray(places[index - 1] ?? 0, end))
        expect(pieces.flatMap((part) => reader.push(part))).toEqual(new KeyReader().push(whole))
      }),
      { numRuns: 300 },
    )
  })

  test('are text only where it is printable, and nothing of a sequence is', () => {
    const keys = new KeyReader().push(bytes('a\u001b[999zb\u001b]52;c;cm0=\u0007c\u202e\u0000\u00a0d\u001bP$q\u001b\\e'))
    expect(keys.filter(({ name }) => name === 'text').map(({ character }) => character).join('')).toBe('abc\u00a0de')
    expect(new KeyReader().push(Buffer.from([0xc3, 0x28, 0xff, 0x61])).map(({ name, character }) => [name, character])).toEqual([['unknown', ''], ['text', '('], ['unknown', ''], ['text', 'a']])
  })

  test('Ctrl-C gets through whatever stands open', () => {
    for (const open of ['\u001b', '\u001b[', '\u001b[12', '\u001b]0;', '\u001bP', '\u001b[200~abc', '\u00c3']) {
      const reader = new KeyReader()
      const keys = reader.push(Buffer.concat([Buffer.from(open, 'latin1'), Buffer.of(3), bytes('x')]))
      expect(keys.slice(-2).map(({ name, paste }) => [name, paste])).toEqual([['interrupt', 0], ['text', 0]])
    }
  })

  test('of a paste are told apart', () => {
    const keys = new KeyReader().push(bytes('a\u001b[200~b\r\u0001\u001b[201~c\u001b[200~d'))
    expect(keys.map(({ name, paste }) => `${name} ${paste}`)).toEqual(['text 0', 'text 1', 'enter 1', 'unknown 1', 'text 0', 'text 2'])
  })
})

describe('the line editor', () => {
  test('gives a line away for Enter alone', () => {
    fc.assert(
      fc.property(input, fc.integer({ min: 0, max: 200 }), (whole, columns) => {
        const keys = new KeyReader().push(whole)
        const { lines } = edits(keys, columns)
        expect(lines.length).toBe(keys.filter(({ name }) => name === 'enter').length)
        for (const line of lines) expect(line).not.toMatch(/[^\P{C}\t]/u)
      }),
      { numRuns: 300 },
    )
  })

  test.each([
    ['echo one\r', ['echo one']],
    ['ecko\u001b[D\u001b[D\u007fc\u001b[C\u001b[Ch\u0001> \r', ['> eckoh']],
    ['abc\u001b[D\u001b[3~\r', ['ab']],
    ['one two\u0017three\r', ['one three']],
    ['secret\u0015id\r', ['id']],
    ['abc\u001b[H\u000bid\r', ['id']],
    ['wörld語\u007f\r', ['wörld']],
    ['first\rsecond\r\u001b[A\u001b[A\r\u001b[A\u001b[A\u001b[B\r', ['first', 'second', 'first', 'first']],
    ['draft\u001b[A\u001b[B!\r', ['draft!']],
    ['rm -rf /\u0003id\r', ['id']],
    ['a\tb\r', ['ab']],
    ['\u001b[200~a\tb\u001b[201~\r', ['a\tb']],
    ['x\r\ny\n', ['x', 'y']],
    ['ab\u0004\u0002\u0004\r', ['a']],
  ])('%j', (keys, lines) => {
    expect(typed(keys).lines).toEqual(lines)
  })

  test('is bounded', () => {
    expect(typed(`${'x'.repeat(maxLine + 100)}\r`).lines).toEqual(['x'.repeat(maxLine)])
  })

  test('shows what is in it, on as many rows as it takes', () => {
    expect(typed('abc\u001b[Dx').screen.endsWith('\r\u001b[J$ abxc\r\u001b[5C')).toBe(true)
    // Ten columns: prompt and eight characters fill the row, so the cursor goes to the next.
    expect(typed('12345678', 10).screen.endsWith('\r\u001b[J$ 12345678\r\n')).toBe(true)
    expect(typed('123456789\u001b[H', 10).screen.endsWith('\r\u001b[1A\u001b[J$ 123456789\u001b[1A\r\u001b[2C')).toBe(true)
    expect(typed('123456語', 9).screen).toContain('語')
  })
})
