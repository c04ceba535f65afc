import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { demoDocuments, type DocumentFile } from './documents.js'

const examples = resolve(import.meta.dirname, '../../../../examples/demo')
const host = { address: '127.0.0.1:3', login: 'me', hostKey: 'ssh-ed25519 AAAA', caKeyFile: '/d/ca-key', projectDirectory: '/tmp/a "b' }
const cluster = { server: 'https://127.0.0.1:3', caPem: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', tokenFile: '/tmp/token' }
const addresses = { issuerUrl: 'http://127.0.0.1:1', peopleUrl: 'http://127.0.0.1:9', targetPort: 2, host: undefined, cluster }

function names(files: readonly DocumentFile[]): string[] {
  return files.flatMap((file) => [...parseAllDocuments(file.text)].map((document) => {
    expect(document.errors).toEqual([])
    return `${String(document.get('kind'))}/${String(document.getIn(['metadata', 'name']))}`
  })).sort()
}

const others = ['Group/dba', 'GroupMapping/auditors', 'IdentityProvider/demo-ci', 'IdentityProvider/demo-people', 'Target/demo-cluster', 'Target/orders-db', 'User/ada', 'User/dana', 'Workload/shop-ci']

test('the examples get the addresses of this stack', () => {
  const files = demoDocuments(examples, addresses)
  expect(names(files)).toEqual([...others.slice(0, 4), 'Policy/shop-ci-on-cluster', 'Policy/shop-ci-on-orders', ...others.slice(4)])
  const text = files.map((file) => file.text).join('\n')
  expect(text).toContain('issuer: http://127.0.0.1:1')
  expect(text).toContain('port: 2')
  // Nothing else differs from what stands in the repository, so that applying the examples by hand changes nothing.
  expect(files.map(({ path }) => path)).not.toContain('web-01.yaml')
  const committed = files.map((file) => readFileSync(join(examples, file.path), 'utf8')).join('\n')
  const restored = text
    .replace('http://127.0.0.1:1 ', 'http://127.0.0.1:8474 ')
    .replace('http://127.0.0.1:9 ', 'http://127.0.0.1:8479 ')
    .replace('port: 2\n', 'port: 8475\n')
    .replace(cluster.server, 'https://127.0.0.1:8478')
    .replace(JSON.stringify(cluster.caPem), '"file:/etc/sallyport/credentials/cluster-ca.pem"')
    .replace(`"file:${cluster.tokenFile}"`, '"file:/etc/sallyport/credentials/cluster-token"')
  expect(restored).toBe(committed)
})

test("--policy takes the place of the demo's policies, and of documents it names", () => {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-test-'))
  try {
    const file = join(directory, 'mine.yaml')
    writeFileSync(file, 'kind: Policy\nmetadata: { name: mine }\n---\nkind: Workload\nmetadata: { name: shop-ci }\n')
    const files = demoDocuments(examples, addresses, file)
    expect(names(files)).toEqual([...others.slice(0, 4), 'Policy/mine', ...others.slice(4)])
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('with a host, its documents come in with its address, keys and project folder', () => {
  const files = demoDocuments(examples, { ...addresses, host })
  expect(names(files)).toEqual([...others.slice(0, 4), 'Policy/shop-ci-on-cluster', 'Policy/shop-ci-on-orders', 'Policy/shop-ci-on-web', ...others.slice(4, 6), 'Target/web-01', ...others.slice(6)])
  const text = files.find(({ path }) => path === 'web-01.yaml')?.text ?? ''
  const [target, policy] = [...parseAllDocuments(text)].map((document): unknown => document.toJS())
  expect(target).toMatchObject({
    spec: { ssh: { address: host.address, logins: ['me'], hostKeys: [host.hostKey], credential: { certificate: { caKey: 'file:/d/ca-key', ttl: '5m' } } } },
  })
  expect(JSON.stringify(policy)).not.toContain('/srv/shop')
  expect(policy).toMatchObject({ spec: { tests: expect.arrayContaining([{ as: 'shop-ci', run: `cat ${host.projectDirectory}/orders.log`, expect: 'allow' }]) } })
  expect(text).toContain('# No standing key')
})

test("--policy leaves the host's policy out, not the host", () => {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-test-'))
  try {
    const file = join(directory, 'mine.yaml')
    writeFileSync(file, 'kind: Policy\nmetadata: { name: mine }\n')
    const files = demoDocuments(examples, { ...addresses, host }, file)
    expect(names(files)).toContain('Target/web-01')
    expect(names(files)).not.toContain('Policy/shop-ci-on-web')
    expect(files.map(({ text }) => text).join('\n')).toContain('address: 127.0.0.1:3')
  } finally {
    rmSync(directory, { recursive: true })
  }
})
