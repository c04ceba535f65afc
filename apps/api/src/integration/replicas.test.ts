import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { passableDirectory } from '@sallyport/embedded-postgres'
import type { GatewayDownReceived, OpenSessionReplyReceived } from '@sallyport/proto'
import { startApi, type RunningApi } from '../start.js'
import { adminTokenIn, environmentIn } from './environment.js'
import { TestIssuer } from './issuer.js'
import { controlPlaneClient, enrol, Received, type LinkStream, type OpenStream, type TestNode } from './test-node.js'

/** Two replicas on one database: what one is told, the other one's gateways and agents learn. */
let issuer: TestIssuer
let directory: string
let first: RunningApi
let second: RunningApi
let admin: string
let gateway: TestNode
let agent: TestNode
const clients: ReturnType<typeof controlPlaneClient>[] = []

const documents = (action: string): string => `${issuer.document}---
apiVersion: sallyport.dev/v1
kind: Workload
metadata: { name: shop-ci }
spec: { provider: ci, match: [{ claim: repository_id, equals: "123" }] }
---
apiVersion: sallyport.dev/v1
kind: Target
metadata: { name: orders-db }
spec: { protocol: postgres, agent: agent-1, postgres: { host: 127.0.0.1, database: orders, user: app } }
---
apiVersion: sallyport.dev/v1
kind: Policy
metadata: { name: shop }
spec: { subjects: [{ workload: shop-ci }], targets: { names: [orders-db] }, rules: [{ allow: ${action}, on: "public.*" }] }
`

async function post(api: RunningApi, path: string, body: unknown): Promise<any> {
  const response = await fetch(api.httpUrl + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${admin}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const text = await response.text()
  expect(response.ok, text).toBe(true)
  return text === '' ? {} : JSON.parse(text)
}

function clientOf(api: RunningApi): ReturnType<typeof controlPlaneClient> {
  const client = controlPlaneClient(api.grpcPort, gateway, gateway.caPem)
  clients.push(client)
  return client
}

async function linkTo(api: RunningApi): Promise<Received<GatewayDownReceived>> {
  const link: LinkStream = clientOf(api).link()
  const down = new Received<GatewayDownReceived>(link)
  link.write({ hello: { version: '1', instanceId: 'g' } })
  link.write({ agentUp: { agentId: agent.id, instanceId: 'i', certificateSha256: agent.certificateSha256, version: '1', protocols: ['postgres'] } })
  expect(await down.take((message) => message.agentVerdict)).toMatchObject({ accepted: true })
  return down
}

async function openOn(api: RunningApi): Promise<string> {
  const stream: OpenStream = clientOf(api).openSession()
  const replies = new Received<OpenSessionReplyReceived>(stream)
  stream.write({ start: { protocol: 'postgres', user: 'orders-db', clientAddress: '127.0.0.1:1' } })
  await replies.take((reply) => reply.askPassword)
  stream.write({ password: Buffer.from(await issuer.mint({ repository_id: '123' })) })
  const end = await replies.take((reply) => reply)
  expect(end.refused ?? undefined).toBeUndefined()
  return end.granted?.sessionId ?? ''
}

beforeAll(async () => {
  issuer = await TestIssuer.start()
  directory = passableDirectory('sallyport-api-replicas-')
  first = await startApi(environmentIn(directory), false)
  admin = await adminTokenIn(directory)
  const data = join(directory, 'data')
  const password = (await readFile(join(data, 'postgres-password'), 'utf8')).trim()
  const port = (await readFile(join(data, 'postgres', 'postmaster.pid'), 'utf8')).split('\n')[3]
  second = await startApi({ ...environmentIn(directory), DATABASE_URL: `postgresql://sallyport:${password}@127.0.0.1:${port}/postgres` }, false)
  await post(first, '/v1/apply', { documents: [{ path: 'a.yaml', text: documents('sql.select') }] })
  gateway = await enrol(first.grpcPort, (await post(first, '/v1/agents/tokens', { kind: 'gateway', name: 'gw-1' })).token)
  agent = await enrol(second.grpcPort, (await post(second, '/v1/agents/tokens', { kind: 'agent', name: 'agent-1' })).token)
})

afterAll(async () => {
  for (const client of clients) client.close()
  await second?.stop()
  await first?.stop()
  issuer?.stop()
  await rm(directory, { recursive: true, force: true })
})

it('opens, regrants and kills on one replica what the other one’s link carries', async () => {
  const down = await linkTo(first)
  // Of the two replicas, the second holds no link; presence comes from the database.
  const sid = await openOn(second)
  await post(second, '/v1/apply', { documents: [{ path: 'a.yaml', text: documents('sql.insert') }] })
  const grant = await down.take((message) => message.link && JSON.parse(Buffer.from(message.link.jws.toString().split('.')[1] ?? '', 'base64url').toString()))
  expect(grant).toMatchObject({ sid, version: 2 })
  const start = Date.now()
  await post(second, `/v1/sessions/${sid}/kill`, { reason: 'test' })
  expect(await down.take((message) => message.kill)).toMatchObject({ sessionId: sid, reason: 'test' })
  expect(Date.now() - start).toBeLessThan(2000)
})

it('comes back after a restart with the same keys, its sessions and its gateways', async () => {
  const sid = await openOn(second)
  await second.stop()
  await first.stop()
  first = await startApi(environmentIn(directory), false)
  const down = await linkTo(first)
  const again = await enrol(first.grpcPort, (await post(first, '/v1/agents/tokens', { kind: 'agent', name: 'agent-2' })).token)
  expect(again.bundle).toBe(gateway.bundle)
  await post(first, `/v1/sessions/${sid}/kill`, { reason: 'after the restart' })
  expect(await down.take((message) => message.kill)).toMatchObject({ sessionId: sid })
})
