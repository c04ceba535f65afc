import { describe, expect, it } from 'vitest'
import { firstWordOnly, sqlWithoutLiterals } from './statement.js'

describe('SQL without its values', () => {
  it.each([
    ["SELECT a FROM t WHERE b = 'x' AND c=4.5e-3", 'SELECT a FROM t WHERE b = ? AND c=?'],
    ["UPDATE t SET a='it''s', b=E'\\'x', c = $1", 'UPDATE t SET a=?, b=?, c = $1'],
    ["SELECT $$secret$$, $t$ a $$ secret $t$, B'01', U&'d\\0061t'", 'SELECT ?, ?, ?, ?'],
    ['SELECT "t 1"."col""2" -- secret\n FROM x /* se /* cr */ et */', 'SELECT "t 1"."col""2"  FROM x'],
    ["SELECT 'never closed secret", 'SELECT ?'],
    ['SELECT $x$ never closed secret', 'SELECT ?'],
    ['SELECT a1, 0x1F, .5, 1_000', 'SELECT a1, ?, ?, ?'],
  ])('%s', (text, expected) => {
    expect(sqlWithoutLiterals(text)).toBe(expected)
  })

  it('takes the longer reading where a backslash makes a string ambiguous', () => {
    expect(sqlWithoutLiterals("SELECT 'a\\', 'secret', b")).not.toContain('secret')
  })
})

describe('commands without their arguments', () => {
  it.each([
    ['mysql -psecret db', 'mysql ? ?'],
    ['PGPASSWORD=secret psql', '? ?'],
    ["'/usr/bin/x' secret", '? ?'],
    ['ls', 'ls'],
  ])('%s', (text, expected) => {
    expect(firstWordOnly(text)).toBe(expected)
  })
})
