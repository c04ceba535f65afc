import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { DevelopmentIssuer } from './issuer.js'

const directory = mkdtempSync(join(tmpdir(), 'sallyport-test-'))
const keyFile = join(directory, 'key.json')
let issuer: DevelopmentIssuer

beforeAll(async () => {
  issuer = await DevelopmentIssuer.start({ port: 0, keyFile })
})
afterAll(async () => {
  await issuer.stop()
  rmSync(directory, { recursive: true })
})

async function mint(body: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(issuer.mintUrl, { method: 'POST', body, headers })
}

test('a minted token verifies through discovery, with the claims asked for', async () => {
  const { token } = await (await mint('{"repository":"acme/shop"}')).json() as { token: string }
  const discovery = await (await fetch(`${issuer.url}/.well-known/openid-configuration`)).json() as { issuer: string; jwks_uri: string }
  expect(discovery.issuer).toBe(issuer.url)
  const { payload } = await jwtVerify(token, createRemoteJWKSet(new URL(discovery.jwks_uri)), {
    issuer: issuer.url, audience: 'sallyport', algorithms: ['RS256'],
  })
  expect(payload).toMatchObject({ repository: 'acme/shop', sub: 'repo:acme/shop' })
  expect(Number(payload.exp) - Number(payload.iat)).toBe(600)
  expect(payload.jti).toBeTypeOf('string')
})

test('given claims win, so that tests can make expired and foreign tokens', async () => {
  const { token } = await (await mint('{"aud":"other","exp":1}')).json() as { token: string }
  const payload: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
  expect(payload).toMatchObject({ aud: 'other', exp: 1 })
})

test('the key survives a restart', async () => {
  const second = await DevelopmentIssuer.start({ port: 0, keyFile })
  const keys = async (url: string): Promise<string> => (await fetch(`${url}/jwks`)).text()
  expect(await keys(second.url)).toBe(await keys(issuer.url))
  expect(await keys(second.url)).not.toContain('"d"')
  await second.stop()
})

test('web pages and nonsense are refused', async () => {
  expect((await mint('{}', { origin: 'https://evil.example' })).status).toBe(403)
  expect((await mint('[1]')).status).toBe(400)
  expect((await mint('{')).status).toBe(400)
  expect((await fetch(`${issuer.url}/other`)).status).toBe(404)
})
