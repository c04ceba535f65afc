import { createHash, sign as signBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { compactDecrypt, importJWK, type CryptoKey, type JWK } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { passableDirectory } from '@sallyport/embedded-postgres'
import { jwsType, verifyControlJws, verifyGrant, type AckPayload, type KillPayload, type LeasePayload, type PinnedKeys } from '@sallyport/kit'
import type { GatewayDownReceived, OpenSessionReplyReceived, SessionGrantedReceived, SessionRefusedReceived } from '@sallyport/proto'
import { LeasesService } from '../sessions/leases.service.js'
import { startApi, type RunningApi } from '../start.js'
import { record } from '../testing/fixtures.js'
import { ReplyCheckModule } from '../testing/reply-check.js'
import { adminTokenIn, environmentIn } from './environment.js'
import { TestIssuer } from './issuer.js'
import { ScramClient } from './scram-client.js'
import {
  callEnrol, callRenew, controlPlaneClient, enrol, makeRequest, nodeOf, partsOf, proofFor, Received, signedBy,
  type LinkStream, type OpenStream, type TestNode,
} from './test-node.js'

const endPoint = createHash('sha256').update('the listener’s certificate').digest()

let api: RunningApi
let issuer: TestIssuer
let directory: string
let admin: string
let gateway: TestNode
let agent: TestNode
let gatewayClient: ReturnType<typeof controlPlaneClient>
let link: LinkStream
let down: Received<GatewayDownReceived>
let keys: PinnedKeys
let counter = 0
const instanceId = 'instance-1'

const documents = (rules: string, extra = ''): string => `${issuer.document}---
apiVersion: sallyport.dev/v1
kind: Workload
metadata: { name: shop-ci }
spec:
  provider: ci
  match: [{ claim: repository_id, equals: "123" }, { claim: ref, glob: "refs/heads/*" }]
---
apiVersion: sallyport.dev/v1
kind: User
metadata: { name: dana }
spec: { roles: [reviewer] }
---
apiVersion: sallyport.dev/v1
kind: Target
metadata: { name: orders-db, labels: { env: demo } }
spec:
  protocol: postgres
  agents: { labels: { site: a } }
  postgres: { host: 127.0.0.1, port: 5432, database: orders, user: app, password: "env:ORDERS_PASSWORD" }
---
apiVersion: sallyport.dev/v1
kind: Policy
metadata: { name: shop }
spec:
  subjects: [{ workload: shop-ci }, { user: dana }]
  targets: { names: [orders-db] }
  session: { ttl: 15m, idle: 5m }
  rules:
    - ${rules}
  mask:
    - { columns: ["public.customers.email"], with: hash }
${extra}`

const ciClaims = { repository: 'acme/shop', repository_id: '123', ref: 'refs/heads/main', actor: 'octocat', run_id: '7', workflow: 'ci' }

async function call(method: string, path: string, body?: unknown, token = admin): Promise<{ status: number; body: any }> {
  const response = await fetch(api.httpUrl + path, {
    method,
    headers: { ...(token === '' ? {} : { authorization: `Bearer ${token}` }), ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : text }
}

/** An answer that isn't JSON. */
async function fetchText(path: string, token = admin): Promise<{ status: number; type: string | null; text: string }> {
  const response = await fetch(api.httpUrl + path, { headers: token === '' ? {} : { authorization: `Bearer ${token}` } })
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() }
}

async function apply(text: string, prune = false): Promise<void> {
  const reply = await call('POST', '/v1/apply', { documents: [{ path: 'test.yaml', text }], prune })
  expect(reply.body, JSON.stringify(reply.body)).toMatchObject({ applied: true })
}

async function exchange(token: string, more: Record<string, string> = {}): Promise<{ status: number; body: any }> {
  const form = new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: token,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    audience: 'orders-db',
    ...more,
  })
  const response = await fetch(`${api.httpUrl}/v1/token`, { method: 'POST', body: form })
  return { status: response.status, body: await response.json() }
}

interface Opening {
  readonly user: string
  readonly secret: string
  readonly parameters?: Record<string, string>
  readonly mechanism?: string
  readonly gs2?: string
  readonly binding?: Uint8Array
  readonly offered?: Uint8Array
}

