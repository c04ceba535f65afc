import { expect, test } from 'vitest'
import { wordsOf } from './body.js'
import { statementQuery } from './statement-query.js'

test.each([
  ['drop table', "'drop' & 'table'"],
  ['"drop table" orders', "('drop' <-> 'table') & 'orders'"],
  ['public.order_items', "('public' <-> 'order' <-> 'items')"],
  ['cust*', "'cust':*"],
  ['public.cust*', "('public' <-> 'cust':*)"],
  ['delete -orders', "'delete' & !'orders'"],
  ['delete -"from orders"', "'delete' & !('from' <-> 'orders')"],
  ['delete OR truncate orders', "('delete' | 'truncate') & 'orders'"],
  ['DROP', "'drop'"],
  ["it's); DROP --", "('it' <-> 's') & 'drop'"],
  ['"never closed', "('never' <-> 'closed')"],
  ['OR a', "'a'"],
  ['a OR', "'a'"],
  ["'\\ & | ! <-> :*", undefined],
  ['-orders', undefined],
  ['a OR -b', undefined],
  ['', undefined],
])('%s', (text, query) => {
  expect(statementQuery(text)).toBe(query)
})

test('words are letters and digits of any script, whatever stands between them', () => {
  expect(wordsOf('SELECT "Größe", x2 FROM\n\tpublic.order_items; -- ünï\u0000\ud800')).toBe('select größe x2 from public order items ünï')
  expect(wordsOf('\u0000 ;')).toBeNull()
  expect(wordsOf('a'.repeat(10_000))).toHaveLength(8192)
})
