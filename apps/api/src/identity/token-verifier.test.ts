import { createHmac } from 'node:crypto'
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT, type JWK, type JWTHeaderParameters, type JWTPayload } from 'jose'
import { beforeAll, describe, expect, it } from 'vitest'
import type { IdentityProviderDocument, WorkloadDocument } from '@sallyport/policy'
import { checkAddress, FetchRefusedError } from './guarded-fetch.js'
import { IdentityError } from './identity.errors.js'
import { keptClaims } from './kept-claims.js'
import { KeySets } from './key-sets.js'
import { verifyToken } from './token-verifier.js'
import { actorOf, matchHash, matchWorkload } from './workload-matcher.js'

const issuer = 'https://token.example.com'
const now = 1_800_000_000
let keys: Awaited<ReturnType<typeof generateKeyPair>>
let attacker: Awaited<ReturnType<typeof generateKeyPair>>
let jwk: JWK
let spki: string
let served: Record<string, unknown>
let fetched: string[]

const provider = (spec: Partial<IdentityProviderDocument['spec']> = {}, name = 'ci'): IdentityProviderDocument => ({
  kind: 'IdentityProvider',
  name,
  labels: {},
  text: '',
  path: '',
  line: 1,
  spec: { issuer, audiences: ['sallyport'], algorithms: ['RS256', 'ES256'], maxTokenAgeSeconds: 3600, clockSkewSeconds: 60, accessTokens: false, insecureHttp: false, ...spec },
})

const base: JWTPayload = { iss: issuer, aud: 'sallyport', sub: 'repo:acme/shop', iat: now - 10, exp: now + 300 }

const mint = (claims: Record<string, unknown> = {}, header: Partial<JWTHeaderParameters> = {}, key = keys.privateKey): Promise<string> =>
  new SignJWT({ ...base, ...claims }).setProtectedHeader({ alg: 'RS256', kid: 'k1', typ: 'JWT', ...header }).sign(key)

const sets = (clock = () => now * 1000): KeySets =>
  new KeySets((address) => {
    fetched.push(address)
    return address in served ? Promise.resolve(served[address]) : Promise.reject(new FetchRefusedError('not there'))
  }, clock)

const verify = (token: string, providers = [provider()], from = sets()) => verifyToken(token, providers, from, now)

beforeAll(async () => {
  keys = await generateKeyPair('RS256', { extractable: true })
  attacker = await generateKeyPair('RS256', { extractable: true })
  jwk = { ...(await exportJWK(keys.publicKey)), kid: 'k1', use: 'sig', alg: 'RS256' }
  spki = await exportSPKI(keys.publicKey)
})

const reset = (): void => {
  fetched = []
  served = {
    [`${issuer}/.well-known/openid-configuration`]: { issuer, jwks_uri: `${issuer}/jwks` },
    [`${issuer}/jwks`]: { keys: [jwk] },
  }
}

