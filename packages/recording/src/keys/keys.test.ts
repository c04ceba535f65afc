import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from 'node:crypto'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { KeyError, KeyRing, type KeyEncryptionKey } from './key-encryption-key.js'
import { kmsKey } from './kms-key.js'
import { LocalKey } from './local-key.js'
import { vaultKey } from './vault-key.js'

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

interface Asked {
  readonly method: string
  readonly path: string
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
}
type Reply = readonly [status: number, body: object]

async function service(answer: (asked: Asked) => Reply): Promise<{ url: string; asked: Asked[] }> {
  const asked: Asked[] = []
  const server = http.createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const one = { method: request.method ?? '', path: request.url ?? '', headers: request.headers, body: Buffer.concat(parts).toString() }
      asked.push(one)
      const [status, body] = answer(one)
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    })
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  closing.push(() => void server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

/** As both services do it inside: AES-256-GCM with what the caller binds as associated data. */
const inside = randomBytes(32)
function sealed(plain: Buffer, bound: string): Buffer {
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', inside, nonce).setAAD(Buffer.from(bound))
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}
function opened(bytes: Buffer, bound: string): Buffer | undefined {
  try {
    const decipher = createDecipheriv('aes-256-gcm', inside, bytes.subarray(0, 12), { authTagLength: 16 }).setAAD(Buffer.from(bound)).setAuthTag(bytes.subarray(-16))
    return Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()])
  } catch {
    return undefined
  }
}

/** https://developer.hashicorp.com/vault/api-docs/secret/transit: encrypt and decrypt, with associated_data. */
async function vault() {
  return service(({ method, path, headers, body }): Reply => {
    if (headers['x-vault-token'] !== 't0ken') return [403, { errors: ['permission denied'] }]
    const { plaintext, ciphertext, associated_data: bound = '' } = JSON.parse(body)
    if (method !== 'POST') return [405, { errors: [] }]
    if (path === '/v1/transit/encrypt/sallyport') return [200, { data: { ciphertext: `vault:v1:${sealed(Buffer.from(plaintext, 'base64'), bound).toString('base64')}`, key_version: 1 } }]
    if (path !== '/v1/transit/decrypt/sallyport') return [404, { errors: ['no handler for route'] }]
    const plain = opened(Buffer.from(String(ciphertext).replace('vault:v1:', ''), 'base64'), bound)
    return plain === undefined ? [400, { errors: ['cipher: message authentication failed'] }] : [200, { data: { plaintext: plain.toString('base64') } }]
  })
}

/** https://docs.aws.amazon.com/kms/latest/APIReference: Encrypt and Decrypt, with an encryption context; the signature is checked as its description says. */
async function kms() {
  return service(({ method, path, headers, body }): Reply => {
    const header = (name: string): string => String(headers[name])
    const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
    const [, scope = '', names = '', signature = ''] = /^AWS4-HMAC-SHA256 Credential=AK\/([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(header('authorization')) ?? []
    const canonical = [method, path, '', ...names.split(';').map((name) => `${name}:${header(name)}`), '', names, sha256(body)].join('\n')
    const key = [...scope.split('/')].reduce<Buffer>((from, part) => createHmac('sha256', from).update(part).digest(), Buffer.from('AWS4SK'))
    const right = createHmac('sha256', key).update(['AWS4-HMAC-SHA256', header('x-amz-date'), scope, sha256(canonical)].join('\n')).digest('hex')
    if (signature !== right || !names.includes('x-amz-target')) return [400, { __type: 'InvalidSignatureException' }]
    const { Plaintext, CiphertextBlob, EncryptionContext, KeyId } = JSON.parse(body)
    if (KeyId !== 'alias/recordings') return [400, { __type: 'NotFoundException' }]
    const bound = JSON.stringify(EncryptionContext)
    if (header('x-amz-target') === 'TrentService.Encrypt') return [200, { CiphertextBlob: sealed(Buffer.from(Plaintext, 'base64'), bound).toString('base64'), KeyId }]
    const plain = opened(Buffer.from(CiphertextBlob, 'base64'), bound)
    return plain === undefined ? [400, { __type: 'com.amazonaws.kms#InvalidCiphertextException' }] : [200, { Plaintext: plain.toString('base64'), KeyId }]
  })
}

const vaultOn = (address: string, more: object = {}) => vaultKey({ address, token: () => Promise.resolve('t0ken'), mount: 'transit', key: 'sallyport', ...more })
const kmsOn = (endpoint: string, secretAccessKey = 'SK') => kmsKey({ endpoint, region: 'eu-central-1', accessKeyId: 'AK', secretAccessKey }, 'alias/recordings')
const kinds: readonly (readonly [string, () => Promise<KeyEncryptionKey>])[] = [
  ['local', () => Promise.resolve(new LocalKey(randomBytes(32)))],
  ['Vault', async () => vaultOn((await vault()).url)],
  ['KMS', async () => kmsOn((await kms()).url)],
]

test.each(kinds)('%s: a wrapped key comes out again for its session, and for no other, and not when it was changed', async (_name, make) => {
  const key = await make()
  const dataKey = randomBytes(32)
  const wrapped = Buffer.from(await key.wrap(dataKey, 'session-1'))
  expect(wrapped.includes(dataKey)).toBe(false)
  expect(Buffer.from(await key.unwrap(wrapped, 'session-1'))).toEqual(dataKey)
  await expect(key.unwrap(wrapped, 'session-2')).rejects.toMatchObject({ code: 'refused' })
  await expect(key.unwrap(wrapped.subarray(0, 10), 'session-1')).rejects.toThrow(KeyError)
  const changed = Buffer.from(wrapped)
  changed.writeUInt8(changed[30] === 65 ? 66 : 65, 30)
  await expect(key.unwrap(changed, 'session-1')).rejects.toThrow(KeyError)
})

test('Vault: no token, another key or no Vault at all say so, and nothing of what was sent', async () => {
  const { url, asked } = await vault()
  for (const [key, message] of [[vaultOn(url, { token: () => Promise.resolve('wrong') }), 'Vault answered 403'], [vaultOn(url, { key: 'other' }), 'Vault answered 404'], [vaultOn('http://127.0.0.1:1'), 'Vault could not be reached']] as const) {
    await expect(key.wrap(randomBytes(32), 's')).rejects.toMatchObject({ code: 'unavailable', message })
  }
  const before = asked.length
  await expect(vaultOn(url).unwrap(Buffer.from('vault:v1:"}'), 's')).rejects.toMatchObject({ code: 'refused' })
  expect(asked.length).toBe(before)
  await vaultOn(url, { namespace: 'team' }).wrap(randomBytes(32), 's')
  expect(asked.at(-1)?.headers['x-vault-namespace']).toBe('team')
})

test('KMS: what another secret signed is refused', async () => {
  await expect(kmsOn((await kms()).url, 'other').wrap(randomBytes(32), 's')).rejects.toMatchObject({ code: 'unavailable', message: 'KMS answered 400 InvalidSignatureException' })
})

test('a ring: the newest wraps, all unwrap, and one that was taken away is named', () => {
  const [older, newer] = [new LocalKey(randomBytes(32)), new LocalKey(randomBytes(32))]
  const ring = new KeyRing(newer, [older])
  expect(ring.newest).toBe(newer)
  expect([ring.get(older.id), ring.get(newer.id)]).toEqual([older, newer])
  expect(() => new KeyRing(newer, []).get(older.id)).toThrow(`under the key ${older.id}, which is not configured`)
})
