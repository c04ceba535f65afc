import { expect, test } from 'vitest'
import { visible, visibleBlock, visibleJson } from './visible.js'

test('S9 terminal sequences are written out, not performed', () => {
  expect(visible('drop\u001b[2K\u001b[1Aselect 1')).toBe('drop\\x1b[2K\\x1b[1Aselect 1')
  expect(visible('\u009b31m')).toBe('\\x9b31m')
  expect(visible('a\r\nb\tc\u0007')).toBe('a\\r\\nb\\tc\\x07')
  expect(visible('\u007f\u0000')).toBe('\\x7f\\x00')
})

test('bidirectional, invisible and tag characters are written out', () => {
  expect(visible('user\u202etxt.exe')).toBe('user\\u{202e}txt.exe')
  expect(visible('a\u200bb\u2066c\ufeffd\u{e0041}')).toBe('a\\u{200b}b\\u{2066}c\\u{feff}d\\u{e0041}')
  expect(visible('a\u2028b\ud800')).toBe('a\\u{2028}b\\u{d800}')
})

test('ordinary text of any language stays', () => {
  for (const text of ['select 1', 'Grüße', '日本語', 'Καλημέρα', 'שלום', '🙂']) expect(visible(text)).toBe(text)
})

test('a block keeps line ends and tabs, and nothing else', () => {
  expect(visibleBlock('a\r\n\tb\u001b[A\rc')).toBe('a\n\tb\\x1b[A\\rc')
})

test('JSON keeps its value', () => {
  const value = { text: 'x\u001b[A\u009b\u202e\u{e0041}' }
  const json = visibleJson(JSON.stringify(value, undefined, 2))
  expect(json).not.toMatch(/[\u009b\u202e]/)
  expect(JSON.parse(json)).toEqual(value)
})