describe('OIDC tokens', () => {
  it('accepts a good one, with an audience list too', async () => {
    reset()
    expect(await verify(await mint({ repository: 'acme/shop' }))).toMatchObject({ provider: 'ci', claims: { repository: 'acme/shop' } })
    expect(await verify(await mint({ aud: ['other', 'sallyport'] }))).toMatchObject({ provider: 'ci' })
  })

  /** Attack class I: each must be refused, and the error must not hold the token. */
  const attacks: Record<string, () => Promise<string> | string> = {
    'I alg none': () => new UnsecuredJWT(base).encode(),
    'I alg none with a signature': async () => {
      const [, payload, signature] = (await mint()).split('.')
      return `${Buffer.from('{"alg":"none","kid":"k1"}').toString('base64url')}.${payload}.${signature}`
    },
    'I HS256 keyed with the public key': () => {
      const input = `${Buffer.from('{"alg":"HS256","kid":"k1","typ":"JWT"}').toString('base64url')}.${Buffer.from(JSON.stringify(base)).toString('base64url')}`
      return `${input}.${createHmac('sha256', spki).update(input).digest('base64url')}`
    },
    'I HS256 keyed with the JWK as text': () => {
      const input = `${Buffer.from('{"alg":"HS256","kid":"k1","typ":"JWT"}').toString('base64url')}.${Buffer.from(JSON.stringify(base)).toString('base64url')}`
      return `${input}.${createHmac('sha256', JSON.stringify(jwk)).update(input).digest('base64url')}`
    },
    'I an algorithm that is not allowed (PS256)': async () =>
      new SignJWT(base).setProtectedHeader({ alg: 'PS256', kid: 'k1' }).sign((await generateKeyPair('PS256')).privateKey),
    'I kid as a path': () => mint({}, { kid: '../../../../dev/null' }, attacker.privateKey),
    'I jku to the attacker': () => mint({}, { jku: 'https://evil.example/jwks' }, attacker.privateKey),
    'I x5u to the attacker': () => mint({}, { x5u: 'https://evil.example/cert' }, attacker.privateKey),
    'I the attacker’s key in the header': async () => mint({}, { jwk: await exportJWK(attacker.publicKey) }, attacker.privateKey),
    'I another key under the same kid': () => mint({}, {}, attacker.privateKey),
    'I an issuer that begins alike': () => mint({ iss: `${issuer}.evil.example` }),
    'I an issuer with a slash more': () => mint({ iss: `${issuer}/` }),
    'I an issuer in other case': () => mint({ iss: issuer.toUpperCase() }),
    'I a list of issuers': () => mint({ iss: [issuer] }),
    'I another audience': () => mint({ aud: 'someone-else' }),
    'I an audience that begins alike': () => mint({ aud: 'sallyport.evil' }),
    'I an audience list without ours': () => mint({ aud: ['a', 'b'] }),
    'I a nested audience list': () => mint({ aud: [['sallyport']] }),
    'I no audience': () => mint({ aud: undefined }),
    'I expired': () => mint({ exp: now - 61 }),
    'I no expiry': () => mint({ exp: undefined }),
    'I not yet valid': () => mint({ nbf: now + 61 }),
    'I issued in the future': () => mint({ iat: now + 120 }),
    'I no time of issue': () => mint({ iat: undefined }),
    'I older than maxTokenAge': () => mint({ iat: now - 3700, exp: now + 99_999 }),
    'I no subject': () => mint({ sub: undefined }),
    'I a logout token': () => mint({}, { typ: 'logout+jwt' }),
    'I an access token': () => mint({}, { typ: 'at+jwt' }),
    'I a critical extension': () => new SignJWT(base).setProtectedHeader({ alg: 'RS256', kid: 'k1', crit: ['x'], x: 1 }).sign(keys.privateKey, { crit: { x: true } }),
    'I a changed payload': async () => {
      const [header, , signature] = (await mint()).split('.')
      return `${header}.${Buffer.from(JSON.stringify({ ...base, repository: 'evil' })).toString('base64url')}.${signature}`
    },
    'I an oversized token': async () => mint({ filler: 'x'.repeat(20_000) }),
    'I not a token': () => 'hello',
    'I an encrypted one': () => 'a.b.c.d.e',
  }
  for (const [name, attack] of Object.entries(attacks)) {
    it(`refuses ${name}`, async () => {
      reset()
      const token = await attack()
      const error = await verify(token).then(
        () => undefined,
        (reason: unknown) => reason,
      )
      expect(error).toBeInstanceOf(IdentityError)
      expect(String(error)).not.toContain(token)
      expect(fetched.every((address) => address.startsWith(`${issuer}/`))).toBe(true)
    })
  }

  it('tolerates the configured skew and no more', async () => {
    reset()
    await expect(verify(await mint({ exp: now - 59 }))).resolves.toBeDefined()
    await expect(verify(await mint({ exp: now - 59 }), [provider({ clockSkewSeconds: 0 })])).rejects.toThrow(/expired/)
  })

  it('uses only the keys of the token’s own provider', async () => {
    reset()
    const other = 'https://other.example.com'
    served[`${other}/.well-known/openid-configuration`] = { issuer: other, jwks_uri: `${other}/jwks` }
    served[`${other}/jwks`] = { keys: [{ ...(await exportJWK(attacker.publicKey)), kid: 'k1' }] }
    const providers = [provider(), provider({ issuer: other }, 'other')]
    const from = sets()
    await expect(verify(await mint({ iss: other }, {}, attacker.privateKey), providers, from)).resolves.toMatchObject({ provider: 'other' })
    await expect(verify(await mint({}, {}, attacker.privateKey), providers, from)).rejects.toThrow(/signature/)
  })

  it('tells providers of one issuer apart by audience, and refuses when it can’t', async () => {
    reset()
    const providers = [provider({}, 'a'), provider({ audiences: ['b'] }, 'b')]
    await expect(verify(await mint({ aud: 'b' }), providers)).resolves.toMatchObject({ provider: 'b' })
    await expect(verify(await mint({ aud: ['sallyport', 'b'] }), providers)).rejects.toThrow(/several accept/)
  })
})

