import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fingerprint, generateKeyPair } from '@sallyport/ssh-keys'
import { createApi } from '@sallyport/api-client'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { IssuedCredential } from '../exec/issued-credential.js'
import { sshClient } from './ssh.js'
import { sshConfig } from './ssh-config.js'

const hostKey = generateKeyPair('gateway')
const otherKey = generateKeyPair()
const key = generateKeyPair()
/** As the control plane knows the gateway, among lines that have no business in our file. */
const published = [
  `[localhost]:2222 ${hostKey.publicKeyLine}`,
  `* ${otherKey.publicKeyLine}`,
  `@cert-authority [localhost]:2222 ${otherKey.publicKeyLine}`,
  `[localhost]:2223 ${otherKey.publicKeyLine}`,
  '',
].join('\n')

let home: string
let directory: string

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'sallyport-test-'))
  directory = join(home, "it's 100% ours")
  mkdirSync(directory)
})
afterEach(() => rmSync(home, { recursive: true }))

const credential = (over: Partial<IssuedCredential> = {}, connection: Partial<IssuedCredential['connection']> = {}): IssuedCredential => ({
  id: 'c-1', secret: 'spc_x', expiresInSeconds: 900, target: 'web-01', protocol: 'ssh', keyFingerprint: fingerprint(key.publicKey.blob), raw: {},
  connection: { host: 'localhost', port: 2222, database: '', user: 'web-01', sslmode: '', caPem: '', ...connection },
  ...over,
})

async function setUp(issued = credential(), knownHosts = published, env: Record<string, string> = { PATH: process.env['PATH'] ?? '' }) {
  const asked: string[] = []
  const open = createApi({
    baseUrl: 'http://control.example',
    fetch: (request) => {
      asked.push(new URL(request.url).pathname)
      return Promise.resolve(new Response(knownHosts))
    },
  })
  const variables = await sshClient.environment(issued, { directory, key, env, api: { open } })
  expect(asked).toEqual(['/v1/ssh/known-hosts'])
  const child: Record<string, string> = { HOME: home }
  for (const [name, value] of Object.entries(variables)) if (value !== undefined) child[name] = value
  return child
}

/** What ssh would do for a host: `ssh -G` reads the configuration and connects to nobody. */
function effective(env: Record<string, string>, ...args: string[]): Record<string, string> {
  const printed = execFileSync('ssh', ['-G', ...args], { env, encoding: 'utf8' })
  return Object.fromEntries(printed.split('\n').map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]))
}

const hasSsh = spawnSync('ssh', ['-V']).status === 0

test.runIf(hasSsh)('`ssh TARGET` goes to the gateway with our key and nothing of the user’s configuration', async () => {
  mkdirSync(join(home, '.ssh'), { mode: 0o700 })
  const stolen = `IdentityFile ~/.ssh/theirs\nProxyCommand nc evil 22\nStrictHostKeyChecking no\nForwardAgent yes\n`
  writeFileSync(join(home, '.ssh', 'config'), `${stolen}Host web-01\n  HostName 203.0.113.9\nHost other\n  HostName 203.0.113.7\n  User deploy\n`, { mode: 0o600 })
  // ssh takes ~ from the account, not from HOME, so the file is put in its place by name.
  const env = await setUp()
  const config = join(directory, 'ssh_config')
  writeFileSync(config, readFileSync(config, 'utf8').replace('~/.ssh/config', `"${join(home, '.ssh', 'config')}"`))
  const ours = effective(env, 'web-01')
  expect(ours).toMatchObject({
    hostname: 'localhost', port: '2222', user: 'web-01', identityfile: join(directory, 'id_ed25519').replace('%', '%%'), identitiesonly: 'yes',
    stricthostkeychecking: 'true', forwardagent: 'no', passwordauthentication: 'no', preferredauthentications: 'publickey', controlmaster: 'false', identityagent: 'none',
  })
  expect(ours['proxycommand']).toBeUndefined()
  expect(ours['userknownhostsfile']).toBe(join(directory, 'known_hosts'))
  expect(effective(env, 'other')).toMatchObject({ hostname: '203.0.113.7', user: 'deploy', proxycommand: 'nc evil 22' })
  expect(effective(env, '-l', 'root%web-01', 'web-01')).toMatchObject({ user: 'root%web-01', hostname: 'localhost' })
})

