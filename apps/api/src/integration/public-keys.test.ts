import type { KeyObject } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { importJWK, type CryptoKey, type JWK } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { verifyGrant, type PinnedKeys } from '@sallyport/kit'
import type { GatewayDownReceived, OpenSessionReplyReceived, SessionGrantedReceived, SessionRefusedReceived } from '@sallyport/proto'
import { fingerprint, generateKeyPair, parseCertificateLine, parsePublicKeyLine, signCertificate, type CertificateFacts, type GeneratedKeyPair, type SignatureProof } from '@sallyport/ssh-keys'
import { proofBy } from '@sallyport/ssh-keys/testing'
import { KeysService } from '../keys/keys.service.js'
import { ReplyCheckModule } from '../testing/reply-check.js'
import { startApi, type RunningApi } from '../start.js'
import { TestIssuer } from './issuer.js'
import { controlPlaneClient, enrol, Received, type LinkStream, type OpenStream, type TestNode } from './test-node.js'

/** Nobody dials it here: what counts is what the grant says. */
const ssh = (logins: string): string => `ssh: { address: "127.0.0.1:22", logins: [${logins}], hostKeyCheck: none, credential: { password: "env:NONE" } }`

const documents = (logins: string): string => `
apiVersion: sallyport.dev/v1
kind: IdentityProvider
metadata: { name: ci }
spec: { issuer: "${issuer.url}", audience: sallyport, insecureHttp: true, algorithms: [ES256] }
---
apiVersion: sallyport.dev/v1
kind: Workload
metadata: { name: shop-ci }
spec: { provider: ci, match: [{ claim: repository_id, equals: "123" }] }
---
apiVersion: sallyport.dev/v1
kind: Workload
metadata: { name: other-ci }
spec: { provider: ci, match: [{ claim: repository_id, equals: "999" }] }
---
apiVersion: sallyport.dev/v1
kind: Target
metadata: { name: web-01 }
spec: { protocol: ssh, agent: agent-1, ${ssh(logins)} }
---
apiVersion: sallyport.dev/v1
kind: Target
metadata: { name: web-02 }
spec: { protocol: ssh, agent: agent-1, ${ssh('deploy')} }
---
apiVersion: sallyport.dev/v1
kind: Target
metadata: { name: orders-db }
spec: { protocol: postgres, agent: agent-1, postgres: { host: 127.0.0.1, database: orders, user: app } }
---
apiVersion: sallyport.dev/v1
kind: Policy
metadata: { name: shop }
spec: { subjects: [{ workload: shop-ci }, { workload: other-ci }, { user: ada }], targets: { names: [web-01, web-02, orders-db] }, rules: [{ allow: "*", on: "*" }] }
`

let issuer: TestIssuer
let directory: string
let api: RunningApi
let admin: string
let gateway: TestNode
let agent: TestNode
let client: ReturnType<typeof controlPlaneClient>
let link: LinkStream
let down: Received<GatewayDownReceived>
let keys: PinnedKeys
let connections = 0
const hostKey = generateKeyPair('sallyport gateway')

async function call(method: string, path: string, body?: unknown, token = admin): Promise<{ status: number; body: any }> {
  const response = await fetch(api.httpUrl + path, {
    method,
    headers: { ...(token === '' ? {} : { authorization: `Bearer ${token}` }), ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : text }
}

const apply = async (logins: string): Promise<void> => {
  expect((await call('POST', '/v1/apply', { documents: [{ path: 'test.yaml', text: documents(logins) }], prune: false })).body).toMatchObject({ applied: true })
}

const jobToken = (repositoryId = '123'): Promise<string> => issuer.mint({ repository_id: repositoryId })

async function exchange(more: Record<string, string>, token?: string): Promise<{ status: number; body: any }> {
  const form = new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: token ?? (await jobToken()),
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    audience: 'web-01',
    ...more,
  })
  const response = await fetch(`${api.httpUrl}/v1/token`, { method: 'POST', body: form })
  return { status: response.status, body: await response.json() }
}

