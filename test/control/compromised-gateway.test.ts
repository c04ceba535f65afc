import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { CompactSign, decodeProtectedHeader } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { psqlSession } from '../support/client.js'
import { direct, eventually } from '../support/direct.js'
import { EvilGateway } from '../support/evil-gateway.js'
import { Stack } from '../support/stack.js'

/**
 * The design's section 3: the gateway is an untrusted relay for integrity. Here one of two gateways is the attacker's, with
 * its real key and certificate and with the agent on its tunnel.
 */
let stack: Stack
let evil: EvilGateway

const policyFile = path.resolve(import.meta.dirname, '../../examples/demo/policy.yaml')

beforeAll(async () => {
  stack = await Stack.start({ gateways: 2, env: { SALLYPORT_LEASE_SECONDS: '6' } })
  evil = await EvilGateway.takeOver(stack, 1)
  await evil.agentConnected()
  // At first it is the only way to the agent, and later the first of two.
  const honest = stack.line.gateways[0]
  if (honest) process.kill(honest.pid, 'SIGKILL')
  await eventually(async () => (await stack.api('GET', '/v1/agents')).body.items.find((node: { kind: string }) => node.kind === 'agent').gateways.length === 1, 'the other gateway is gone')
})

afterAll(async () => {
  evil?.stop()
  await stack?.stop()
})

async function applyPolicy(change: (text: string) => string): Promise<void> {
  const { status, body } = await stack.api('POST', '/v1/apply', { documents: [{ path: 'policy.yaml', text: change(readFileSync(policyFile, 'utf8')) }] })
  expect({ status, body: JSON.stringify(body).slice(0, 500) }).toMatchObject({ status: 200 })
}

function payloadOf(jws: string): any {
  return JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString())
}

async function pendingApproval(session: string): Promise<string> {
  return eventually(async () => (await stack.api('GET', `/v1/approvals?state=pending&session=${session}`)).body.items[0]?.id, 'the hold is stored')
}

describe('C a compromised gateway: grants', () => {
  test('C a grant that it signs itself, or changes, opens nothing', async () => {
    const { sessionId, grant } = await evil.granted()
    const [header = '', , signature = ''] = grant.split('.')
    const wider = { ...payloadOf(grant), rules: [{ policy: 'evil', index: 0, verdict: 'allow', actions: ['sql'], on: ['*'] }] }
    const changed = `${header}.${Buffer.from(JSON.stringify(wider)).toString('base64url')}.${signature}`
    const { privateKey } = generateKeyPairSync('ed25519')
    const own = await new CompactSign(Buffer.from(JSON.stringify(wider)))
      .setProtectedHeader({ alg: 'EdDSA', typ: 'grant+jwt', kid: decodeProtectedHeader(grant).kid ?? '' })
      .sign(privateKey)
    const none = `${Buffer.from(JSON.stringify({ alg: 'none', typ: 'grant+jwt', kid: decodeProtectedHeader(grant).kid })).toString('base64url')}.${Buffer.from(JSON.stringify(wider)).toString('base64url')}.`
    for (const forged of [changed, own, none]) expect(await evil.closed(evil.open(sessionId, forged))).toMatchObject({ code: 'GRANT_REFUSED' })
  })

  test('C a grant opens one session, under its own id', async () => {
    const { sessionId, grant } = await evil.granted()
    const channel = evil.open(sessionId, grant)
    await evil.ready(channel)
    expect(await evil.closed(evil.open(sessionId, grant))).toMatchObject({ code: 'GRANT_REFUSED' })
    evil.close(channel)
    expect(await evil.closed(evil.open(sessionId, grant))).toMatchObject({ code: 'GRANT_REFUSED' })
    const other = await evil.granted()
    expect(await evil.closed(evil.open(sessionId, other.grant))).toMatchObject({ code: 'GRANT_REFUSED' })
  })

  test('C a grant that is held back until its session was killed opens nothing', async () => {
    const { sessionId, grant } = await evil.granted()
    expect((await stack.api('POST', `/v1/sessions/${sessionId}/kill`, { reason: 'test' })).status).toBe(204)
    await eventually(async () => evil.received('kill+jwt').some(({ payload }) => payload.sid === sessionId), 'the kill was sent')
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(await evil.closed(evil.open(sessionId, grant), 1500)).toMatchObject({ code: 'GRANT_REFUSED' })
  })

  test('C a grant that is held back until the policy was narrowed opens nothing', async () => {
    const { sessionId, grant } = await evil.granted()
    try {
      await applyPolicy((text) => text.replace('allow: [sql.insert, sql.copy_in]', 'allow: [sql.insert]'))
      await eventually(async () => evil.received('grant+jwt').some(({ payload }) => payload.sid === sessionId), 'the update was sent')
      await new Promise((resolve) => setTimeout(resolve, 200))
      expect(await evil.closed(evil.open(sessionId, grant), 1500)).toMatchObject({ code: 'GRANT_REFUSED' })
    } finally {
      await applyPolicy((text) => text)
    }
  })

  test('C a session whose narrowed grant it withholds gets no new lease', async () => {
    const { sessionId, grant } = await evil.granted()
    const channel = evil.open(sessionId, grant)
    await evil.ready(channel)
    evil.passes = (typ) => typ !== 'grant+jwt'
    try {
      await applyPolicy((text) => text.replace('allow: [sql.insert, sql.copy_in]', 'allow: [sql.insert]'))
      await eventually(async () => evil.received('lease+jwt').some(({ payload }) => payload.sids.includes(sessionId) && payload.versions[payload.sids.indexOf(sessionId)] === 2), 'a lease was given')
      const before = Date.now()
      const end = await evil.closed(channel, 15_000)
      expect(channel.data + end.message).toMatch(/control plane can not be reached/)
      expect(Date.now() - before).toBeLessThan(8000)
    } finally {
      evil.passes = () => true
      await applyPolicy((text) => text)
    }
  })
})

