import { expect, test } from 'vitest'
import { fields, table } from './table.js'

const columns = [
  { title: 'ID', value: (row: readonly string[]) => row[0] ?? '' },
  { title: 'WHAT', value: (row: readonly string[]) => row[1] ?? '' },
]

test('columns line up, also with wide characters', () => {
  expect(table(columns, [['a', 'one'], ['日本', 'two']])).toBe('ID    WHAT\na     one\n日本  two')
})

test('a cell can never start a line of its own', () => {
  const out = table(columns, [['a', 'x\n1  APPROVED'], ['b\u001b[2J', 'y']])
  expect(out.split('\n')).toHaveLength(3)
  expect(out).not.toContain('\u001b')
})

test('lines are cut at the width of the terminal', () => {
  expect(table(columns, [['a', 'abcdefghij']], 8)).toBe('ID  WHAT\na   abc…')
})

test('fields leave out what is empty', () => {
  expect(fields([['name', 'dana'], ['groups', ''], ['state', 'x\u202ey']])).toBe('name   dana\nstate  x\\u{202e}y')
})
