import { createHash, generateKeyPairSync } from 'node:crypto'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parsePublicKeyLine, publicKeyLine } from './public-key.js'
import { signCertificate } from './sign-certificate.js'
import { verifySignature } from './signature.js'
import { SoftwareToken } from './testing/security-token.js'
import { WireWriter } from './wire.js'

const hasKeygen = spawnSync('ssh-keygen', ['-?']).error === undefined
const data = Buffer.from('what is signed')

describe.each(['sk-ssh-ed25519@openssh.com', 'sk-ecdsa-sha2-nistp256@openssh.com'] as const)('a key on a security token, %s', (type) => {
  const token = new SoftwareToken(type)
  const verify = (signature: Uint8Array, signedData: Uint8Array = data) => verifySignature({ algorithm: type, key: token.publicKey.blob, signature, signedData })

  test('verifies, and survives the way through its line', () => {
    expect(verify(token.sign(data)).blob).toEqual(token.publicKey.blob)
    expect(parsePublicKeyLine(publicKeyLine(token.publicKey, 'mine')).application).toBe('ssh:')
  })

  test('other data, another key, changed flags or a changed counter are refused', () => {
    const signature = token.sign(data)
    expect(() => verify(signature, Buffer.from('other'))).toThrow('not good')
    expect(() => verify(new SoftwareToken(type).sign(data))).toThrow('not good')
    for (const at of [signature.length - 5, signature.length - 1]) {
      const changed = Buffer.from(signature)
      changed[at] = (changed[at] ?? 0) ^ 0x04
      expect(() => verify(changed)).toThrow('not good')
    }
    expect(() => verify(signature.subarray(0, -5))).toThrow('ends too early')
    expect(() => verify(Buffer.concat([signature, Buffer.of(0)]))).toThrow('left over')
  })

  test('what nobody touched the token for is refused; that a PIN was asked for is no matter', () => {
    expect(() => verify(token.sign(data, { flags: 0x00 }))).toThrow('nobody touched')
    expect(() => verify(token.sign(data, { flags: 0x04 }))).toThrow('nobody touched')
    expect(verify(token.sign(data, { flags: 0x05 })).type).toBe(type)
  })

  test('what the token signed for a web site is refused', () => {
    expect(() => verify(token.sign(data, { application: 'https://bank.example' }))).toThrow('not good')
    expect(() => new SoftwareToken(type, 'https://bank.example')).toThrow('not one for SSH')
  })

  test('in a certificate', () => {
    const { privateKey } = generateKeyPairSync('ed25519')
    const certificate = signCertificate({ authority: privateKey, subject: token.publicKey, serial: 1n, keyId: 'k', principals: ['web-01'], validAfter: new Date(0), validBefore: new Date(1e12) })
    expect(certificate.algorithm).toBe(type.replace('@', '-cert-v01@'))
    expect(verifySignature({ algorithm: certificate.algorithm, key: certificate.blob, signature: token.sign(data), signedData: data }).blob).toEqual(token.publicKey.blob)
  })

  test.skipIf(!hasKeygen)('ssh-keygen agrees (PROTOCOL.sshsig)', () => {
    const directory = mkdtempSync(join(tmpdir(), 'sallyport-token-'))
    const head = new WireWriter().raw(Buffer.from('SSHSIG'))
    const signed = new WireWriter().raw(head.bytes()).string('test').string('').string('sha512').string(createHash('sha512').update(data).digest()).bytes()
    const blob = new WireWriter().raw(head.bytes()).uint32(1).string(token.publicKey.blob).string('test').string('').string('sha512').string(token.sign(signed)).bytes()
    writeFileSync(join(directory, 'sig'), `-----BEGIN SSH SIGNATURE-----\n${blob.toString('base64').replace(/.{70}/g, '$&\n').trimEnd()}\n-----END SSH SIGNATURE-----\n`)
    writeFileSync(join(directory, 'signers'), `me ${publicKeyLine(token.publicKey)}\n`)
    const result = spawnSync('ssh-keygen', ['-Y', 'verify', '-f', join(directory, 'signers'), '-I', 'me', '-n', 'test', '-s', join(directory, 'sig')], { input: data })
    rmSync(directory, { recursive: true })
    expect([result.status, result.stderr.toString()]).toEqual([0, ''])
  })
})