interface Opening {
  readonly user: string
  readonly parameters?: Record<string, string>
  readonly clientAddress?: string
}
type Opened = { granted?: SessionGrantedReceived; refused?: SessionRefusedReceived }

/** One connection whose client proves a key: its session id is its own. */
const proof = (privateKey: KeyObject, user: string, more: { key?: Uint8Array; service?: string; hasSignature?: boolean } = {}): SignatureProof =>
  proofBy({ privateKey, user, sessionId: Buffer.alloc(32, ++connections), ...more })

async function open(publicKey: SignatureProof, { user, parameters = {}, clientAddress = '127.0.0.1' }: Opening): Promise<Opened> {
  const stream: OpenStream = client.openSession()
  const replies = new Received<OpenSessionReplyReceived>(stream)
  stream.write({ start: { protocol: 'ssh', user, parameters, clientAddress, serverEndPoint: Buffer.alloc(0), proofFollows: true } })
  stream.write({ publicKey })
  return replies.take((reply) => (reply.granted ? { granted: reply.granted } : reply.refused ? { refused: reply.refused } : reply.askPassword || reply.askSasl ? {} : undefined))
}

const loginOf = async ({ granted, refused }: Opened): Promise<unknown> => {
  expect(refused).toBeUndefined()
  return (await verifyGrant(granted?.grant ?? '', keys, agent.id, Math.floor(Date.now() / 1000))).payload.target.spec['login']
}

beforeAll(async () => {
  issuer = await TestIssuer.start()
  directory = await mkdtemp(join(tmpdir(), 'sallyport-keys-it-'))
  await chmod(directory, 0o711)
  api = await startApi(
    {
      SALLYPORT_DATA_DIR: join(directory, 'data'),
      SALLYPORT_HTTP_PORT: '0',
      SALLYPORT_GRPC_PORT: '0',
      SALLYPORT_INSECURE_HTTP: 'true',
      SALLYPORT_BOOTSTRAP_ADMIN: 'ada',
      SALLYPORT_BOOTSTRAP_TOKEN_FILE: join(directory, 'token'),
      SALLYPORT_GATEWAY_PUBLIC_HOST: 'gw.example',
      SALLYPORT_GATEWAY_PUBLIC_SSH_PORT: '22',
    },
    process.env['DEBUG_API'] === undefined ? false : console,
    [ReplyCheckModule.register()],
  )
  admin = (await readFile(join(directory, 'token'), 'utf8')).trim()
  await apply('deploy, root')
  gateway = await enrol(api.grpcPort, (await call('POST', '/v1/agents/tokens', { kind: 'gateway', name: 'gw-1' })).body.token)
  agent = await enrol(api.grpcPort, (await call('POST', '/v1/agents/tokens', { kind: 'agent', name: 'agent-1' })).body.token)
  const { keys: jwks }: { keys: JWK[] } = JSON.parse(agent.bundle)
  const imported = new Map<string, CryptoKey>()
  for (const jwk of jwks) imported.set(jwk.kid ?? '', (await importJWK(jwk, 'EdDSA')) as CryptoKey)
  keys = imported
  client = controlPlaneClient(api.grpcPort, gateway, gateway.caPem)
  link = client.link()
  down = new Received<GatewayDownReceived>(link)
  const bad = [
    { protocol: 'ssh', publicKey: 'ssh-ed25519 AAAA', address: 'gw.example:22' },
    { protocol: 'ssh', publicKey: hostKey.publicKeyLine, address: '*:22\n* ssh-rsa' },
  ]
  link.write({ hello: { version: '1', instanceId: 'g', hostKeys: [{ protocol: 'ssh', publicKey: hostKey.publicKeyLine, address: '10.0.0.5:2222' }, ...bad] } })
  await down.take((message) => message.welcome)
  link.write({ agentUp: { agentId: agent.id, instanceId: 'a', certificateSha256: agent.certificateSha256, version: '1', protocols: ['ssh', 'postgres'] } })
  expect(await down.take((message) => message.agentVerdict)).toMatchObject({ accepted: true })
})

