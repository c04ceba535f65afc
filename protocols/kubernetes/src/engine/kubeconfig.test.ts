import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { UpstreamError } from './api-server.js'
import { readKubeconfig } from './kubeconfig.js'

const folder = mkdtempSync(path.join(tmpdir(), 'sallyport-kubeconfig-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const base64 = (text: string): string => Buffer.from(text).toString('base64')

function config(user: object, cluster: object = {}): string {
  return JSON.stringify({
    'current-context': 'a',
    contexts: [{ name: 'a', context: { cluster: 'c', user: 'u' } }, { name: 'b', context: { cluster: 'c', user: 'nobody' } }],
    clusters: [{ name: 'c', cluster: { server: 'https://10.0.0.1:6443', ...cluster } }],
    users: [{ name: 'u', user }],
  })
}

test('tokens, token files that are renewed, certificates inline and in files beside it', async () => {
  expect(await (await readKubeconfig(config({ token: 't-1' }), undefined, folder)).token?.()).toBe('t-1')
  const file = path.join(folder, 'token')
  writeFileSync(file, 'first\n')
  const renewed = await readKubeconfig(config({ tokenFile: 'token' }), 'a', folder)
  expect(await renewed.token?.()).toBe('first')
  writeFileSync(file, 'second\n')
  expect(await renewed.token?.()).toBe('second')
  writeFileSync(path.join(folder, 'key.pem'), 'the key')
  const certified = await readKubeconfig(config({ 'client-certificate-data': base64('the cert'), 'client-key': 'key.pem' }, { 'certificate-authority-data': base64('the ca'), 'tls-server-name': 'api' }), 'a', folder)
  expect(certified).toMatchObject({ server: 'https://10.0.0.1:6443', ca: 'the ca', serverName: 'api', cert: 'the cert', key: 'the key', token: undefined })
})

test('an exec plugin is run when its token is about to expire, and not before', async () => {
  const count = path.join(folder, 'count')
  const plugin = path.join(folder, 'plugin')
  const answer = (expires: string): string => JSON.stringify({ apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', status: { token: 'TOKEN', expirationTimestamp: expires } })
  const write = (expires: string): void => writeFileSync(plugin, `#!/bin/sh\necho x >> ${count}\nprintf '%s' '${answer(expires)}' | sed "s/TOKEN/$1-$NAME-$(wc -l < ${count} | tr -d ' ')/"\n`, { mode: 0o755 })
  const user = { exec: { apiVersion: 'client.authentication.k8s.io/v1', command: './plugin', args: ['word'], env: [{ name: 'NAME', value: 'value' }], interactiveMode: 'Never' } }
  write(new Date(Date.now() + 3_600_000).toISOString())
  const lasting = await readKubeconfig(config(user), 'a', folder)
  expect(await lasting.token?.()).toBe('word-value-1')
  expect(await lasting.token?.()).toBe('word-value-1')
  write(new Date(Date.now() + 5000).toISOString())
  const short = await readKubeconfig(config(user), 'a', folder)
  await short.token?.()
  await short.token?.()
  expect(readFileSync(count, 'utf8').split('\n').length - 1).toBeGreaterThanOrEqual(4)
})

test.each([
  ['no YAML', ': : :'],
  ['nothing in it', '{}'],
  ['http', config({ token: 'secret-token' }, { server: 'http://10.0.0.1' })],
  ['an unknown context', config({ token: 'secret-token' }).replace('"current-context":"a"', '"current-context":"z"')],
  ['a plugin that fails', config({ exec: { apiVersion: 'client.authentication.k8s.io/v1', command: '/bin/false' } })],
  ['a plugin that prints something else', config({ exec: { apiVersion: 'client.authentication.k8s.io/v1', command: '/bin/echo', args: ['secret-token'] } })],
  ['a plugin that is not there', config({ exec: { apiVersion: 'client.authentication.k8s.io/v1', command: '/no/such/plugin' } })],
  ['a file that is not there', config({ 'client-certificate': 'nowhere.pem', 'client-key': 'nowhere.pem' })],
])('refused without a word of what it holds: %s', async (_name, text) => {
  const error: unknown = await readKubeconfig(text, undefined, folder).then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(UpstreamError)
  expect(String(error)).not.toContain('secret-token')
})
