import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Sshd } from '@sallyport/protocol-ssh/testing'
import { certificateLine, generateKeyPair, parseCertificateLine, signCertificate } from '@sallyport/ssh-keys'
import ssh2 from 'ssh2'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../support/direct.js'
import { hasSshd, policyFor, SshHome } from '../support/ssh.js'
import { Stack } from '../support/stack.js'

/** Who comes in with what, and with what the agent comes in at the target. */
let stack: Stack
let sshd: Sshd
let passwords: ssh2.Server
let folder: string
const homes: SshHome[] = []
const hostKey = generateKeyPair('password host')
const tried: string[] = []

interface TargetFacts {
  readonly name: string
  readonly address: string
  readonly login: string
  readonly hostKey: string
  readonly credential: string
}

function targetDocument({ name, address, login, hostKey: key, credential }: TargetFacts): string {
  return [
    'apiVersion: sallyport.dev/v1',
    'kind: Target',
    `metadata: { name: ${name} }`,
    'spec:',
    '  protocol: ssh',
    '  agents: { labels: { site: demo } }',
    '  ssh:',
    `    address: "${address}"`,
    `    logins: [${login}]`,
    `    hostKeys: ["${key}"]`,
    `    credential: ${credential}`,
    '',
  ].join('\n')
}

/** sshd can't check a password that isn't an account's of this machine: a server of ours does. */
function passwordServer(): ssh2.Server {
  return new ssh2.Server({ hostKeys: [hostKey.privateKeyPem] }, (connection) => {
    connection.on('error', () => undefined)
    connection.on('authentication', (context) => {
      if (context.method === 'password') tried.push(context.password)
      if (context.method === 'password' && context.username === 'app' && context.password === 'correct horse') context.accept()
      else context.reject(['password'])
    })
    connection.on('session', (accept) => {
      accept().on('exec', (take, _reject, { command }) => {
        const stream = take()
        stream.write(`ran ${command}\n`)
        stream.exit(0)
        stream.end()
      })
    })
  })
}

beforeAll(async () => {
  if (!hasSshd) return
  folder = mkdtempSync(path.join(tmpdir(), 'sallyport-credentials-'))
  const file = (name: string, text: string): string => {
    writeFileSync(path.join(folder, name), text, { mode: 0o600 })
    return `file:${path.join(folder, name)}`
  }
  sshd = new Sshd()
  await sshd.start()
  passwords = passwordServer()
  passwords.listen(0, '127.0.0.1')
  await once(passwords, 'listening')
  const passwordAddress = `127.0.0.1:${passwords.address().port}`
  const stranger = generateKeyPair()
  const plain = { address: sshd.address, login: sshd.login, hostKey: sshd.hostKeyLine }
  const passwordKey = hostKey.publicKeyLine.split(' ').slice(0, 2).join(' ')
  const strangerKey = stranger.publicKeyLine.split(' ').slice(0, 2).join(' ')
  const key = `{ privateKey: "file:${sshd.identityFile()}" }`
  const targets: TargetFacts[] = [
    { ...plain, name: 'by-key', credential: key },
    { ...plain, name: 'by-ca', credential: `{ certificate: { caKey: "file:${sshd.caKeyFile()}", ttl: 1m } }` },
    { ...plain, name: 'by-wrong-key', credential: `{ privateKey: "${file('wrong', stranger.privateKeyPem)}" }` },
    { ...plain, name: 'by-no-key', credential: `{ privateKey: "file:${folder}/missing" }` },
    { ...plain, name: 'moved', hostKey: strangerKey, credential: key },
    { name: 'by-password', address: passwordAddress, login: 'app', hostKey: passwordKey, credential: `{ password: "${file('password', 'correct horse')}" }` },
    { name: 'by-wrong-password', address: passwordAddress, login: 'app', hostKey: passwordKey, credential: `{ password: "${file('bad', 'wrong donkey')}" }` },
    // It would be given the password, if it weren't for its host key.
    { name: 'password-moved', address: passwordAddress, login: 'app', hostKey: strangerKey, credential: `{ password: "${file('password2', 'never shown')}" }` },
  ]
  const policyFile = path.join(folder, 'policy.yaml')
  writeFileSync(policyFile, [...targets.map((target) => [targetDocument(target), policyFor(target.name, ['{ allow: ssh.exec, argv: ["echo ..."] }'])].join('---\n')), policyFor('web-01', ['{ allow: ssh.exec, argv: ["echo ..."] }'])].join('---\n'))
  stack = await Stack.start({ policyFile, env: { SALLYPORT_AGENT_CREDENTIALS: `file:${folder}/*,file:${sshd.directory}/*,file:/tmp/*/host/*` } })
})

