import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { certificateLine, parseCertificate, parseCertificateLine, type SshCertificate } from './certificate.js'
import { SshKeyError } from './errors.js'
import { generateKeyPair } from './private-key.js'
import { publicKeyOf } from './public-key.js'
import { signCertificate, type CertificateFacts } from './sign-certificate.js'
import { verifySignature } from './signature.js'
import { proofBy } from './testing/index.js'
import { verifyCertificate, type CertificateCheck } from './verify-certificate.js'
import { WireReader, WireWriter } from './wire.js'

const ca = generateKeyPair('ca')
const user = generateKeyPair('user')
const now = new Date('2026-03-01T12:00:00Z')
const minutes = (count: number): Date => new Date(now.getTime() + count * 60_000)

const certificate = (more: Partial<CertificateFacts> = {}): SshCertificate =>
  signCertificate({
    authority: ca.privateKey,
    subject: user.publicKey,
    serial: 2n ** 63n + 5n,
    keyId: 'credential 1',
    principals: ['web-01'],
    validAfter: minutes(-1),
    validBefore: minutes(5),
    extensions: ['permit-pty'],
    ...more,
  })
const check = (more: Partial<CertificateCheck> = {}): CertificateCheck => ({ cas: [ca.publicKey.blob], now, principal: 'web-01', sourceAddress: '10.1.2.3', ...more })

function refusal(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(SshKeyError)
    return error instanceof SshKeyError ? error.code : ''
  }
  return 'accepted'
}

/** The same certificate with one field of its options changed by hand, and signed by nobody. */
function withCriticalOptions(from: SshCertificate, options: Buffer): Buffer {
  const reader = new WireReader(from.blob)
  const writer = new WireWriter().string(reader.string()).string(reader.string()).string(reader.string())
  writer.uint64(reader.uint64()).uint32(reader.uint32()).string(reader.string()).string(reader.string()).uint64(reader.uint64()).uint64(reader.uint64())
  reader.string()
  return writer.string(options).string(reader.string()).string(reader.string()).string(reader.string()).string(reader.string()).bytes()
}