describe('key sets', () => {
  it('are fetched once, and again for an unknown kid at most every 30 seconds', async () => {
    reset()
    let clock = now * 1000
    const from = sets(() => clock)
    const good = await mint()
    await Promise.all([verify(good, undefined, from), verify(good, undefined, from)])
    expect(fetched.filter((address) => address.endsWith('/jwks'))).toHaveLength(1)
    const rotated = await mint({}, { kid: 'k2' }, attacker.privateKey)
    await expect(verify(rotated, undefined, from)).rejects.toThrow(/key set does not hold/)
    expect(fetched.filter((address) => address.endsWith('/jwks'))).toHaveLength(1)
    served[`${issuer}/jwks`] = { keys: [jwk, { ...(await exportJWK(attacker.publicKey)), kid: 'k2' }] }
    clock += 31_000
    await expect(verify(rotated, undefined, from)).resolves.toBeDefined()
    expect(fetched.filter((address) => address.endsWith('/jwks'))).toHaveLength(2)
  })

  it('do not follow a discovery document to another host, issuer or scheme', async () => {
    for (const document of [
      { issuer, jwks_uri: 'https://evil.example/jwks' },
      { issuer, jwks_uri: 'http://token.example.com/jwks' },
      { issuer, jwks_uri: 'http://169.254.169.254/latest/meta-data' },
      { issuer, jwks_uri: `https://user:pass@token.example.com/jwks` },
      { issuer: 'https://evil.example', jwks_uri: `${issuer}/jwks` },
      { issuer },
    ]) {
      reset()
      served[`${issuer}/.well-known/openid-configuration`] = document
      await expect(verify(await mint())).rejects.toMatchObject({ code: 'KEYS_UNAVAILABLE' })
      expect(fetched).toHaveLength(1)
    }
  })

  it('take an explicit jwksUri as it stands', async () => {
    reset()
    served['https://keys.example/jwks'] = served[`${issuer}/jwks`]
    await expect(verify(await mint(), [provider({ jwksUri: 'https://keys.example/jwks' })])).resolves.toBeDefined()
    expect(fetched).toEqual(['https://keys.example/jwks'])
  })

  it('hold public asymmetric keys only', async () => {
    reset()
    served[`${issuer}/jwks`] = { keys: [{ kty: 'oct', k: 'c2VjcmV0', kid: 'k1' }, { ...(await exportJWK(keys.privateKey)), kid: 'k1' }] }
    await expect(verify(await mint())).rejects.toThrow(/key set does not hold/)
  })

  it('live on for an hour when the issuer is down, not longer', async () => {
    reset()
    let clock = now * 1000
    const from = sets(() => clock)
    await verify(await mint(), undefined, from)
    served = {}
    clock += 30 * 60_000
    await expect(verify(await mint(), undefined, from)).resolves.toBeDefined()
    clock += 31 * 60_000
    await expect(verify(await mint(), undefined, from)).rejects.toMatchObject({ code: 'KEYS_UNAVAILABLE' })
  })
})

describe('addresses to fetch', () => {
  it('are https, or http on loopback where the document allows it', () => {
    expect(() => checkAddress('https://a.example/x', false)).not.toThrow()
    for (const address of ['http://127.0.0.1:1/x', 'http://localhost/x', 'http://[::1]/x']) {
      expect(() => checkAddress(address, true)).not.toThrow()
      expect(() => checkAddress(address, false)).toThrow(FetchRefusedError)
    }
    for (const address of ['http://a.example', 'http://127.0.0.1.evil.example', 'file:///etc/passwd', 'ftp://a', 'nonsense', 'https://u:p@a.example']) {
      expect(() => checkAddress(address, true), address).toThrow(FetchRefusedError)
    }
  })
})

