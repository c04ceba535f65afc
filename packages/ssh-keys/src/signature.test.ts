import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SshKeyError } from './errors.js'
import { generateKeyPair, parsePrivateKey } from './private-key.js'
import { fingerprint, parsePublicKey, parsePublicKeyLine, publicKeyLine, publicKeyOf } from './public-key.js'
import { parseSignedData } from './signed-data.js'
import { verifySignature, type SignatureProof } from './signature.js'
import { proofBy } from './testing/index.js'
import { WireWriter } from './wire.js'

const pairs = {
  ed25519: generateKeyPairSync('ed25519'),
  p256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  p384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  p521: generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
}
const types = Object.keys(pairs) as (keyof typeof pairs)[]

/** What it throws, which must be our own error. */
function refusal(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(SshKeyError)
    return error instanceof SshKeyError ? error.code : ''
  }
  return 'accepted'
}

describe('a signature', () => {
  it.each(types)('of %s verifies, and names the key that made it', (type) => {
    const { privateKey, publicKey } = pairs[type]
    const proof = proofBy({ privateKey, user: 'web-01' })
    expect(verifySignature(proof).blob).toEqual(publicKeyOf(publicKey).blob)
  })

  it('of another key, over other data, or with the parts of another proof is refused', () => {
    const proof = proofBy({ privateKey: pairs.ed25519.privateKey, user: 'web-01' })
    const other = proofBy({ privateKey: generateKeyPair().privateKey, user: 'web-01' })
    expect(refusal(() => verifySignature({ ...proof, signature: other.signature }))).toBe('BAD_SIGNATURE')
    expect(refusal(() => verifySignature({ ...proof, key: other.key }))).toBe('BAD_SIGNATURE')
    expect(refusal(() => verifySignature({ ...proof, signedData: other.signedData }))).toBe('BAD_SIGNATURE')
  })

  it('S2 with SHA-1 is refused, although it is good', () => {
    const proof = proofBy({ privateKey: pairs.rsa.privateKey, user: 'web-01', algorithm: 'ssh-rsa' })
    expect(refusal(() => verifySignature(proof))).toBe('UNSUPPORTED_KEY')
    expect(verifySignature(proofBy({ privateKey: pairs.rsa.privateKey, user: 'web-01', algorithm: 'rsa-sha2-256' })).type).toBe('ssh-rsa')
  })

  it('S2 under another algorithm name than the proof claims is refused', () => {
    const proof = proofBy({ privateKey: pairs.rsa.privateKey, user: 'web-01', algorithm: 'rsa-sha2-256' })
    expect(refusal(() => verifySignature({ ...proof, algorithm: 'rsa-sha2-512' }))).toBe('MALFORMED')
    expect(refusal(() => verifySignature({ ...proofBy({ privateKey: pairs.p256.privateKey, user: 'u' }), algorithm: 'ssh-ed25519' }))).toBe('MALFORMED')
  })

  it.each(types)('of %s does not survive any changed or missing byte', (type) => {
    const proof = proofBy({ privateKey: pairs[type].privateKey, user: 'web-01' })
    const parts = ['key', 'signature', 'signedData'] as const
    fc.assert(
      fc.property(fc.constantFrom(...parts), fc.nat(), fc.integer({ min: 1, max: 255 }), fc.boolean(), (part, at, flip, truncate) => {
        const bytes = Buffer.from(proof[part])
        const index = at % bytes.length
        const changed = truncate ? bytes.subarray(0, index) : Buffer.from(bytes.map((byte, i) => (i === index ? byte ^ flip : byte)))
        const mutated: SignatureProof = { ...proof, [part]: changed }
        expect(refusal(() => verifySignature(mutated))).not.toBe('accepted')
      }),
      { numRuns: 300 },
    )
  })

  it('that is only noise throws our own error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 300 }), (key, signature) => {
        expect(refusal(() => verifySignature({ algorithm: 'ssh-ed25519', key, signature, signedData: key }))).not.toBe('accepted')
        expect(refusal(() => parseSignedData(key))).not.toBe('accepted')
      }),
    )
  })
})