describe('a certificate', () => {
  it('of our authority is good for its principal, in its time', () => {
    expect(verifyCertificate(certificate(), check())).toEqual({
      serial: 2n ** 63n + 5n,
      keyId: 'credential 1',
      principals: ['web-01'],
      forceCommand: undefined,
      extensions: new Set(['permit-pty']),
    })
    expect(parseCertificateLine(certificateLine(certificate(), 'x')).serial).toBe(2n ** 63n + 5n)
  })

  it.each(['p256', 'p384', 'p521', 'rsa'] as const)('may be for a key of type %s', (type) => {
    const { publicKey, privateKey } = type === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ec', { namedCurve: type.replace('p', 'P-') })
    const made = certificate({ subject: publicKeyOf(publicKey) })
    expect(verifyCertificate(made, check()).principals).toEqual(['web-01'])
    expect(verifySignature(proofBy({ privateKey, user: 'web-01', key: made.blob })).blob).toEqual(publicKeyOf(publicKey).blob)
  })

  it.each([
    ['of another authority', {}, { cas: [user.publicKey.blob] }, 'UNKNOWN_AUTHORITY'],
    ['while no authority is trusted', {}, { cas: [] }, 'UNKNOWN_AUTHORITY'],
    ['for hosts', { type: 'host' as const }, {}, 'WRONG_TYPE'],
    ['before its time', {}, { now: minutes(-2) }, 'NOT_YET_VALID'],
    ['at its end', {}, { now: minutes(5) }, 'EXPIRED'],
    ['for another principal', {}, { principal: 'web-02' }, 'WRONG_PRINCIPAL'],
    ['for a principal in other letters', {}, { principal: 'WEB-01' }, 'WRONG_PRINCIPAL'],
    ['from another address', { sourceAddresses: ['10.2.0.0/16', '::1'] }, {}, 'SOURCE_ADDRESS'],
    ['from an address that is none', { sourceAddresses: ['10.0.0.0/8'] }, { sourceAddress: 'somewhere' }, 'SOURCE_ADDRESS'],
    ['with a source address that is a wildcard', { sourceAddresses: ['10.*'] }, {}, 'MALFORMED'],
  ])('%s is refused', (_what, facts, circumstances, code) => {
    expect(refusal(() => verifyCertificate(certificate(facts), check(circumstances)))).toBe(code)
  })

  it('from an address within its block is good, also when a dual-stack listener shows it', () => {
    const made = certificate({ sourceAddresses: ['10.1.0.0/16', '2001:db8::/32'] })
    for (const sourceAddress of ['10.1.2.3', '::ffff:10.1.2.3', '2001:db8::5']) expect(verifyCertificate(made, check({ sourceAddress })).keyId).toBe('credential 1')
  })

  it('hands its forced command back', () => {
    expect(verifyCertificate(certificate({ forceCommand: 'uptime' }), check()).forceCommand).toBe('uptime')
  })

  it('S2 with a certificate as its authority is refused', () => {
    const reader = new WireReader(certificate().blob)
    const writer = new WireWriter().string(reader.string()).string(reader.string()).string(reader.string())
    writer.uint64(reader.uint64()).uint32(reader.uint32()).string(reader.string()).string(reader.string()).uint64(reader.uint64()).uint64(reader.uint64())
    writer.string(reader.string()).string(reader.string()).string(reader.string())
    const nested = writer.string(certificate().blob).string(Buffer.alloc(83)).bytes()
    expect(() => parseCertificate(nested)).toThrow('where a plain public key belongs')
  })

  it('with an unknown critical option, options out of order or twice is refused', () => {
    const option = (name: string): Buffer => new WireWriter().string(name).string(new WireWriter().string('x').bytes()).bytes()
    const unknown = parseCertificate(withCriticalOptions(certificate(), option('verify-required')))
    // Unsigned now: the refusal must come before, or from, the signature, never be an acceptance.
    expect(refusal(() => verifyCertificate(unknown, check()))).toBe('BAD_SIGNATURE')
    expect(() => parseCertificate(withCriticalOptions(certificate(), Buffer.concat([option('source-address'), option('force-command')])))).toThrow('not in order')
    expect(() => parseCertificate(withCriticalOptions(certificate(), Buffer.concat([option('force-command'), option('force-command')])))).toThrow('not in order')
  })

  it('for nobody, for no time, or by a key that is no Ed25519 private key is not signed', () => {
    expect(refusal(() => certificate({ principals: [] }))).toBe('MALFORMED')
    expect(refusal(() => certificate({ validBefore: minutes(-1) }))).toBe('MALFORMED')
    expect(refusal(() => certificate({ authority: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey }))).toBe('UNSUPPORTED_KEY')
  })

  it('does not survive any changed or missing byte', () => {
    const blob = certificate({ forceCommand: 'uptime', sourceAddresses: ['10.1.0.0/16'] }).blob
    for (let at = 0; at < blob.length; at += 1) {
      const changed = Buffer.from(blob)
      changed[at] = (changed[at] ?? 0) ^ 0x01
      expect(refusal(() => verifyCertificate(parseCertificate(changed), check()))).not.toBe('accepted')
      expect(refusal(() => parseCertificate(blob.subarray(0, at)))).toBe('MALFORMED')
    }
    expect(refusal(() => parseCertificate(Buffer.concat([blob, Buffer.of(0)])))).toBe('MALFORMED')
  })

  it('that is only noise throws our own error', () => {
    const type = new WireWriter().string('ssh-ed25519-cert-v01@openssh.com').bytes()
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        expect(refusal(() => parseCertificate(Buffer.concat([type, bytes])))).not.toBe('accepted')
      }),
    )
  })
})