describe('C a compromised gateway: approvals', () => {
  test('A an approval of one command does not run the same command a second time, nor one of another session', async () => {
    const sql = "UPDATE orders SET status = status || '!' WHERE id = 3"
    const { sessionId, grant } = await evil.granted()
    const channel = evil.open(sessionId, grant)
    await evil.ready(channel)
    const [before] = await direct<{ status: string }>(stack, 'SELECT status FROM orders WHERE id = 3')
    evil.query(channel, sql)
    const approval = await pendingApproval(sessionId)
    expect((await stack.api('POST', `/v1/approvals/${approval}/approve`, {}, stack.token('dana'))).status).toBe(200)
    await eventually(async () => channel.data.includes('UPDATE 1'), 'the approved command ran')
    const approvals = evil.received('approval+jwt').filter(({ payload }) => payload.sid === sessionId)
    expect(approvals.length).toBeGreaterThan(0)

    evil.query(channel, sql)
    const second = await pendingApproval(sessionId)
    const other = await evil.granted()
    const elsewhere = evil.open(other.sessionId, other.grant)
    await evil.ready(elsewhere)
    evil.query(elsewhere, sql)
    await pendingApproval(other.sessionId)
    for (const { jws, payload } of approvals) {
      evil.toAgent(jws)
      const { privateKey } = generateKeyPairSync('ed25519')
      const mine = { ...payload, command: '2', approval: second, exp: payload.exp + 600 }
      evil.toAgent(await new CompactSign(Buffer.from(JSON.stringify(mine))).setProtectedHeader(decodeProtectedHeader(jws) as { alg: string }).sign(privateKey))
      // A message of another type with the same key must not be taken for an approval.
      for (const { jws: held } of evil.received('held+jwt')) evil.toAgent(held)
    }
    await new Promise((resolve) => setTimeout(resolve, 1000))
    const [after] = await direct<{ status: string }>(stack, 'SELECT status FROM orders WHERE id = 3')
    expect(after?.status).toBe(`${before?.status}!`)
    evil.close(channel)
    evil.close(elsewhere)
  })
})