describe('workloads', () => {
  const workload = (name: string, match: WorkloadDocument['spec']['match'], more: Partial<WorkloadDocument['spec']> = {}): WorkloadDocument => ({
    kind: 'Workload', name, labels: {}, text: '', path: '', line: 1,
    spec: { provider: 'ci', match, groups: [], showClaims: [], actorClaim: 'actor', ...more },
  })
  const token = (claims: Record<string, unknown>) => ({ provider: 'ci', claims, issuer, tokenId: undefined, expiresAt: new Date() })
  const main = workload('main', [{ claim: 'repository_id', values: ['1'] }, { claim: 'ref', glob: 'refs/heads/*' }])

  it('match when every rule holds', () => {
    expect(matchWorkload(token({ repository_id: 1, ref: 'refs/heads/main' }), [main]).name).toBe('main')
  })

  const misses: [string, Record<string, unknown>][] = [
    ['a glob does not pass a slash', { repository_id: '1', ref: 'refs/heads/x/../../evil' }],
    ['a pull request’s merge ref', { repository_id: '1', ref: 'refs/pull/1/merge' }],
    ['a prefix', { repository_id: '12', ref: 'refs/heads/main' }],
    ['another case', { repository_id: '1', ref: 'refs/Heads/main' }],
    ['a trailing newline', { repository_id: '1\n', ref: 'refs/heads/main' }],
    ['a leading part', { repository_id: '1', ref: 'x/refs/heads/main' }],
    ['a missing claim', { ref: 'refs/heads/main' }],
    ['an object for a text', { repository_id: { toString: '1' }, ref: 'refs/heads/main' }],
    ['an inherited name', { ref: 'refs/heads/main' }],
  ]
  for (const [name, claims] of misses) {
    it(`do not match: ${name}`, () => expect(() => matchWorkload(token(claims), [main])).toThrow(IdentityError))
  }

  it('of another provider never match', () => {
    expect(() => matchWorkload({ ...token({ repository_id: '1', ref: 'refs/heads/main' }), provider: 'other' }, [main])).toThrow(/no workload is defined/)
  })

  it('name the rule that failed; a value that is long or unprintable is not shown', () => {
    expect(() => matchWorkload(token({ repository_id: '2', ref: 'refs/heads/a' }), [main])).toThrow('workload main: claim repository_id is "2", expected 1')
    expect(() => matchWorkload(token({ repository_id: '\u001b[2J', ref: 'x' }), [main])).toThrow('claim repository_id is another (not shown)')
  })

  it('are ambiguous when several match', () => {
    const twin = workload('twin', [{ claim: 'repository_id', values: ['1'] }])
    expect(() => matchWorkload(token({ repository_id: '1', ref: 'refs/heads/main' }), [main, twin])).toThrow(/several workloads: main, twin/)
  })

  it('know the person behind a run', () => {
    expect(actorOf(main, { actor: 'octocat', user_login: 'x' })).toBe('octocat')
    expect(actorOf(main, { user_login: 'gitlabber' })).toBe('gitlabber')
    expect(actorOf(workload('w', [], { actorClaim: 'user.name' }), { user: { name: 'n' }, actor: 'no' })).toBe('n')
    expect(actorOf(main, {})).toBeUndefined()
  })

  it('have a digest that changes with their rules', () => {
    expect(matchHash(main)).toBe(matchHash({ ...main, name: 'renamed' }))
    expect(matchHash(main)).not.toBe(matchHash(workload('main', [{ claim: 'repository_id', values: ['2'] }])))
  })
})

describe('kept claims', () => {
  it('are the fixed ones and those asked for, as text, nested Kubernetes ones flattened', () => {
    const kept = keptClaims(
      { repository: 'acme/shop', run_number: 7, ref_protected: true, aud: ['a', 'b'], secret: 's', deep: { er: 'x' }, 'kubernetes.io': { namespace: 'shop', serviceaccount: { name: 'ci' } } },
      ['deep.er'],
    )
    expect(kept).toEqual({
      repository: 'acme/shop', run_number: '7', ref_protected: 'true', aud: 'a, b', 'deep.er': 'x', 'kubernetes.io.namespace': 'shop', 'kubernetes.io.serviceaccount.name': 'ci',
    })
  })

  it('are bounded each and together', () => {
    expect(keptClaims({ repository: 'x'.repeat(1025) }, [])).toEqual({})
    const many = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`c${i}`, 'x'.repeat(1000)]))
    const kept = keptClaims(many, Object.keys(many))
    expect(JSON.stringify(kept).length).toBeLessThan(17 * 1024)
    expect(Object.keys(kept).length).toBeGreaterThan(10)
  })

  it('hold a claim named __proto__ as what it is', () => {
    const kept = keptClaims(JSON.parse('{"kubernetes.io":{"__proto__":"x"}}'), ['__proto__'])
    expect(Object.getPrototypeOf(kept)).toBe(Object.prototype)
  })
})