afterAll(async () => {
  client?.close()
  await api?.stop()
  issuer?.stop()
  await rm(directory, { recursive: true, force: true })
})

describe('a credential bound to a public key', () => {
  const pair = generateKeyPair('job')
  let credential: any

  it('is issued for the key, and shown with its fingerprint', async () => {
    const reply = await exchange({ public_key: pair.publicKeyLine })
    expect(reply.status, JSON.stringify(reply.body)).toBe(200)
    credential = reply.body
    expect(credential).toMatchObject({ username: 'web-01', key_fingerprint: fingerprint(pair.publicKey.blob), connection: { user: 'web-01', host: 'gw.example', port: 22 } })
    const [listed] = (await call('GET', '/v1/credentials')).body.items
    expect(listed).toMatchObject({ id: credential.credential_id, key_fingerprint: fingerprint(pair.publicKey.blob), state: 'live' })
  })

  it('opens sessions with a grant for the login that was signed, the default without one', async () => {
    expect(await loginOf(await open(proof(pair.privateKey, 'web-01'), { user: 'web-01' }))).toBe('deploy')
    expect(await loginOf(await open(proof(pair.privateKey, 'root%web-01'), { user: 'root%web-01' }))).toBe('root')
    expect(await loginOf(await open(proof(pair.privateKey, 'root%web-01'), { user: 'web-01', parameters: { login: 'root' } }))).toBe('root')
    expect((await open(proof(pair.privateKey, 'admin%web-01'), { user: 'admin%web-01' })).refused).toMatchObject({ code: 'PARAMETERS_REFUSED', message: expect.stringMatching(/account "admin" is not among/) })
  })

  it('takes a user name that is no target for a login on the key’s one target, as `git@web-01` has it', async () => {
    expect(await loginOf(await open(proof(pair.privateKey, 'root'), { user: 'root' }))).toBe('root')
    expect((await open(proof(pair.privateKey, 'root'), { user: 'root', parameters: { login: 'deploy' } })).refused).toMatchObject({ code: 'AUTHENTICATION_FAILED' })
    expect((await open(proof(pair.privateKey, 'admin'), { user: 'admin' })).refused).toMatchObject({ code: 'PARAMETERS_REFUSED' })
    // A target of that name is meant, not a login.
    expect((await open(proof(pair.privateKey, 'orders-db'), { user: 'orders-db' })).refused).toMatchObject({ message: expect.stringMatching(/no credential for the target orders-db/) })
    const two = generateKeyPair()
    for (const audience of ['web-01', 'web-02']) await exchange({ public_key: two.publicKeyLine, audience })
    expect((await open(proof(two.privateKey, 'deploy'), { user: 'deploy' })).refused).toMatchObject({ message: expect.stringMatching(/no credential for the target deploy/) })
  })

  it('a proof is taken once: a gateway that kept it opens nothing with it', async () => {
    const once = proof(pair.privateKey, 'web-01')
    const both = await Promise.all([open(once, { user: 'web-01' }), open(once, { user: 'web-01' })])
    expect(both.filter(({ granted }) => granted)).toHaveLength(1)
    expect((await open(once, { user: 'web-01' })).refused).toMatchObject({ code: 'AUTHENTICATION_FAILED' })
  })

  it('a proof is used up even when no session came of it, and stays so when the key is registered again', async () => {
    const own = generateKeyPair()
    await exchange({ public_key: own.publicKeyLine })
    const once = proof(own.privateKey, 'nobody%web-01')
    // No such account: refused after the proof was found good.
    expect((await open(once, { user: 'nobody%web-01' })).granted).toBeUndefined()
    expect((await open(once, { user: 'nobody%web-01' })).refused).toMatchObject({ message: expect.stringMatching(/used before/) })
    await exchange({ public_key: own.publicKeyLine })
    expect((await open(once, { user: 'nobody%web-01' })).refused).toMatchObject({ message: expect.stringMatching(/used before/) })
  })

  it.each([
    ['a login that was not signed', { user: 'root%web-01' }, () => proof(pair.privateKey, 'web-01'), /another user name/],
    ['a login slipped into the parameters', { user: 'web-01', parameters: { login: 'root' } }, () => proof(pair.privateKey, 'web-01'), /another user name/],
    ['another target', { user: 'web-02' }, () => proof(pair.privateKey, 'web-01'), /another user name/],
    ['a target that the key is not for', { user: 'web-02' }, () => proof(pair.privateKey, 'web-02'), /no credential for the target web-02/],
    ['another service', { user: 'web-01' }, () => proof(pair.privateKey, 'web-01', { service: 'ssh-userauth' }), /another service/],
    ['S1 an offer without a signature', { user: 'web-01' }, () => proof(pair.privateKey, 'web-01', { hasSignature: false }), /an offer/],
    ['S1 a key that another one signed for', { user: 'web-01' }, () => ({ ...proof(generateKeyPair().privateKey, 'web-01'), key: pair.publicKey.blob }), /another key/],
    ['S1 the signature of another key', { user: 'web-01' }, () => ({ ...proof(pair.privateKey, 'web-01'), signature: proof(generateKeyPair().privateKey, 'web-01').signature }), /signature is not good/],
    ['a key that nobody registered', { user: 'web-01' }, () => proof(generateKeyPair().privateKey, 'web-01'), /is bound to the key SHA256:/],
    ['another algorithm', { user: 'web-01' }, () => ({ ...proof(pair.privateKey, 'web-01'), algorithm: 'rsa-sha2-512' }), /another key/],
  ])('is not proven by %s', async (_what, opening, made, message) => {
    expect((await open(made(), opening)).refused).toMatchObject({ code: 'AUTHENTICATION_FAILED', message: expect.stringMatching(message) })
  })

  it('never logs in by its secret, nor as another identity', async () => {
    const stolen = await exchange({ public_key: pair.publicKeyLine }, await jobToken('999'))
    expect(stolen).toMatchObject({ status: 400, body: { error: 'invalid_request', error_description: expect.stringMatching(/registered for another identity/) } })
    const stream: OpenStream = client.openSession()
    const replies = new Received<OpenSessionReplyReceived>(stream)
    stream.write({ start: { protocol: 'ssh', user: 'web-01', parameters: {}, clientAddress: '127.0.0.1', serverEndPoint: Buffer.alloc(0) } })
    await replies.take((reply) => reply.askPassword)
    stream.write({ password: Buffer.from(credential.access_token) })
    expect(await replies.take((reply) => reply.refused)).toMatchObject({ code: 'AUTHENTICATION_FAILED' })
  })

  it('a conversation that promised a proof takes nothing else, and one that did not takes no proof', async () => {
    for (const start of [{ proofFollows: true }, { proofFollows: false }]) {
      const stream: OpenStream = client.openSession()
      const replies = new Received<OpenSessionReplyReceived>(stream)
      stream.write({ start: { protocol: 'ssh', user: 'web-01', parameters: {}, clientAddress: '127.0.0.1', serverEndPoint: Buffer.alloc(0), ...start } })
      stream.write(start.proofFollows ? { password: Buffer.from(await jobToken()) } : { publicKey: proof(pair.privateKey, 'web-01') })
      expect(await replies.take((reply) => reply.refused)).toMatchObject({ code: 'PROTOCOL_VIOLATION' })
    }
  })

  it('keeps a live session’s login when documents change, and ends the session when the login is gone', async () => {
    const { granted } = await open(proof(pair.privateKey, 'root%web-01'), { user: 'root%web-01' })
    await apply('deploy, root, extra')
    await apply('deploy')
    expect((await down.take((message) => message.kill?.sessionId === granted?.sessionId && message.kill)).reason).toMatch(/account "root" is not among/)
    await apply('deploy, root')
  })

  it('is worth nothing once revoked by its holder, and its sessions end', async () => {
    const { granted } = await open(proof(pair.privateKey, 'web-01'), { user: 'web-01' })
    expect((await call('DELETE', `/v1/credentials/${credential.credential_id}`, undefined, credential.access_token)).status).toBe(204)
    await down.take((message) => message.kill?.sessionId === granted?.sessionId && message.kill)
    expect((await open(proof(pair.privateKey, 'web-01'), { user: 'web-01' })).refused).toMatchObject({ message: expect.stringMatching(/revoked/) })
  })

  it('for a single use is used up by the first session', async () => {
    const single = generateKeyPair()
    expect((await exchange({ public_key: single.publicKeyLine, single_use: 'true' })).status).toBe(200)
    expect((await open(proof(single.privateKey, 'web-01'), { user: 'web-01' })).granted).toBeDefined()
    expect((await open(proof(single.privateKey, 'web-01'), { user: 'web-01' })).refused).toMatchObject({ message: expect.stringMatching(/single use/) })
  })

  it('is an ordinary one for a protocol without keys, and the answer shows it; what is no key is refused', async () => {
    const ordinary = (await exchange({ public_key: pair.publicKeyLine, audience: 'orders-db' })).body
    expect(ordinary).toMatchObject({ target: { protocol: 'postgres' }, username: expect.stringMatching(/^jit-/) })
    expect(ordinary.key_fingerprint).toBeUndefined()
    expect((await exchange({ public_key: 'ssh-rsa AAAA' })).body).toMatchObject({ error: 'invalid_request', error_description: expect.stringMatching(/^public_key: /) })
  })
})

