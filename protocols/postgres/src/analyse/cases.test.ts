import { readdirSync, writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { loadAnalyser } from './index.js'
import { outcome, readCases } from './testing/cases.js'
import { shop, shopNames } from './testing/shop.js'

const folder = new URL('./cases/', import.meta.url)
const names = readdirSync(folder)

beforeAll(async () => {
  await loadAnalyser()
  // UPDATE_CASES=1 writes down what comes out; read the difference before you keep it.
  if (process.env['UPDATE_CASES'] === '1') for (const name of names) rewrite(new URL(name, folder))
})

function rewrite(file: URL): void {
  writeFileSync(file, readCases(file).map((one) => `${one.sql}\n${outcome(one.sql, shop, shopNames)}\n`).join('\n'))
}

for (const name of names) {
  describe(`cases of ${name}`, () => {
    const file = new URL(name, folder)
    const cases = readCases(file)
    it.each(cases.map((one) => [one.sql, one.expected]))('%s', (sql, expected) => {
      expect(outcome(sql, shop, shopNames)).toBe(expected)
    })
  })
}