describe('signed data', () => {
  const { privateKey } = pairs.ed25519

  it('tells session, user, service, algorithm and key', () => {
    const proof = proofBy({ privateKey, user: 'deploy%web-01' })
    expect(parseSignedData(proof.signedData)).toMatchObject({ user: 'deploy%web-01', service: 'ssh-connection', algorithm: 'ssh-ed25519', key: proof.key })
  })

  it('S1 of an offer without a signature is refused', () => {
    expect(() => parseSignedData(proofBy({ privateKey, user: 'u', hasSignature: false }).signedData)).toThrow('an offer')
  })

  it('of another method, a short session id, with bytes after it or cut anywhere is refused', () => {
    expect(() => parseSignedData(proofBy({ privateKey, user: 'u', method: 'hostbased' }).signedData)).toThrow('another authentication method')
    expect(() => parseSignedData(proofBy({ privateKey, user: 'u', sessionId: Buffer.alloc(20) }).signedData)).toThrow('session identifier')
    const good = Buffer.from(proofBy({ privateKey, user: 'u' }).signedData)
    expect(() => parseSignedData(Buffer.concat([good, Buffer.of(0)]))).toThrow('left over')
    for (let length = 0; length < good.length; length += 1) expect(refusal(() => parseSignedData(good.subarray(0, length)))).toBe('MALFORMED')
  })

  it('with control characters in the user name is refused', () => {
    expect(() => parseSignedData(proofBy({ privateKey, user: 'a\u001b[2Jb' }).signedData)).toThrow('control characters')
  })
})

describe('a public key', () => {
  it('has one blob: other encodings of it are refused', () => {
    const jwk = pairs.rsa.publicKey.export({ format: 'jwk' })
    const [n, e] = [Buffer.from(jwk.n ?? '', 'base64url'), Buffer.from(jwk.e ?? '', 'base64url')]
    const padded = new WireWriter().string('ssh-rsa').positiveInteger(e).string(Buffer.concat([Buffer.of(0, 0), n])).bytes()
    expect(refusal(() => parsePublicKey(padded))).toBe('MALFORMED')
    const blob = publicKeyOf(pairs.ed25519.publicKey).blob
    expect(refusal(() => parsePublicKey(Buffer.concat([blob, Buffer.of(0)])))).toBe('MALFORMED')
  })

  it('that is too weak, on a security token, not on its curve, or of a retired kind is refused with what to do', () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey
    expect(() => publicKeyOf(weak)).toThrow('at least 2048 bits')
    const line = (type: string, ...fields: Buffer[]): string => `${type} ${fields.reduce((w, f) => w.string(f), new WireWriter().string(type)).bytes().toString('base64')}`
    expect(refusal(() => parsePublicKeyLine(line('sk-ssh-ed25519@openssh.com', Buffer.alloc(32), Buffer.from('https://bank.example'))))).toBe('MALFORMED')
    expect(() => parsePublicKeyLine(line('ssh-dss', Buffer.alloc(32)))).toThrow('not supported')
    const off = Buffer.concat([Buffer.of(4), Buffer.alloc(63), Buffer.of(1)])
    expect(() => parsePublicKeyLine(line('ecdsa-sha2-nistp256', Buffer.from('nistp256'), off))).toThrow('is not one')
    expect(() => parsePublicKeyLine(line('ecdsa-sha2-nistp256', Buffer.from('nistp384'), off))).toThrow('curve')
  })

  it('line with options, of another type than its blob, or with a line break is refused', () => {
    const good = publicKeyLine(publicKeyOf(pairs.ed25519.publicKey), 'me@here')
    expect(publicKeyLine(parsePublicKeyLine(`${good}\n`), 'me@here')).toBe(good)
    expect(refusal(() => parsePublicKeyLine(`no-pty ${good}`))).toBe('MALFORMED')
    expect(refusal(() => parsePublicKeyLine(good.replace('ssh-ed25519', 'ssh-rsa')))).toBe('MALFORMED')
    expect(refusal(() => parsePublicKeyLine(`${good}\n${good}`))).toBe('MALFORMED')
    expect(fingerprint(parsePublicKeyLine(good).blob)).toMatch(/^SHA256:[\w+/]{43}$/)
  })
})

describe('a private key file', () => {
  it.each(['ssh-ed25519', 'ecdsa-sha2-nistp256'] as const)('of %s is read as it was written', (type) => {
    const pair = generateKeyPair('a comment', type)
    const read = parsePrivateKey(pair.privateKeyPem)
    expect(publicKeyOf(read).blob).toEqual(pair.publicKey.blob)
    expect(verifySignature(proofBy({ privateKey: read, user: 'u' })).blob).toEqual(pair.publicKey.blob)
  })

  it('that is damaged is refused without quoting it', () => {
    const { privateKeyPem } = generateKeyPair()
    const body = Buffer.from(privateKeyPem.split('\n').slice(1, -2).join(''), 'base64')
    for (const at of [3, 40, 60, 100, 130, 170]) {
      const changed = Buffer.from(body)
      changed[at] = (changed[at] ?? 0) ^ 1
      const pem = `-----BEGIN OPENSSH PRIVATE KEY-----\n${changed.toString('base64')}\n-----END OPENSSH PRIVATE KEY-----\n`
      expect(refusal(() => parsePrivateKey(pem))).not.toBe('accepted')
    }
    expect(refusal(() => parsePrivateKey('nothing'))).toBe('MALFORMED')
  })
})