describe('an SSH certificate', () => {
  const pair = generateKeyPair('engineer')
  const certify = (body: object, token: string): Promise<{ status: number; body: any }> => call('POST', '/v1/ssh/certificates', body, token)
  const withCertificate = (line: string, user: string): SignatureProof => proof(pair.privateKey, user, { key: parseCertificateLine(line).blob })
  let issued: any

  it('is signed by the published authority, for a job’s token and for a user’s', async () => {
    const reply = await certify({ target: 'web-01', public_key: pair.publicKeyLine, ttl_seconds: 60 }, await jobToken())
    expect(reply.status, JSON.stringify(reply.body)).toBe(200)
    issued = reply.body
    const certificate = parseCertificateLine(issued.certificate)
    const authority = parsePublicKeyLine((await call('GET', '/v1/ssh/ca', undefined, '')).body)
    expect(certificate).toMatchObject({ principals: ['web-01'], serial: BigInt(issued.serial), type: 'user' })
    expect(certificate.authority.blob).toEqual(authority.blob)
    expect(Number(certificate.validBefore) * 1000 - Date.now()).toBeLessThanOrEqual(60_000)
    const own = generateKeyPair()
    expect((await certify({ target: 'web-02', public_key: own.publicKeyLine }, admin)).body.certificate).toContain('ssh-ed25519-cert-v01@openssh.com ')
  })

  it('opens a session on its target, with a login too, and on no other', async () => {
    expect(await loginOf(await open(withCertificate(issued.certificate, 'root%web-01'), { user: 'root%web-01' }))).toBe('root')
    expect((await open(withCertificate(issued.certificate, 'web-02'), { user: 'web-02' })).refused).toMatchObject({ message: expect.stringMatching(/does not name this user/) })
    // ssh offers the key by itself before its certificate: both stand for the one credential, or each log-in would begin with a failed one.
    expect(await loginOf(await open(proof(pair.privateKey, 'web-01'), { user: 'web-01' }))).toBe('deploy')
  })

  it('of another authority, for another key, or with a serial that we never gave is refused', async () => {
    const stranger = generateKeyPair()
    const facts = { subject: pair.publicKey, serial: BigInt(issued.serial), keyId: 'x', principals: ['web-01'], validAfter: new Date(Date.now() - 1000), validBefore: new Date(Date.now() + 60_000) }
    const forged = signCertificate({ ...facts, authority: stranger.privateKey })
    expect((await open(proof(pair.privateKey, 'web-01', { key: forged.blob }), { user: 'web-01' })).refused).toMatchObject({ message: expect.stringMatching(/not trusted here/) })
    const notMine = proof(stranger.privateKey, 'web-01', { key: parseCertificateLine(issued.certificate).blob })
    expect((await open(notMine, { user: 'web-01' })).refused).toMatchObject({ message: expect.stringMatching(/signature is not good/) })
  })

  it.each<[string, Partial<Omit<CertificateFacts, 'subject'>> & { subject?: GeneratedKeyPair }, string, RegExp]>([
    ['for another key than its credential has', { subject: generateKeyPair() }, 'web-01', /belongs to no credential/],
    ['with a serial that stands for no credential', { serial: 5n }, 'web-01', /belongs to no credential/],
    ['for another target than its credential is for', { principals: ['web-01', 'web-02'] }, 'web-02', /belongs to no credential/],
    ['that forces a command', { forceCommand: 'uptime' }, 'web-01', /forces a command/],
    ['for use from elsewhere', { sourceAddresses: ['10.0.0.0/8'] }, 'web-01', /from this address/],
    ['that has expired', { validBefore: new Date(Date.now() - 1000) }, 'web-01', /has expired/],
  ])('%s is refused, even one of our authority', async (_what, changes, user, message) => {
    const { privateKey: authority } = await api.app.get(KeysService, { strict: false }).sshAuthority()
    const { subject = pair, ...others } = changes
    const times = { validAfter: new Date(Date.now() - 60_000), validBefore: new Date(Date.now() + 60_000) }
    const facts = { authority, subject: subject.publicKey, serial: BigInt(issued.serial), keyId: 'x', principals: ['web-01'], ...times, ...others }
    const made = proof(subject.privateKey, user, { key: signCertificate(facts).blob })
    expect((await open(made, { user })).refused).toMatchObject({ code: 'AUTHENTICATION_FAILED', message: expect.stringMatching(message) })
  })

  it('is worth nothing once its credential is revoked', async () => {
    expect((await call('DELETE', `/v1/credentials/${issued.credential_id}`)).status).toBe(204)
    expect((await open(withCertificate(issued.certificate, 'web-01'), { user: 'web-01' })).refused).toMatchObject({ message: expect.stringMatching(/revoked/) })
    expect((await open(proof(pair.privateKey, 'web-01'), { user: 'web-01' })).refused).toMatchObject({ message: expect.stringMatching(/revoked/) })
  })

  it('is refused to strangers, for unknown targets, and never given without a token', async () => {
    const body = { target: 'web-01', public_key: pair.publicKeyLine }
    expect((await certify(body, '')).status).toBe(401)
    expect((await certify(body, await issuer.mint({ repository_id: '5' }))).status).toBe(401)
    expect((await certify({ ...body, target: 'nowhere' }, admin)).status).toBe(404)
    expect((await certify({ ...body, public_key: 'x' }, admin)).status).toBe(400)
    expect((await certify({ ...body, target: 'orders-db' }, admin)).body).toMatchObject({ code: 'PUBLIC_KEY_REFUSED' })
  })
})

it('publishes the host keys of gateways for the public host, and for no address that a gateway made up', async () => {
  const key = hostKey.publicKeyLine.replace(' sallyport gateway', '')
  expect((await call('GET', '/v1/ssh/known-hosts', undefined, '')).body).toBe(`gw.example ${key}\n`)
  await call('POST', `/v1/agents/${gateway.id}/revoke`)
  expect((await call('GET', '/v1/ssh/known-hosts', undefined, '')).body).toBe('')
})

