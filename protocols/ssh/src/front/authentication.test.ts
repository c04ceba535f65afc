import { spawnSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { certificateLine, generateKeyPair, knownHostsLine, parsePublicKeyLine, parseSignedData, signCertificate, SshKeyError, verifySignature } from '@sallyport/ssh-keys'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Loopback } from '../testing/loopback.js'

const hasSsh = spawnSync('ssh', ['-V']).error === undefined

/** What OpenSSH's client proves must reach the control plane so that it verifies there, for every kind of key. */
describe.skipIf(!hasSsh)('a key proven by OpenSSH (needs openssh-client)', () => {
  let directory: string
  let loop: Loopback
  let verdicts: string[]
  const authority = generateKeyPair()

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'sallyport-auth-'))
    loop = new Loopback({
      spec: { address: '127.0.0.1:1', logins: ['nobody'], hostKeyCheck: 'none', credential: { password: 'env:NONE' } },
      rules: [],
      authenticate: (_start, proof) => {
        verdicts.push(proof === undefined ? 'no proof' : verdict(proof))
        return false
      },
    })
    await loop.start()
    writeFileSync(join(directory, 'known_hosts'), `${knownHostsLine({ host: '127.0.0.1', port: loop.port }, loop.hostKey.publicKeyLine)}\n`)
  })
  afterAll(async () => {
    await loop?.stop()
    rmSync(directory, { recursive: true, force: true })
  })

  /** As the control plane checks it. */
  function verdict(proof: Parameters<typeof verifySignature>[0]): string {
    try {
      const signed = parseSignedData(proof.signedData)
      verifySignature(proof)
      return signed.algorithm === proof.algorithm && signed.key.equals(proof.key) && signed.user === 'root%web-01' ? `good ${proof.algorithm}` : 'signed for something else'
    } catch (error) {
      return error instanceof SshKeyError ? error.message : String(error)
    }
  }

  async function prove(name: string, ...options: string[]): Promise<string[]> {
    verdicts = []
    const settings = ['IdentitiesOnly=yes', 'IdentityAgent=none', 'PreferredAuthentications=publickey', 'BatchMode=yes', `UserKnownHostsFile=${directory}/known_hosts`, ...options]
    const child = spawn('ssh', ['-F', 'none', '-i', join(directory, name), ...settings.flatMap((setting) => ['-o', setting]), '-p', String(loop.port), 'root%web-01@127.0.0.1', 'true'], { stdio: 'ignore' })
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(255)
    return verdicts
  }

  function keygen(type: string, bits: string): string {
    const name = `${type}-${bits}`
    expect(spawnSync('ssh-keygen', ['-q', '-t', type, '-b', bits, '-N', '', '-f', join(directory, name)]).status).toBe(0)
    return name
  }

  test.each([
    ['ed25519', '256', 'ssh-ed25519'],
    ['ecdsa', '256', 'ecdsa-sha2-nistp256'],
    ['ecdsa', '384', 'ecdsa-sha2-nistp384'],
    ['ecdsa', '521', 'ecdsa-sha2-nistp521'],
    ['rsa', '2048', 'rsa-sha2-256'],
  ])('%s %s verifies, and so does its certificate', async (type, bits, algorithm) => {
    const name = keygen(type, bits)
    expect(await prove(name)).toEqual([`good ${algorithm}`])
    const subject = parsePublicKeyLine(readFileSync(join(directory, `${name}.pub`), 'utf8'))
    const times = { validAfter: new Date(Date.now() - 60_000), validBefore: new Date(Date.now() + 60_000) }
    const certificate = signCertificate({ authority: authority.privateKey, subject, serial: 1n, keyId: 'k', principals: ['web-01'], ...times })
    writeFileSync(join(directory, `${name}-cert.pub`), certificateLine(certificate))
    // The key first, then, because it was refused, the certificate.
    expect(await prove(name)).toEqual([`good ${algorithm}`, `good ${algorithm}-cert-v01@openssh.com`])
  })

  test('rsa with SHA-512 verifies; with SHA-1 it proves nothing', async () => {
    const name = keygen('rsa', '3072')
    expect(await prove(name, 'PubkeyAcceptedAlgorithms=rsa-sha2-256')).toEqual(['good rsa-sha2-256'])
    expect(await prove(name, 'PubkeyAcceptedAlgorithms=ssh-rsa')).toEqual([])
  })
})