/** One client's way through OpenSession. */
async function open(opening: Opening): Promise<{ granted?: SessionGrantedReceived; refused?: SessionRefusedReceived }> {
  const { user, secret, parameters = {}, mechanism = 'SCRAM-SHA-256-PLUS', gs2 = 'p=tls-server-end-point,,', binding = endPoint, offered = endPoint } = opening
  const stream: OpenStream = gatewayClient.openSession()
  const replies = new Received<OpenSessionReplyReceived>(stream)
  const end = (reply: OpenSessionReplyReceived) => (reply.granted ? { granted: reply.granted } : reply.refused ? { refused: reply.refused } : undefined)
  stream.write({ start: { protocol: 'postgres', user, parameters, clientAddress: '127.0.0.1:1', serverEndPoint: offered } })
  const asked = await replies.take((reply) => reply)
  if (asked.askPassword) {
    stream.write({ password: Buffer.from(secret) })
    return replies.take(end)
  }
  const client = new ScramClient(secret, gs2, binding)
  stream.write({ saslInitial: { mechanism, response: client.first() } })
  const first = await replies.take((reply) => reply)
  if (!first.saslContinue) return end(first) ?? {}
  const final = client.final(first.saslContinue)
  stream.write({ saslResponse: final.message })
  const result = await replies.take(end)
  if (result.granted) expect(result.granted.saslFinal.toString()).toBe(final.serverSignature)
  return result
}

const jwsOf = (typ: string) => (message: GatewayDownReceived) => {
  const jws = message.link?.jws.toString()
  const header: unknown = jws === undefined ? undefined : JSON.parse(Buffer.from(jws.split('.')[0] ?? '', 'base64url').toString())
  return typeof header === 'object' && header !== null && 'typ' in header && header.typ === typ ? jws : undefined
}

beforeAll(async () => {
  issuer = await TestIssuer.start()
  directory = passableDirectory('sallyport-api-it-')
  api = await startApi(environmentIn(directory), process.env['DEBUG_API'] === undefined ? false : console, [ReplyCheckModule.register()])
  admin = await adminTokenIn(directory)
})

afterAll(async () => {
  gatewayClient?.close()
  await api?.stop()
  issuer?.stop()
  await rm(directory, { recursive: true, force: true })
})

