import { describe, expect, it } from 'vitest'
import { parseClientFinal, parseClientFirst, ScramError } from './messages.js'
import { scramMechanisms, ScramServer } from './scram-server.js'
import { makeVerifier, verifySecret } from './verifier.js'

const none = new Uint8Array()
const endPoint = Buffer.alloc(32, 7)

describe('SCRAM-SHA-256, server side', () => {
  // RFC 7677, section 3.
  const vector = {
    first: 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
    nonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
    serverFirst: 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
    final: 'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
    serverFinal: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
  }
  const verifier = makeVerifier('pencil', Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'), 4096)
  const begin = (mechanism = 'SCRAM-SHA-256', serverEndPoint: Uint8Array = none) => new ScramServer({ mechanism, serverEndPoint, nonce: vector.nonce })

  it('gives the RFC’s answers', () => {
    const server = begin()
    expect(server.first(Buffer.from(vector.first), verifier).toString()).toBe(vector.serverFirst)
    expect(server.final(Buffer.from(vector.final)).toString()).toBe(vector.serverFinal)
  })

  const finals: Record<string, string> = {
    'a changed proof': vector.final.replace('p=dHz', 'p=eHz'),
    'a short proof': vector.final.replace(/p=.*/, 'p=dHzb'),
    'an all-zero proof': vector.final.replace(/p=.*/, `p=${Buffer.alloc(32).toString('base64')}`),
    'another nonce': vector.final.replace('hNlF$k0', 'hNlF$k1'),
    'the client’s nonce alone': vector.final.replace('%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0', ''),
    'another gs2 header than at first': vector.final.replace('c=biws', `c=${Buffer.from('y,,').toString('base64')}`),
    'no proof': vector.final.replace(/,p=.*/, ''),
    'an oversized message': vector.final + 'A'.repeat(4096),
    'nothing': '',
  }
  for (const [name, final] of Object.entries(finals)) {
    it(`refuses ${name}`, () => {
      const server = begin()
      server.first(Buffer.from(vector.first), verifier)
      expect(() => server.final(Buffer.from(final))).toThrow(ScramError)
    })
  }

  it('takes one final message only, and none without a first', () => {
    const server = begin()
    expect(() => server.final(Buffer.from(vector.final))).toThrow(ScramError)
    server.first(Buffer.from(vector.first), verifier)
    expect(() => server.first(Buffer.from(vector.first), verifier)).toThrow(ScramError)
    server.final(Buffer.from(vector.final))
    expect(() => server.final(Buffer.from(vector.final))).toThrow(ScramError)
  })

  it('offers PLUS with TLS only, strongest first', () => {
    expect(scramMechanisms(endPoint)).toEqual(['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256'])
    expect(scramMechanisms(none)).toEqual(['SCRAM-SHA-256'])
    expect(() => begin('SCRAM-SHA-256-PLUS')).toThrow(ScramError)
    expect(() => begin('SCRAM-SHA-1')).toThrow(ScramError)
  })

  const bindings: [string, string, Uint8Array, boolean][] = [
    ['n without TLS', 'n,,', none, true],
    ['n with TLS (a client that cannot bind)', 'n,,', endPoint, true],
    ['y without TLS (nothing was offered)', 'y,,', none, true],
    ['y with TLS: PLUS was stripped from the offer', 'y,,', endPoint, false],
    ['p under the plain mechanism', 'p=tls-server-end-point,,', endPoint, false],
    ['an authorization identity', 'n,a=admin,', none, false],
  ]
  for (const [name, gs2, serverEndPoint, isGood] of bindings) {
    it(`${isGood ? 'takes' : 'refuses'} ${name}`, () => {
      const first = () => begin('SCRAM-SHA-256', serverEndPoint).first(Buffer.from(`${gs2}n=,r=abc`), verifier)
      if (isGood) expect(first).not.toThrow()
      else expect(first).toThrow(ScramError)
    })
  }

  it('under PLUS wants tls-server-end-point, nothing less', () => {
    for (const gs2 of ['n,,', 'y,,', 'p=tls-unique,,', 'p=tls-exporter,,']) {
      expect(() => begin('SCRAM-SHA-256-PLUS', endPoint).first(Buffer.from(`${gs2}n=,r=abc`), verifier)).toThrow(ScramError)
    }
    expect(() => begin('SCRAM-SHA-256-PLUS', endPoint).first(Buffer.from('p=tls-server-end-point,,n=,r=abc'), verifier)).not.toThrow()
  })

  it('reads no malformed message', () => {
    for (const text of ['', 'n,,', 'n,,n=,r=', 'n,,m=ext,n=,r=abc', 'x,,n=,r=abc', 'n,,n=,r=a b', `n,,n=,r=${'a'.repeat(300)}`, 'n,,r=abc,n=']) {
      expect(() => parseClientFirst(Buffer.from(text)), text).toThrow(ScramError)
    }
    expect(() => parseClientFirst(Buffer.from([0x6e, 0x2c, 0x2c, 0xff]))).toThrow(ScramError)
    for (const text of ['c=biws', 'c=biws,r=abc', 'r=abc,p=AA==', 'c=b!,r=abc,p=AA==']) expect(() => parseClientFinal(Buffer.from(text)), text).toThrow(ScramError)
    expect(parseClientFinal(Buffer.from('c=biws,r=abc,x=y,p=AA==')).withoutProof).toBe('c=biws,r=abc,x=y')
  })

  it('knows a secret from its verifier', () => {
    expect(verifySecret('pencil', verifier)).toBe(true)
    expect(verifySecret('pencils', verifier)).toBe(false)
  })
})
