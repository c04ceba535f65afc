import { createHash, createHmac, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { RateLimit } from '../limits/rate-limit.js'
import { makeRequest } from '../integration/test-node.js'
import { makeAuthorityCertificate, CertificateAuthority } from '../keys/certificate-authority.js'
import { seal, unseal } from '../keys/seal.js'
import { permittedNames, readRequest } from './certificate-request.js'
import { makeEnrolmentToken, verifyProof } from './enrolment-token.js'

describe('enrolment tokens', () => {
  it('have the agreed form, and a proof of their own', () => {
    const { id, token, secretHash } = makeEnrolmentToken('f'.repeat(64))
    expect(token).toMatch(new RegExp(`^spe1\\.${id}\\.[\\w-]{43}\\.f{64}$`))
    const secret = Buffer.from(token.split('.')[2] ?? '', 'base64url')
    const csr = randomBytes(100)
    const proof = createHmac('sha256', createHash('sha256').update(secret).digest()).update(csr).digest()
    expect(verifyProof(secretHash, csr, proof)).toBe(true)
    expect(verifyProof(secretHash, randomBytes(100), proof)).toBe(false)
    expect(verifyProof(secretHash, csr, Buffer.alloc(0))).toBe(false)
    expect(verifyProof(secretHash, csr, Buffer.concat([proof, Buffer.alloc(1)]))).toBe(false)
    expect(verifyProof(secretHash, csr, createHmac('sha256', secret).update(csr).digest())).toBe(false)
  })
})

describe('certificate requests', () => {
  it('must verify, and may not be too large or something else', async () => {
    const { csr } = await makeRequest()
    await expect(readRequest(csr)).resolves.toMatchObject({ dnsNames: [] })
    const changed = Buffer.from(csr)
    changed[changed.length - 5] = (changed[changed.length - 5] ?? 0) ^ 1
    for (const bad of [changed, Buffer.alloc(0), randomBytes(200), Buffer.alloc(9000)]) await expect(readRequest(bad)).rejects.toThrow(/not acceptable/)
  })

  it('get the names that the token allows', async () => {
    const ask = async (...names: [('dns' | 'ip'), string][]) => readRequest((await makeRequest(names.map(([type, value]) => ({ type, value })))).csr)
    expect(permittedNames(await ask(['dns', 'localhost'], ['ip', '::1']), {}).dnsNames).toEqual(['localhost'])
    expect(permittedNames(await ask(), { hostnames: 'gw.example, 10.0.0.1' })).toEqual({ dnsNames: ['gw.example'], ipAddresses: ['10.0.0.1'] })
    expect(permittedNames(await ask(['dns', 'GW.example']), { hostnames: 'gw.example' }).dnsNames).toEqual(['gw.example'])
    for (const name of ['bank.example', '*.example', 'gw.example.evil', 'localhost']) {
      const request = await ask(['dns', name])
      expect(() => permittedNames(request, { hostnames: 'gw.example' }), name).toThrow(/does not allow|not a host name/)
    }
  })
})

describe('the internal CA', () => {
  it('knows its own certificates from others', async () => {
    const load = async () => {
      const made = await makeAuthorityCertificate()
      return CertificateAuthority.load(made.privateKeyDer, made.certificatePem)
    }
    const [ours, theirs] = [await load(), await load()]
    const { publicKey } = await readRequest((await makeRequest()).csr)
    const request = { commonName: 'n', publicKey, uri: 'sallyport:gateway:x', dnsNames: [], ipAddresses: [], server: true, days: 1 }
    const certificate = await ours.issue(request)
    expect(ours.verifies(certificate.der)).toBe(true)
    // Same subject name, another key.
    expect(theirs.verifies(certificate.der)).toBe(false)
    expect(ours.verifies((await ours.issue({ ...request, days: -1 })).der)).toBe(false)
    expect(ours.verifies(randomBytes(300))).toBe(false)
  })
})

describe('sealed keys', () => {
  it('open with the same master key, under their own id only', () => {
    const master = randomBytes(32)
    const sealed = seal(master, 'a', Buffer.from('secret'))
    expect(unseal(master, 'a', sealed).toString()).toBe('secret')
    expect(() => unseal(master, 'b', sealed)).toThrow(/SALLYPORT_MASTER_KEY/)
    expect(() => unseal(randomBytes(32), 'a', sealed)).toThrow(/SALLYPORT_MASTER_KEY/)
    sealed[20] = (sealed[20] ?? 0) ^ 1
    expect(() => unseal(master, 'a', sealed)).toThrow(/SALLYPORT_MASTER_KEY/)
  })
})

describe('rate limits', () => {
  it('allow a burst, then the rate, per key, in bounded memory', () => {
    let now = 0
    const limit = new RateLimit(2, 1, 2, () => now)
    expect([limit.take('a'), limit.take('a'), limit.take('a'), limit.take('b')]).toEqual([true, true, false, true])
    now = 1000
    expect([limit.take('a'), limit.take('a')]).toEqual([true, false])
    limit.take('c')
    limit.take('d')
    // Forgotten, and so a newcomer again.
    expect(limit.take('a')).toBe(true)
  })
})
