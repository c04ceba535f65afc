import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readDocuments } from './commands/apply.js'
import { checkDocuments } from './policy-check.js'

const demo = join(import.meta.dirname, '../../../examples/demo')

function policy(rules: string, tests: string): { path: string; text: string } {
  return {
    path: 'p.yaml',
    text: `apiVersion: sallyport.dev/v1
kind: Policy
metadata: { name: p }
spec:
  subjects: [{ workload: shop-ci }, { group: backend }]
  targets: { names: [orders-db], protocol: postgres }
  rules: [${rules}]
  tests: [${tests}]
`,
  }
}

test("the demo's documents are right, and its policy does what its tests say", async () => {
  const report = await checkDocuments(readDocuments(demo))
  expect(report.errors).toEqual([])
  expect(report.tests.filter((result) => !result.ok)).toEqual([])
  expect(report.tests.length).toBeGreaterThanOrEqual(9)
  expect(report.ok).toBe(true)
})

test('a policy alone is tested as what it is about; a wrong expectation tells the rule', async () => {
  const report = await checkDocuments([
    policy('{ allow: sql.select, on: "public.*" }', '{ as: shop-ci, run: "select * from orders", expect: allow }, { as: bob, run: "delete from orders", expect: hold }'),
  ])
  expect(report).toMatchObject({ ok: false, documents: 1, errors: [], tests: [{ ok: true, rule: 'p#0' }, { ok: false, index: 1, expected: 'hold', actual: 'deny', rule: 'default-deny' }] })
})

test('the strictest of several commands counts; what cannot be parsed is denied', async () => {
  const { tests } = await checkDocuments([
    policy('{ allow: sql.select, on: "public.*" }', '{ as: shop-ci, run: "select 1; drop table orders; select 2", expect: deny }, { as: shop-ci, run: "selec", expect: deny }'),
  ])
  expect(tests.map((result) => result.ok)).toEqual([true, true])
})

test('an unknown key or action is an error with its place and what was meant', async () => {
  const { ok, errors } = await checkDocuments([policy('{ alow: sql.select }', ''), policy('{ allow: sql.selct }', '')])
  expect(ok).toBe(false)
  expect(errors.join('\n')).toMatch(/p\.yaml:7:\d+: .*alow.*did you mean "allow"/)
  expect(errors.join('\n')).toMatch(/p\.yaml:7:\d+: .*sql\.selct.*did you mean "sql\.select"/)
})
