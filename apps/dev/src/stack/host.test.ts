import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { certificateLine, generateKeyPair, parsePrivateKey, signCertificate } from '@sallyport/ssh-keys'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Resources } from '../process/resources.js'
import { alive, Watchdog } from '../process/watchdog.js'
import { startHost, type DemoHost } from './host.js'

const installed = existsSync('/usr/sbin/sshd') && spawnSync('ssh', ['-V']).status === 0

let directory: string
let resources: Resources
let said: string[]

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sallyport-test-'))
  resources = new Resources()
  said = []
})
afterEach(async () => {
  await resources.close()
  rmSync(directory, { recursive: true, force: true })
})

function start(port = 0): Promise<DemoHost | undefined> {
  const watchdog = new Watchdog()
  resources.defer(() => watchdog.finish())
  return startHost({ dataDirectory: directory, logFile: join(directory, 'sshd.log'), port, say: (text) => said.push(text) }, watchdog, resources)
}

async function running(): Promise<DemoHost> {
  const host = await start()
  if (host === undefined) throw new Error(said.join('\n'))
  return host
}

function ssh(host: DemoHost, identity: string, ...command: string[]) {
  const port = new URL(host.directUrl).port
  const options = ['IdentitiesOnly=yes', 'IdentityAgent=none', 'BatchMode=yes', `UserKnownHostsFile=${host.knownHostsFile}`, 'StrictHostKeyChecking=yes']
  const args = ['-F', 'none', '-p', port, '-i', identity, ...options.flatMap((option) => ['-o', option]), `${host.facts.login}@127.0.0.1`, ...command]
  return spawnSync('ssh', args, { encoding: 'utf8', timeout: 10_000 })
}

/** A key file with a certificate beside it, as an agent or an attacker would make it. */
function certified(host: DemoHost, name: string, change: { authorityPem?: string; principals?: string[]; validBefore?: Date } = {}): string {
  const key = generateKeyPair()
  const file = join(directory, name)
  const now = Date.now()
  const certificate = signCertificate({
    authority: parsePrivateKey(change.authorityPem ?? readFileSync(host.facts.caKeyFile, 'utf8')),
    subject: key.publicKey, serial: 1n, keyId: 'session', principals: change.principals ?? [host.facts.login],
    validAfter: new Date(now - 600_000), validBefore: change.validBefore ?? new Date(now + 60_000),
  })
  writeFileSync(file, key.privateKeyPem, { mode: 0o600 })
  writeFileSync(`${file}-cert.pub`, certificateLine(certificate))
  return file
}

test.runIf(installed)('sshd takes certificates of the CA for its own login, and nothing else', async () => {
  const host = await running()
  expect(ssh(host, certified(host, 'good'), 'echo', 'in')).toMatchObject({ status: 0, stdout: 'in\n' })
  expect(ssh(host, host.identityFile, 'cat', join(host.facts.projectDirectory, 'logs/orders.log')).stdout).toContain('4111 1111 1111 1111')

  const refused = {
    'another CA': certified(host, 'other-ca', { authorityPem: generateKeyPair().privateKeyPem }),
    'another principal': certified(host, 'other-name', { principals: ['somebody-else'] }),
    'a certificate of the past': certified(host, 'past', { validBefore: new Date(Date.now() - 60_000) }),
    // The CA's key signs, but doesn't log in itself.
    'the CA key': host.facts.caKeyFile,
  }
  const results = Object.entries(refused).map(([name, identity]) => [name, ssh(host, identity, 'true').status])
  expect(results).toEqual(Object.keys(refused).map((name) => [name, 255]))
  expect(statSync(host.facts.caKeyFile).mode & 0o777).toBe(0o600)
}, 30_000)

test.runIf(installed)('host key, CA and project are the same after the next start; the first server has ended', async () => {
  const first = await running()
  writeFileSync(join(first.facts.projectDirectory, 'mine.txt'), 'kept')
  await resources.close()
  expect(alive(first.pid)).toBe(false)
  resources = new Resources()
  const second = await start(Number(new URL(first.directUrl).port))
  expect(second?.facts).toEqual(first.facts)
  expect(readFileSync(join(first.facts.projectDirectory, 'mine.txt'), 'utf8')).toBe('kept')
}, 30_000)

test.runIf(installed)('a server that does not start is a message, and no target', async () => {
  const host = await running()
  expect(await start(Number(new URL(host.directUrl).port))).toBeUndefined()
  expect(said.join('\n')).toMatch(/no target web-01: .*didn't start/)
}, 30_000)