test.runIf(hasSsh)('ssh, git, rsync and Ansible are given the same file; the wrappers call the real programs', async () => {
  const real = join(home, 'real bin')
  mkdirSync(real)
  for (const name of ['ssh', 'scp']) {
    writeFileSync(join(real, name), `#!/bin/sh\nprintf '%s|' ${name} "$@"\n`)
    chmodSync(join(real, name), 0o755)
  }
  const env = await setUp(credential(), published, { PATH: `${real}:/bin` })
  const config = join(directory, 'ssh_config')
  expect(env['PATH']).toBe(`${join(directory, 'bin')}:${real}:/bin`)
  expect(env['SALLYPORT_SSH_CONFIG']).toBe(config)
  expect(execFileSync('scp', ['web-01:a b', '.'], { env, encoding: 'utf8' })).toBe(`scp|-F|${config}|web-01:a b|.|`)
  const git = `${env['GIT_SSH_COMMAND'] ?? ''} web-01 'git-upload-pack x'`
  expect(execFileSync('/bin/sh', ['-c', git], { env, encoding: 'utf8' })).toContain(`-F|${config}|web-01|git-upload-pack x|`)
  // rsync's own way of quoting; exec-ssh.test.ts runs the real one.
  expect(env['RSYNC_RSH']).toBe(`ssh -F '${config.replace("'", "''")}'`)
  expect(env['ANSIBLE_SSH_ARGS']).toMatch(/^-F '.*ssh_config' /)
  expect(env['ANSIBLE_HOST_KEY_CHECKING']).toBe('True')
  expect(env['ANSIBLE_SSH_CONTROL_PATH_DIR']).toBe(join(directory, 'mux'))
})

test('the key is ours alone; the known hosts are the gateway, with the keys published for its address', async () => {
  const env = await setUp()
  expect(readFileSync(join(directory, 'known_hosts'), 'utf8')).toBe(`[localhost]:2222 ${hostKey.publicKeyLine.replace(' gateway', '')}\n`)
  expect(readFileSync(join(directory, 'id_ed25519'), 'utf8')).toBe(key.privateKeyPem)
  const modes = ['id_ed25519', 'known_hosts', 'ssh_config', 'bin', 'mux'].map((name) => (statSync(join(directory, name)).mode & 0o777).toString(8))
  expect(modes).toEqual(['600', '600', '600', '700', '700'])
  expect(JSON.stringify(env)).not.toMatch(/PRIVATE KEY|spc_x/)
})

test('port 22 has no brackets in known_hosts', async () => {
  await setUp(credential({}, { host: 'gw.example', port: 22 }), `GW.example ${hostKey.publicKeyLine}\n`)
  expect(readFileSync(join(directory, 'known_hosts'), 'utf8')).toMatch(/^gw\.example ssh-ed25519 /)
})

test.each([
  ['no key for this address', credential({}, { port: 4 }), published, 'no host key is published'],
  ['a key that is none', credential(), '[localhost]:2222 ssh-ed25519 AAAA\n', "can't be used"],
  ['a target that is more than a name', credential({ target: 'web-01\n  ProxyCommand id' }), published, "can't stand in an ssh_config"],
  ['a target that is a pattern', credential({ target: '*' }), published, "can't stand in an ssh_config"],
  ['a host that is an option', credential({}, { host: '-oProxyCommand=id', port: 2222 }), published, 'no host key is published'],
  ['a user that is more than a name', credential({}, { user: 'x\nProxyCommand id' }), published, "can't stand in an ssh_config"],
])('refused: %s', async (_name, issued, knownHosts, message) => {
  await expect(setUp(issued, knownHosts)).rejects.toThrow(message)
  expect(existsSync(join(directory, 'ssh_config'))).toBe(false)
})

test('refused: a credential that is tied to no key, or to another', async () => {
  const api = { open: createApi({ baseUrl: 'http://control.example', fetch: () => Promise.resolve(new Response(published)) }) }
  for (const keyFingerprint of ['', fingerprint(otherKey.publicKey.blob)]) {
    await expect(async () => sshClient.environment(credential({ keyFingerprint }), { directory, key, env: {}, api })).rejects.toThrow('did not tie the credential')
  }
  expect(existsSync(join(directory, 'id_ed25519'))).toBe(false)
})

test('a path that ssh would expand or that ends the quotes is refused', () => {
  const facts = { target: 't', host: 'h', port: 1, user: 'u', identityFile: '/k', knownHostsFile: '/h' }
  for (const identityFile of ['/a"b', '/a\nb', '/${HOME}', '/a\\b']) expect(() => sshConfig({ ...facts, identityFile })).toThrow("can't stand in an ssh_config")
})
