import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findIdentityToken } from './identity-token.js'

const jwt = 'aaa.bbb.ccc'
let directory: string
let file: string

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'sallyport-test-'))
  file = join(directory, 'token')
  writeFileSync(file, `${jwt}\n`)
})
afterAll(() => rmSync(directory, { recursive: true }))

const nowhere = { audience: 'sallyport', kubernetesTokenFile: '/nonexistent/token' }

test('--token-file wins over everything', async () => {
  const env = { SALLYPORT_ID_TOKEN: 'x.y.z', GITHUB_ACTIONS: 'true' }
  expect(await findIdentityToken({ ...nowhere, env, tokenFile: file })).toEqual({ jwt, source: file })
})

test('GitLab: SALLYPORT_ID_TOKEN', async () => {
  expect(await findIdentityToken({ ...nowhere, env: { SALLYPORT_ID_TOKEN: jwt } })).toMatchObject({ jwt })
})

test('Kubernetes: the projected token', async () => {
  expect(await findIdentityToken({ audience: 'sallyport', env: {}, kubernetesTokenFile: file })).toMatchObject({ jwt })
})

test('nothing anywhere is no error: a person may be signed in', async () => {
  expect(await findIdentityToken({ ...nowhere, env: {} })).toBeUndefined()
})

test('something that is no JWT is refused without being quoted', async () => {
  const error = await findIdentityToken({ ...nowhere, env: { SALLYPORT_ID_TOKEN: 'hunter2' } }).catch((reason: unknown) => reason)
  expect(String(error)).toContain('SALLYPORT_ID_TOKEN')
  expect(String(error)).not.toContain('hunter2')
})

describe('GitHub Actions', () => {
  test('asks the token endpoint for our audience', async () => {
    const seen: string[] = []
    const server = createServer((request, response) => {
      seen.push(`${request.url ?? ''} ${request.headers.authorization ?? ''}`)
      response.end(JSON.stringify({ value: jwt }))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const env = {
      GITHUB_ACTIONS: 'true',
      ACTIONS_ID_TOKEN_REQUEST_URL: `http://127.0.0.1:${port}/token?api-version=2.0`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'request-token',
    }
    expect(await findIdentityToken({ ...nowhere, env })).toEqual({ jwt, source: 'GitHub Actions' })
    expect(seen).toEqual(['/token?api-version=2.0&audience=sallyport Bearer request-token'])
    server.close()
  })

  test('says what permission is missing', async () => {
    await expect(findIdentityToken({ ...nowhere, env: { GITHUB_ACTIONS: 'true' } })).rejects.toMatchObject({
      details: { next: expect.stringContaining('id-token: write') },
    })
  })
})
