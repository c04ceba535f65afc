import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { demoDocuments, type DocumentFile } from './documents.js'

const examples = resolve(import.meta.dirname, '../../../../examples/demo')
const addresses = { issuerUrl: 'http://127.0.0.1:1', targetPort: 2 }

function names(files: readonly DocumentFile[]): string[] {
  return files.flatMap((file) => [...parseAllDocuments(file.text)].map((document) => {
    expect(document.errors).toEqual([])
    return `${String(document.get('kind'))}/${String(document.getIn(['metadata', 'name']))}`
  })).sort()
}

const others = ['Group/dba', 'IdentityProvider/demo-ci', 'Target/orders-db', 'User/ada', 'User/dana', 'Workload/shop-ci']

test('the examples get the addresses of this stack', () => {
  const files = demoDocuments(examples, addresses)
  expect(names(files)).toEqual([...others.slice(0, 2), 'Policy/shop-ci-on-orders', ...others.slice(2)])
  const text = files.map((file) => file.text).join('\n')
  expect(text).toContain('issuer: http://127.0.0.1:1')
  expect(text).toContain('port: 2')
  // Nothing else differs from what stands in the repository, so that applying the examples by hand changes nothing.
  const committed = files.map((file) => readFileSync(join(examples, file.path), 'utf8')).join('\n')
  expect(text.replace('http://127.0.0.1:1 ', 'http://127.0.0.1:8474 ').replace('port: 2\n', 'port: 8475\n')).toBe(committed)
})

test("--policy takes the place of the demo's policies, and of documents it names", () => {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-test-'))
  try {
    const file = join(directory, 'mine.yaml')
    writeFileSync(file, 'kind: Policy\nmetadata: { name: mine }\n---\nkind: Workload\nmetadata: { name: shop-ci }\n')
    const files = demoDocuments(examples, addresses, file)
    expect(names(files)).toEqual([...others.slice(0, 2), 'Policy/mine', ...others.slice(2)])
  } finally {
    rmSync(directory, { recursive: true })
  }
})