describe('C a compromised gateway: the link', () => {
  test('C it can neither repeat, change nor invent a message of an agent', async () => {
    const signed = await eventually(async () => evil.signed.at(-1), 'the agent has said something')
    evil.up({ link: { agentId: evil.agentId, instanceId: evil.instanceId, message: signed } })
    await eventually(async () => (await stack.events('kind=alert&text=AGENT_REPLAY'))[0], 'the repetition is told')
    const changed = Buffer.from(signed.payload)
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1
    evil.up({ link: { agentId: evil.agentId, instanceId: evil.instanceId, message: { payload: changed, signature: signed.signature } } })
    await eventually(async () => (await stack.events('kind=alert&text=AGENT_SIGNATURE'))[0], 'the change is told')
  })

  test('C it can not speak for an agent with another certificate, nor for a second process of a connected one', async () => {
    const verdictOf = (instanceId: string): Promise<{ accepted: boolean; reason: string }> =>
      eventually(async () => evil.down.find((message) => message.agentVerdict?.instanceId === instanceId)?.agentVerdict ?? undefined, 'a verdict')
    const up = { agentId: evil.agentId, version: '1', protocols: ['postgres'] }
    evil.up({ agentUp: { ...up, instanceId: 'mine-1', certificateSha256: 'ab'.repeat(32) } })
    expect(await verdictOf('mine-1')).toMatchObject({ accepted: false })
    evil.up({ agentUp: { ...up, instanceId: 'mine-2', certificateSha256: evil.certificateSha256 } })
    expect(await verdictOf('mine-2')).toMatchObject({ accepted: false })
    await eventually(async () => (await stack.events('kind=alert&text=DUPLICATE_AGENT'))[0], 'the alert')
  })

  test('C what it withholds, either way, still reaches the agent through an honest gateway', async () => {
    await stack.restart('gateway-0')
    await eventually(async () => (await stack.api('GET', '/v1/agents')).body.items.find((node: { kind: string }) => node.kind === 'agent').gateways.length === 2, 'the agent is on both')
    evil.passes = () => false
    evil.relays = false
    try {
      const session = psqlSession(await stack.pgEnv({ gateway: 0 }))
      session.send("UPDATE orders SET status = 'through-the-honest-one' WHERE id = 4;\n")
      await session.seen(/waits for approval/, 8000)
      const { body } = await stack.api('GET', '/v1/approvals?state=pending')
      const mine = body.items.find((item: { text: string }) => item.text.includes('through-the-honest-one'))
      expect((await stack.api('POST', `/v1/approvals/${mine.id}/approve`, {}, stack.token('dana'))).status).toBe(200)
      await eventually(async () => (await direct(stack, "SELECT 1 FROM orders WHERE status = 'through-the-honest-one'")).length === 1, 'it ran', 8000)
      session.end()
      await session.exited
      // For longer than a lease.
      const reading = psqlSession(await stack.pgEnv({ gateway: 0 }))
      reading.send('SELECT 1;\n')
      await new Promise((resolve) => setTimeout(resolve, 9000))
      reading.send("SELECT 'still leased';\n")
      await reading.seen(/still leased/)
      reading.end()
      await reading.exited
    } finally {
      evil.relays = true
      evil.passes = () => true
    }
  })

  test('C it opens nothing for another protocol, target or database than the proof is for', async () => {
    const token = await stack.mint()
    expect(await evil.openSession('orders-db', token, { protocol: 'mysql' })).toMatchObject({ refused: { code: 'TARGET_UNKNOWN' } })
    expect(await evil.openSession('other-db', token)).toMatchObject({ refused: { code: 'TARGET_UNKNOWN' } })
    expect(await evil.openSession('orders-db', token, { parameters: { database: 'postgres' } })).toMatchObject({ refused: { code: 'DATABASE_REFUSED' } })
    // Start-up facts go to the agent past the control plane: the agent must not believe them.
    const { sessionId, grant } = await evil.granted()
    const channel = evil.open(sessionId, grant, { user: 'postgres', database: 'postgres', options: '-c session_preload_libraries=evil -c search_path=evil', client_encoding: 'SJIS', standard_conforming_strings: 'off', role: 'postgres' })
    await evil.ready(channel).catch(() => undefined)
    if (!channel.closed) {
      evil.query(channel, "SELECT current_user || '/' || current_database() || '/' || current_setting('client_encoding') || '/' || current_setting('standard_conforming_strings')")
      await eventually(async () => /sallyport_agent\/orders\/UTF8\/on|42501/.test(channel.data), 'nothing of it counted')
      evil.close(channel)
    }
  })

  test('C revoking it ends its sessions within two seconds, through the honest gateway', async () => {
    const { sessionId, grant } = await evil.granted()
    const channel = evil.open(sessionId, grant)
    await evil.ready(channel)
    evil.passes = () => false
    evil.relays = false
    expect((await stack.api('POST', `/v1/agents/${evil.identity.nodeId}/revoke`)).status).toBe(204)
    await evil.closed(channel, 2500)
    await expect(evil.granted()).rejects.toThrow()
    expect((await stack.api('GET', `/v1/sessions/${sessionId}`)).body).toMatchObject({ state: expect.stringMatching(/killed|ended/) })
  })
})
