import { beforeAll, expect, it } from 'vitest'
import { loadParser, withoutLiterals } from './parser.js'

beforeAll(loadParser)

it.each([
  ['a string, a number', "SELECT 'secret', 4111.5e3 FROM orders WHERE id=42", 'SELECT ?, ? FROM orders WHERE id=?'],
  ['every kind of literal', String.raw`SELECT E'se\'cret', U&'\0073ecret', B'101', X'ff', N'secret', 0x1F, $q$secret 'x'$q$, $$secret$$`, 'SELECT ?, ?, ?, ?, N?, ?, ?, ?'],
  ['comments', "SELECT 1 /* secret /* nested */ secret */ + 2 -- secret\n FROM t", 'SELECT ? + ? FROM t'],
  ['a string in two parts', "SELECT 'sec'\n 'ret'", 'SELECT ?'],
  ['names and parameters stay', 'SELECT "Käse", $1::int FROM "a b".c WHERE x = $2', 'SELECT "Käse", $1::int FROM "a b".c WHERE x = $2'],
  ['behind letters of several bytes', "SELECT 'äöü€😀secret', größe FROM t", 'SELECT ?, größe FROM t'],
  ['code in a string', "DO 'BEGIN PERFORM secret(); END'", 'DO ?'],
  ['several statements', "SELECT 'a'; DELETE FROM t WHERE x='secret'", 'SELECT ?; DELETE FROM t WHERE x=?'],
])('%s', (_name, text, shape) => {
  expect(withoutLiterals(text)).toBe(shape)
})

it.each([['an open string', "SELECT 'secret"], ['an open comment', 'SELECT /* secret'], ['an open dollar quote', 'SELECT $a$secret']])('%s: nothing of it', (_name, text) => {
  expect(withoutLiterals(text)).toBeUndefined()
})