afterAll(async () => {
  await stack?.stop()
  await sshd?.stop()
  passwords?.close()
  for (const home of homes) home.remove()
  if (folder) rmSync(folder, { recursive: true, force: true })
})

async function homeFor(target: string): Promise<SshHome> {
  const home = await SshHome.create(stack, target)
  homes.push(home)
  return home
}

describe.skipIf(!hasSshd)('at the target', () => {
  test.each(['by-key', 'by-ca'])('the agent logs in %s', async (target) => {
    expect(await (await homeFor(target)).ssh('echo in')).toMatchObject({ code: 0, stdout: 'in\n' })
  })

  test('a certificate is for one session and one account, and the host\'s log says who it is for', async () => {
    const home = await homeFor('by-ca')
    await home.ssh('echo logged')
    await eventually(async () => /Accepted publickey.*ED25519-CERT.*ID "?sallyport shop-ci [0-9a-f-]{36}/s.test(sshd.log), 'sshd has logged it')
  })

  test('the agent logs in by-password', async () => {
    // That server answers and exits in one piece.
    const r = await (await homeFor('by-password')).ssh('echo in')
    expect(r).toMatchObject({ code: 0, stdout: 'ran echo in\n' })
  })

  test.each(['by-wrong-key', 'by-wrong-password', 'by-no-key'])('%s: a clear text, and nothing of the credential in it or in the record', async (target) => {
    const { code, stdout, stderr } = await (await homeFor(target)).ssh('echo in')
    expect([code === 0, stdout, stderr]).toEqual([false, '', expect.stringMatching(/Sallyport: .*(refused the agent's login|can't read the target's credential)/)])
    expect(stderr + JSON.stringify(await stack.events('kind=session.end'))).not.toMatch(/wrong donkey|PRIVATE KEY|missing/)
  })

  test.each(['moved', 'password-moved'])('%s: another host key is refused before anything is sent to the host', async (target) => {
    const { code, stdout, stderr } = await (await homeFor(target)).ssh('echo in')
    expect([code === 0, stdout]).toEqual([false, ''])
    expect(stderr).toMatch(/Sallyport: the host key of 127\.0\.0\.1:\d+ is not one of those pinned/)
    expect(tried).not.toContain('never shown')
    await eventually(async () => JSON.stringify(await stack.events('kind=session.end')).includes('HOST_KEY_MISMATCH'), 'it is on record')
  })
})

describe.skipIf(!hasSshd)('a certificate of the control plane\'s CA', () => {
  async function certified(): Promise<{ home: SshHome; id: string; line: string }> {
    const home = await homeFor('by-key')
    await stack.api('DELETE', `/v1/credentials/${home.credential?.credential_id}`)
    const { status, body } = await stack.api('POST', '/v1/ssh/certificates', { target: 'by-key', public_key: home.key.publicKeyLine, ttl_seconds: 300 }, await stack.mint())
    expect(status).toBe(200)
    const home2 = home.file('id-cert.pub')
    writeFileSync(home2, body.certificate)
    home.writeConfig([`CertificateFile ${home2}`])
    return { home, id: body.credential_id, line: body.certificate }
  }

  test('lets in, for its target alone, until its serial is revoked', async () => {
    const { home, id } = await certified()
    expect(await home.run('ssh', ['-v', 'by-key', 'echo certified'])).toMatchObject({ code: 0, stdout: 'certified\n', stderr: expect.stringMatching(/Server accepts key: .*ED25519-CERT/) })
    const elsewhere = await home.run('ssh', ['-l', 'web-01', 'by-key', 'echo elsewhere'])
    expect(elsewhere).toMatchObject({ code: 255, stdout: '', stderr: expect.stringContaining('does not name this user') })
    const before = Date.now()
    const running = home.start('ssh', ['-N', 'by-key'])
    await eventually(async () => (await stack.api('GET', '/v1/sessions?state=live')).body.items.length > 0, 'a session')
    await stack.api('DELETE', `/v1/credentials/${id}`)
    const revoked = Date.now()
    await running.exited
    expect(Date.now() - revoked).toBeLessThan(2000)
    expect(await home.ssh('echo revoked')).toMatchObject({ code: 255, stdout: '', stderr: expect.stringMatching(/revoked/) })
    expect(Date.now() - before).toBeLessThan(20_000)
  })

  test('with the serial and name of a real one, but signed by another CA, it is good for nothing', async () => {
    const { home, line } = await certified()
    const real = parseCertificateLine(line)
    const thief = generateKeyPair()
    const forged = signCertificate({
      authority: thief.privateKey, subject: thief.publicKey, serial: real.serial, keyId: real.keyId, principals: [...real.principals],
      validAfter: new Date(Date.now() - 60_000), validBefore: new Date(Date.now() + 60_000),
    })
    writeFileSync(home.file('id-cert.pub'), certificateLine(forged))
    writeFileSync(home.file('id'), thief.privateKeyPem)
    expect(await home.ssh('echo forged')).toMatchObject({ code: 255, stdout: '', stderr: expect.stringContaining('not trusted') })
    const failures = JSON.stringify(await stack.events('kind=auth.failed'))
    expect(failures).toContain('not trusted')
  })
})

describe.skipIf(!hasSshd)('a key with a credential', () => {
  test('the account is asked for by the user name, and nobody gets another one than the target lists', async () => {
    const home = await homeFor('by-key')
    expect(await home.run('ssh', ['-l', `${sshd.login}%by-key`, 'by-key', 'echo account'])).toMatchObject({ code: 0, stdout: 'account\n' })
    expect(await home.run('ssh', ['-l', 'admin%by-key', 'by-key', 'echo account'])).toMatchObject({ code: 255, stdout: '', stderr: expect.stringContaining('not among those of this target') })
  })

  test('is good for its own target, and for nobody else\'s key', async () => {
    const home = await homeFor('by-key')
    expect((await home.run('ssh', ['-l', 'web-01', 'by-key', 'echo other'])).code).toBe(255)
    writeFileSync(home.file('id'), generateKeyPair().privateKeyPem)
    const unknown = await home.ssh('echo unknown')
    expect([unknown.code, unknown.stdout, unknown.stderr]).toEqual([255, '', expect.stringContaining('is bound to the key SHA256:')])
    expect(readFileSync(home.config, 'utf8')).toContain('StrictHostKeyChecking yes')
  })

  test('the gateway\'s own host key is checked by the client: what is published is what it shows', async () => {
    const home = await homeFor('by-key')
    writeFileSync(home.file('known_hosts'), readFileSync(home.file('known_hosts'), 'utf8').replaceAll(/(ssh-ed25519|ecdsa-sha2-nistp256) \S+/g, () => generateKeyPair().publicKeyLine.split(' ').slice(0, 2).join(' ')))
    expect(await home.ssh('echo posed')).toMatchObject({ code: 255, stdout: '', stderr: expect.stringContaining('HOST IDENTIFICATION HAS CHANGED') })
  })
})