describe('the control plane, walked through as gateway, agent and client', () => {
  it('takes documents from the bootstrapped administrator', async () => {
    await apply(documents('{ allow: sql.select, on: "public.*" }'))
  })

  it('enrols a gateway and an agent, once each', async () => {
    const gatewayToken = (await call('POST', '/v1/agents/tokens', { kind: 'gateway', name: 'gw-1' })).body.token
    const agentToken = (await call('POST', '/v1/agents/tokens', { kind: 'agent', name: 'agent-1', labels: { site: 'a' } })).body.token
    gateway = await enrol(api.grpcPort, gatewayToken, [{ type: 'dns', value: 'localhost' }])
    agent = await enrol(api.grpcPort, agentToken)
    expect(createHash('sha256').update(gateway.bundle).digest('hex')).toBe(partsOf(gatewayToken).fingerprint)
    await expect(enrol(api.grpcPort, agentToken)).rejects.toThrow(/used already/)
    const { keys: jwks }: { keys: JWK[] } = JSON.parse(agent.bundle)
    const imported = new Map<string, CryptoKey>()
    for (const jwk of jwks) imported.set(jwk.kid ?? '', (await importJWK(jwk, 'EdDSA')) as CryptoKey)
    keys = imported
  })

  it('refuses enrolment with a forged proof, a foreign request, an unknown token, a name that was not allowed', async () => {
    const token = (await call('POST', '/v1/agents/tokens', { kind: 'gateway', name: 'gw-2' })).body.token
    const made = await makeRequest()
    const other = await makeRequest()
    await expect(callEnrol(api.grpcPort, { tokenId: partsOf(token).id, csr: made.csr, proof: Buffer.alloc(32) })).rejects.toThrow(/not valid/)
    await expect(callEnrol(api.grpcPort, { tokenId: partsOf(token).id, csr: other.csr, proof: proofFor(token, made.csr) })).rejects.toThrow(/not valid/)
    await expect(callEnrol(api.grpcPort, { tokenId: 'nope', csr: made.csr, proof: proofFor(token, made.csr) })).rejects.toThrow(/not valid/)
    await expect(enrol(api.grpcPort, token, [{ type: 'dns', value: 'bank.example' }])).rejects.toThrow(/does not allow/)
    // None of these used it up.
    await enrol(api.grpcPort, token)
  })

  it('lets only gateways with their certificate talk', async () => {
    for (const node of [undefined, agent]) {
      const client = controlPlaneClient(api.grpcPort, node, gateway.caPem)
      const stream: OpenStream = client.openSession()
      const replies = new Received<OpenSessionReplyReceived>(stream)
      stream.write({ start: { protocol: 'postgres', user: 'orders-db' } })
      await expect(replies.take((reply) => reply)).rejects.toThrow(/client certificate of an enrolled gateway/)
      client.close()
    }
  })

  it('links the gateway and accepts the agent on it, but no second instance and no other certificate', async () => {
    gatewayClient = controlPlaneClient(api.grpcPort, gateway, gateway.caPem)
    link = gatewayClient.link()
    down = new Received<GatewayDownReceived>(link)
    link.write({ hello: { version: '1', instanceId: 'g' } })
    expect(await down.take((message) => message.welcome)).toMatchObject({ gatewayId: gateway.id })
    const up = { agentId: agent.id, instanceId, certificateSha256: agent.certificateSha256, version: '1', protocols: ['postgres'] }
    link.write({ agentUp: up })
    expect(await down.take((message) => message.agentVerdict)).toMatchObject({ accepted: true })
    link.write({ agentUp: { ...up, instanceId: 'instance-2' } })
    expect(await down.take((message) => message.agentVerdict)).toMatchObject({ accepted: false, reason: expect.stringMatching(/another process/) })
    link.write({ agentUp: { ...up, certificateSha256: gateway.certificateSha256 } })
    expect(await down.take((message) => message.agentVerdict)).toMatchObject({ accepted: false, reason: expect.stringMatching(/certificate/) })
    const alerts = await call('GET', '/v1/events?kind=alert')
    expect(JSON.stringify(alerts.body)).toContain('DUPLICATE_AGENT')
  })

  let credential: any
  let session: SessionGrantedReceived

  it('exchanges a CI token for a JIT credential', async () => {
    const reply = await exchange(await issuer.mint(ciClaims))
    expect(reply.status, JSON.stringify(reply.body)).toBe(200)
    credential = reply.body
    expect(credential).toMatchObject({
      issued_token_type: 'urn:sallyport:params:oauth:token-type:jit-credential',
      token_type: 'N_A',
      expires_in: 900,
      target: { name: 'orders-db', protocol: 'postgres' },
      connection: { host: 'localhost', port: 5432, database: 'orders', sslmode: 'verify-full', user: credential.username },
    })
  })

  it('names the claim rule that a token fails', async () => {
    const reply = await exchange(await issuer.mint({ ...ciClaims, repository_id: '999' }))
    expect(reply).toMatchObject({ status: 400, body: { error: 'invalid_grant', error_description: expect.stringMatching(/shop-ci: claim repository_id is "999", expected 123/) } })
    const audience = await exchange(await issuer.mint({ ...ciClaims, aud: 'other' }))
    expect(audience.body.error_description).toMatch(/provider ci: the token is for another audience/)
  })

  it('opens a session by SCRAM with channel binding: a grant that the agent verifies', async () => {
    const { granted, refused } = await open({ user: credential.username, secret: credential.access_token, parameters: { database: 'orders' } })
    expect(refused).toBeUndefined()
    if (!granted) throw new Error('refused')
    session = granted
    const grant = await verifyGrant(granted.grant, keys, agent.id, Math.floor(Date.now() / 1000))
    expect(grant.payload).toMatchObject({
      sid: granted.sessionId,
      version: 1,
      identity: { kind: 'workload', name: 'shop-ci', claims: { repository: 'acme/shop', actor: 'octocat' } },
      target: { name: 'orders-db', spec: { database: 'orders', password: 'env:ORDERS_PASSWORD' } },
    })
    const { plaintext } = await compactDecrypt(grant.payload.mask_key ?? '', agent.privateKey)
    expect(plaintext).toHaveLength(32)
    const listed = await call('GET', '/v1/sessions?state=live')
    expect(listed.body.items[0]).toMatchObject({ id: session.sessionId, actor: 'octocat', state: 'live' })
  })

  it('stores the agent’s events and acknowledges them; forged, foreign and repeated messages are dropped', async () => {
    const events = [record(1, 'agent.start', { version: '1' }), record(2, 'session.start', { session: session.sessionId, parameters: {} })]
    const message = { agentId: agent.id, instanceId, counter: ++counter, events: { firstSeq: 1, records: events } }
    link.write(signedBy(gateway, message))
    link.write(signedBy(agent, { ...message, agentId: gateway.id }))
    const good = signedBy(agent, message)
    link.write(good)
    const ack = (await verifyControlJws(await down.take(jwsOf(jwsType.ack)), jwsType.ack, keys)) as AckPayload
    expect(ack).toEqual({ agent: agent.id, seq: 2 })
    link.write(good)
    await expect(down.take(jwsOf(jwsType.ack), 300)).rejects.toThrow('did not come')
    const shown = await call('GET', `/v1/sessions/${session.sessionId}/events`)
    expect(shown.body.items.map((item: { kind: string }) => item.kind)).toEqual(['session.opened', 'session.start'])
  })

  it('serves recordings as asciicast, to those who may see the session; searches leave their pieces out', async () => {
    const { sessionId } = session
    const path = `/v1/sessions/${sessionId}`
    expect((await call('GET', `${path}/recording`)).status).toBe(404)
    const command = record(3, 'command', { session: sessionId, command: 1, text: 'make', effects: [], decision: { verdict: 'allow', rule: 'p#0' } })
    const pieces = Array.from({ length: 40 }, (_, first) => record(4 + first, 'recording', { session: sessionId, command: 1, first, chunks: [{ t_us: first, s: 'o', d: `line ${first}\u001b]0;t\u0007\n` }] }))
    const events = [
      command,
      ...pieces,
      record(44, 'recording', { session: sessionId, command: 2, first: 0, chunks: [{ t_us: 0, s: 'r', d: '100x30' }, { t_us: 5, s: 'o', d: '$ ' }] }),
    ]
    link.write(signedBy(agent, { agentId: agent.id, instanceId, counter: ++counter, events: { firstSeq: 3, records: events } }))
    const ack = (await verifyControlJws(await down.take(jwsOf(jwsType.ack)), jwsType.ack, keys)) as AckPayload
    expect(ack.seq).toBe(44)
    const cast = await fetchText(`${path}/recording`)
    expect(cast.type).toBe('application/x-asciicast')
    const lines = cast.text.trimEnd().split('\n').map((line): unknown => JSON.parse(line))
    expect(lines[0]).toMatchObject({ version: 3 })
    expect(lines.slice(1, 4)).toEqual([[0, 'm', '#1 make'], [0, 'o', 'line 0\r\n'], [0.000001, 'o', 'line 1\r\n']])
    expect(lines.slice(-3)).toEqual([[0, 'r', '100x30'], [0, 'm', ''], [0, 'o', '$ ']])
    expect((await fetchText(`${path}/recording?command=2`)).text).toContain('"cols":100')
    expect((await fetchText(`${path}/recording?raw=true`)).text).toContain(']0;t')
    expect((await call('GET', `${path}/recording?command=9`)).status).toBe(404)
    expect((await fetchText(`${path}/recording`, '')).status).toBe(401)
    // A session of somebody else looks like one that isn't there.
    const { token } = (await call('POST', '/v1/tokens', { user: 'dana', name: 'test' })).body
    expect((await fetchText(path, token)).status).toBe(404)
    expect((await fetchText(`${path}/recording`, token)).status).toBe(404)
    const kinds = async (query: string): Promise<string[]> => (await call('GET', query)).body.items.map((item: { kind: string }) => item.kind)
    expect(await kinds(`/v1/events?session=${sessionId}`)).not.toContain('recording')
    expect(await kinds(`${path}/events`)).not.toContain('recording')
    expect((await kinds(`/v1/events?kind=recording&session=${sessionId}`)).length).toBe(41)
    expect((await kinds(`${path}/events?recordings=true`)).length).toBeGreaterThan(41)
    expect((await call('GET', '/v1/audit/verify')).body).toMatchObject({ ok: true })
  })

  it('renews the lease of live sessions and tells the agent to kill the others', async () => {
    const unknown = '01890000-0000-7000-8000-000000000000'
    link.write(signedBy(agent, { agentId: agent.id, instanceId, counter: ++counter, leaseRequest: { sessionIds: [session.sessionId, unknown] } }))
    const lease = (await verifyControlJws(await down.take(jwsOf(jwsType.lease)), jwsType.lease, keys)) as LeasePayload
    expect(lease.sids).toEqual([session.sessionId])
    const kill = (await verifyControlJws(await down.take(jwsOf(jwsType.kill)), jwsType.kill, keys)) as KillPayload
    expect(kill.sid).toBe(unknown)
  })

  it('sends a live session its new rules, and kills it when its access is gone', async () => {
    await apply(documents('{ allow: sql.insert, on: "public.*" }'))
    const grant = await verifyGrant(await down.take(jwsOf(jwsType.grant)), keys, agent.id, Math.floor(Date.now() / 1000))
    expect(grant.payload).toMatchObject({ sid: session.sessionId, version: 2, rules: [{ actions: ['sql.insert'] }] })
    const other = await open({ user: credential.username, secret: credential.access_token })
    await apply(documents('{ allow: sql.insert, on: "public.*" }').replace('"123" }', '"124" }'))
    for (const sid of [session.sessionId, other.granted?.sessionId]) expect((await down.take((message) => message.kill?.sessionId === sid && message.kill)).reason).toMatch(/claim rules/)
    const refused = await open({ user: credential.username, secret: credential.access_token })
    expect(refused.refused).toMatchObject({ code: 'LOCKED', message: expect.stringMatching(/repository_id/) })
    await apply(documents('{ allow: sql.select, on: "public.*" }'))
  })

  it('kills the sessions of a revoked credential within two seconds', async () => {
    const opened = await open({ user: credential.username, secret: credential.access_token })
    const sid = opened.granted?.sessionId
    const start = Date.now()
    expect((await call('DELETE', `/v1/credentials/${credential.credential_id}`, undefined, credential.access_token)).status).toBe(204)
    await down.take((message) => message.kill?.sessionId === sid && message.kill)
    await down.take((message) => {
      const jws = jwsOf(jwsType.kill)(message)
      return jws !== undefined && Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString().includes(sid ?? '?') && jws
    })
    expect(Date.now() - start).toBeLessThan(2000)
    const again = await open({ user: credential.username, secret: credential.access_token })
    expect(again.refused).toMatchObject({ code: 'AUTHENTICATION_FAILED', message: expect.stringMatching(/revoked/) })
  })

  it('takes the token itself as the password, and an administrator kills the session', async () => {
    const token = await issuer.mint(ciClaims)
    const { granted } = await open({ user: 'orders-db', secret: token })
    expect(granted).toBeDefined()
    expect((await open({ user: 'orders-db', secret: token })).granted).toBeDefined()
    expect((await call('POST', `/v1/sessions/${granted?.sessionId}/kill`, { reason: 'test' })).status).toBe(204)
    expect(await down.take((message) => message.kill?.sessionId === granted?.sessionId && message.kill)).toMatchObject({ reason: 'test' })
  })

  it('I a target that wants exchanged credentials takes no token as the password', async () => {
    const rules = '{ allow: sql.select, on: "public.*" }'
    const token = await issuer.mint(ciClaims)
    const before = await open({ user: 'orders-db', secret: token })
    const issued = (await exchange(token)).body
    const proven = await open({ user: issued.username, secret: issued.access_token })
    await apply(documents(rules).replace('  protocol: postgres\n', '  protocol: postgres\n  credentials: exchanged\n'))
    // What a token had opened ends; what a credential opened lives.
    expect(await down.take((message) => message.kill?.sessionId === before.granted?.sessionId && message.kill)).toMatchObject({ reason: expect.stringMatching(/no token/) })
    expect((await call('GET', `/v1/sessions/${proven.granted?.sessionId}`)).body).toMatchObject({ state: 'live' })
    const { granted, refused } = await open({ user: 'orders-db', secret: token })
    expect(granted).toBeUndefined()
    expect(refused).toMatchObject({ code: 'EXCHANGE_REQUIRED', hint: expect.stringMatching(/sallyport exec orders-db.*POST \/v1\/token/) })
    expect((await call('GET', '/v1/events?kind=session.refused')).body.items[0]).toMatchObject({ event: { code: 'EXCHANGE_REQUIRED', target: 'orders-db' } })
    // Who may not get there learns nothing, and a bad token isn't told about either.
    expect((await open({ user: 'orders-db', secret: await issuer.mint({ ...ciClaims, repository_id: '999' }) })).refused).toMatchObject({ code: 'AUTHENTICATION_FAILED' })
    expect((await open({ user: issued.username, secret: issued.access_token })).granted).toBeDefined()
    const fresh = (await exchange(token)).body
    expect((await open({ user: fresh.username, secret: fresh.access_token })).granted).toBeDefined()
    await apply(documents(rules))
    expect((await open({ user: 'orders-db', secret: token })).granted).toBeDefined()
  })

  it('refuses what it must', async () => {
    const issued = (await exchange(await issuer.mint(ciClaims), { single_use: 'true' })).body
    const good = { user: issued.username, secret: issued.access_token }
    const failed = { code: 'AUTHENTICATION_FAILED', message: expect.stringMatching(/unknown, or its secret is wrong/) }
    expect((await open({ ...good, secret: 'spc_wrong' })).refused).toMatchObject(failed)
    expect((await open({ ...good, user: 'jit-00000000000000000000000000000000' })).refused).toMatchObject(failed)
    // Channel binding: another certificate, stripped from the offer, claimed without the mechanism.
    expect((await open({ ...good, binding: Buffer.alloc(32) })).refused).toMatchObject(failed)
    expect((await open({ ...good, mechanism: 'SCRAM-SHA-256', gs2: 'y,,', binding: Buffer.alloc(0) })).refused).toMatchObject(failed)
    expect((await open({ ...good, mechanism: 'SCRAM-SHA-256' })).refused).toMatchObject(failed)
    expect((await open({ ...good, parameters: { database: 'postgres' } })).refused).toMatchObject({ code: 'DATABASE_REFUSED' })
    // None of these used it up; of two at once one gets it.
    const both = await Promise.all([open({ ...good, mechanism: 'SCRAM-SHA-256', gs2: 'n,,', binding: Buffer.alloc(0) }), open(good)])
    expect(both.filter((result) => result.granted)).toHaveLength(1)
    expect((await open(good)).refused).toMatchObject({ code: 'AUTHENTICATION_FAILED', message: expect.stringMatching(/single use/) })
    expect((await open({ user: 'no-such-target', secret: await issuer.mint(ciClaims) })).refused).toMatchObject({ code: 'TARGET_UNKNOWN' })
    expect((await open({ user: 'orders-db', secret: 'not a token' })).refused).toMatchObject({ code: 'AUTHENTICATION_FAILED' })
  })

  it('exchanges one token once, when the credential is for one use', async () => {
    const token = await issuer.mint(ciClaims)
    expect((await exchange(token, { single_use: 'true' })).status).toBe(200)
    expect((await exchange(token, { single_use: 'true' })).body).toMatchObject({ error: 'invalid_grant', error_description: expect.stringMatching(/jti/) })
  })

  it('says so when no agent is there', async () => {
    link.write({ agentDown: { agentId: agent.id, instanceId, draining: true } })
    await expect.poll(async () => (await open({ user: 'orders-db', secret: await issuer.mint(ciClaims) })).refused).toMatchObject({ code: 'NO_AGENT', message: expect.stringMatching(/orders-db/) })
    link.write({ agentUp: { agentId: agent.id, instanceId, certificateSha256: agent.certificateSha256, version: '1', protocols: ['postgres'] } })
    expect(await down.take((message) => message.agentVerdict)).toMatchObject({ accepted: true })
  })

  it('renews a certificate by the node’s own key, and not twice by the same request', async () => {
    const made = await makeRequest()
    const time = Math.floor(Date.now() / 1000)
    const signed = Buffer.concat([Buffer.from('sallyport-renew-v1\0'), made.csr, Buffer.from(String(time))])
    const signature = signBytes('sha256', signed, { key: gateway.privateKey, dsaEncoding: 'ieee-p1363' })
    const request = { nodeId: gateway.id, csr: made.csr, timeUnixSeconds: time, signature }
    await expect(callRenew(api.grpcPort, { ...request, signature: Buffer.alloc(64) })).rejects.toThrow(/refused/)
    await expect(callRenew(api.grpcPort, { ...request, nodeId: agent.id })).rejects.toThrow(/refused/)
    const renewed = nodeOf(await callRenew(api.grpcPort, request), made)
    expect(renewed.id).toBe(gateway.id)
    await expect(callRenew(api.grpcPort, request)).rejects.toThrow(/refused/)
  })

  it('closes a session whose agent fell silent, once, and not before the grace is over', async () => {
    const { granted } = await open({ user: 'orders-db', secret: await issuer.mint(ciClaims) })
    const sid = granted?.sessionId ?? ''
    const leases = api.app.get(LeasesService, { strict: false })
    await leases.sweep(new Date(Date.now() + 60_000 + 25_000))
    expect((await call('GET', `/v1/sessions/${sid}`)).body).toMatchObject({ state: 'live' })
    // The gateway's word shortens the wait; the agent's lease request makes it whole again.
    link.write({ sessionClosed: { sessionId: sid, reason: 'client_closed' } })
    await expect.poll(async () => Date.parse((await call('GET', `/v1/sessions/${sid}`)).body.lease_until) <= Date.now()).toBe(true)
    link.write(signedBy(agent, { agentId: agent.id, instanceId, counter: ++counter, leaseRequest: { sessionIds: [sid] } }))
    await down.take(jwsOf(jwsType.lease))
    await leases.sweep(new Date(Date.now() + 31_000))
    expect((await call('GET', `/v1/sessions/${sid}`)).body).toMatchObject({ state: 'live' })
    await leases.sweep(new Date(Date.now() + 60_000 + 31_000))
    expect((await call('GET', `/v1/sessions/${sid}`)).body).toMatchObject({ state: 'ended', end_reason: 'lost' })
    expect((await call('GET', `/v1/events?kind=session.lost&session=${sid}`)).body.items).toHaveLength(1)
    link.write(signedBy(agent, { agentId: agent.id, instanceId, counter: ++counter, leaseRequest: { sessionIds: [sid] } }))
    await down.take((message) => {
      const jws = jwsOf(jwsType.kill)(message)
      return jws !== undefined && Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString().includes(sid) && jws
    })
  })

  it('shuts out a revoked agent, with its sessions', async () => {
    const { granted } = await open({ user: 'orders-db', secret: await issuer.mint(ciClaims) })
    expect((await call('POST', `/v1/agents/${agent.id}/revoke`)).status).toBe(204)
    expect(await down.take((message) => message.agentVerdict)).toMatchObject({ agentId: agent.id, accepted: false, reason: expect.stringMatching(/revoked/) })
    await down.take((message) => message.kill?.sessionId === granted?.sessionId && message.kill)
    expect((await open({ user: 'orders-db', secret: await issuer.mint(ciClaims) })).refused).toMatchObject({ code: 'NO_AGENT' })
  })

  it('has all of it in an audit chain that verifies', async () => {
    expect((await call('GET', '/v1/audit/verify')).body).toMatchObject({ ok: true })
    const kinds = new Set<string>()
    let cursor = ''
    do {
      const page = (await call('GET', `/v1/events?limit=200${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`)).body
      for (const item of page.items) kinds.add(item.kind)
      cursor = page.next ?? ''
    } while (cursor !== '')
    for (const kind of ['node.enrolled', 'node.connected', 'credential.issued', 'credential.revoked', 'auth.failed', 'auth.succeeded', 'session.opened', 'session.refused', 'session.killed', 'node.revoked', 'alert']) {
      expect(kinds).toContain(kind)
    }
  })

  it('answers health checks and metrics without a token, and nothing else', async () => {
    expect((await call('GET', '/readyz', undefined, '')).body).toMatchObject({ ok: true })
    expect((await call('GET', '/metrics', undefined, '')).body).toContain('sallyport_api_gateways_linked 1')
    for (const path of ['/v1/sessions', '/v1/agents', '/v1/credentials', '/v1/targets']) expect((await call('GET', path, undefined, '')).status).toBe(401)
    expect((await call('POST', '/v1/token', { filler: 'x'.repeat(70_000) }, '')).status).toBe(413)
  })
})
