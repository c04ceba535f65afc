import { createHmac } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { createServer as createHttp } from 'node:http'
import { createServer as createTcp, type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Client, psql } from '../support/client.js'
import { Stack } from '../support/stack.js'

/** A psql session's events arrive in a file, at a webhook and in syslog: whole, in order, each with its own masks; also over kill -9. */
const key = Buffer.alloc(32, 9)
const directory = mkdtempSync(path.join(tmpdir(), 'sallyport-sinks-e2e-'))
const posted: any[] = []
const frames: string[] = []
let webhookUp = true
let stack: Stack
const servers: Server[] = []

async function listen(server: Server): Promise<number> {
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port // decoder: a TCP server has this form
}

const webhook = createHttp((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const body = Buffer.concat(chunks).toString()
    const signature = 'v1,' + createHmac('sha256', key).update(`${String(request.headers['webhook-id'])}.${String(request.headers['webhook-timestamp'])}.${body}`).digest('base64')
    if (request.headers['webhook-signature'] !== signature) return response.writeHead(401).end()
    if (!webhookUp) return response.writeHead(503).end()
    posted.push(...JSON.parse(body).data)
    return response.writeHead(204).end()
  })
})

/** Takes octet-counted frames apart. */
const syslog = createTcp((socket) => {
  let rest = Buffer.alloc(0)
  socket.on('error', () => undefined)
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    for (;;) {
      const space = rest.indexOf(0x20)
      const length = Number(rest.subarray(0, Math.max(0, space)).toString())
      if (space < 1 || rest.length < space + 1 + length) return
      frames.push(rest.subarray(space + 1, space + 1 + length).toString())
      rest = rest.subarray(space + 1 + length)
    }
  })
})

beforeAll(async () => {
  const [hook, log] = [await listen(webhook), await listen(syslog)]
  stack = await Stack.start({ env: { SALLYPORT_SINK_DIRECTORY: directory, SALLYPORT_SINK_HOOK: 'whsec_' + key.toString('base64') } })
  const sink = (name: string, spec: string): string => `apiVersion: sallyport.dev/v1\nkind: Sink\nmetadata: { name: ${name} }\nspec: ${spec}\n`
  const text = [
    sink('archive', '{ file: { name: audit.jsonl }, mask: { parameters: keep, results: keep } }'),
    sink('hook', `{ webhook: { url: "http://127.0.0.1:${hook}/events", secret: "env:SALLYPORT_SINK_HOOK" }, shape: ocsf, mask: { statement: without_parameters, identity: pseudonym } }`),
    sink('siem', `{ syslog: { host: 127.0.0.1, port: ${log}, transport: tcp }, shape: ecs, kinds: [command, session], mask: { statement: digest } }`),
  ].join('---\n')
  const { status, body } = await stack.api('POST', '/v1/apply', { documents: [{ path: 'sinks.yaml', text }] })
  expect(status, JSON.stringify(body)).toBeLessThan(300)
})

afterAll(async () => {
  await stack?.stop()
  webhook.closeAllConnections()
  for (const server of servers) server.close()
  await rm(directory, { recursive: true, force: true })
})

const archived = async (): Promise<any[]> => (await readFile(path.join(directory, 'audit.jsonl'), 'utf8')).trim().split('\n').map((line) => JSON.parse(line))
const eventOf = (frame: string): any => JSON.parse(frame.slice(frame.indexOf('\ufeff') + 1))

test("a psql session's events arrive everywhere, in order, each receiver's masks applied", async () => {
  const env = await stack.pgEnv()
  for (let i = 0; i < 5; i++) expect((await psql(env, `SELECT count(*) FROM orders WHERE id = 4711${i} OR '' = 'planted-${i}'`)).stdout.trim()).toBe('0')

  const ofSession = async (): Promise<any[]> => (await archived()).filter(({ kind, event }) => kind === 'command' && String(event.text).includes('planted-4'))
  await expect.poll(ofSession, { timeout: 20_000 }).toHaveLength(1)
  const session: string = (await ofSession())[0].session
  await expect.poll(async () => (await archived()).filter((event) => event.session === session).at(-1)?.kind, { timeout: 20_000 }).toBe('session.end')

  // The file has the chain itself: every position once, without a gap.
  const all = await archived()
  expect(all.map(({ position }) => Number(position))).toEqual(all.map((_, i) => Number(all[0].position) + i))
  const wanted = all.filter((event) => event.session === session && event.kind !== 'recording').map(({ id }) => id)
  expect(wanted.length).toBeGreaterThanOrEqual(5)

  await expect.poll(() => posted.filter((event) => event.metadata.correlation_uid === session).map((event) => event.metadata.uid), { timeout: 20_000 }).toEqual(wanted)
  const query = posted.find((event) => event.metadata.correlation_uid === session && event.class_uid === 6005 && event.metadata.event_code === 'command')
  expect(query).toMatchObject({ activity_name: 'Query', database: { name: 'orders-db' }, action: 'Allowed', query_info: { query_string: "SELECT count(*) FROM orders WHERE id = ? OR ? = ?" } })
  expect(query.actor.user.name).toMatch(/^p-[0-9a-f]{32}$/)
  expect(JSON.stringify(posted)).not.toMatch(/planted-|= 4711|octo|acme/)

  await expect.poll(() => frames.map(eventOf).filter((event) => event.sallyport.session === session).map(({ event }) => event.id), { timeout: 20_000 }).toEqual(wanted)
  expect(frames.join()).not.toMatch(/planted-|= 4711/)
  const [command] = frames.map(eventOf).filter((event) => event.sallyport.session === session && event.event.action === 'command')
  expect(command).toMatchObject({ ecs: { version: '8.17.0' }, event: { category: ['database'] }, sallyport: { decision: 'allow', text_digest: expect.stringMatching(/^hmac-sha256:[0-9a-f]{64}$/) } })
})

test('a receiver that is down holds nothing up; after kill -9 of the control plane everything is there', async () => {
  webhookUp = false
  const env = await stack.pgEnv()
  const started = Date.now()
  expect((await psql(env, "SELECT 'while the hook is down'")).code).toBe(0)
  expect(Date.now() - started).toBeLessThan(10_000)
  await expect.poll(async () => (await stack.api('GET', '/v1/sinks')).body.items.find((sink: { name: string }) => sink.name === 'hook'), { timeout: 20_000 }).toMatchObject({ state: 'failing', last_error: expect.stringContaining('HTTP_503') })

  process.kill(stack.line.pids.api, 'SIGKILL')
  await stack.restart('api')
  webhookUp = true
  await expect
    .poll(async () => (await stack.api('GET', '/v1/sinks')).body.items.map((sink: any) => [sink.name, sink.state, sink.lag_records]), { timeout: 60_000, interval: 500 })
    .toEqual([['archive', 'running', 0], ['hook', 'running', 0], ['siem', 'running', 0]])
  const all = await archived()
  const [ids, hooked] = [new Set(all.map(({ id }) => id)), new Set(posted.map((event) => event.metadata.uid))]
  for (const { id, kind } of all) if (kind !== 'recording') expect(hooked).toContain(id)
  expect([...ids].length).toBe(Math.max(...all.map(({ position }) => Number(position))) - Number(all[0].position) + 1)
})

test('people see and try sinks from the command line, by role; metrics count them', async () => {
  const cli = async (words: readonly string[], token = stack.line.api.adminToken): Promise<Client & { code: number }> => {
    const [program = '', ...args] = stack.line.cli.argv
    const client = new Client(program, [...args, ...words], { ...process.env, ...stack.line.cli.env, SALLYPORT_TOKEN: token } as Record<string, string>, '')
    return Object.assign(client, { code: await client.exited })
  }
  const list = await cli(['sinks', 'list'])
  expect(list.stdout).toMatch(/archive +file +native +running/)
  expect((await cli(['sinks', 'test', 'siem'])).stdout).toContain('acknowledged')
  expect(frames.some((frame) => frame.includes('kind="sink.tested"'))).toBe(true)
  webhookUp = false
  const failed = await cli(['sinks', 'test', 'hook'])
  webhookUp = true
  expect([failed.code, failed.stdout]).toEqual([1, expect.stringContaining('HTTP_503')])
  expect((await cli(['sinks', 'dead-letters', 'hook'])).stdout).toContain('No dead letters.')
  expect((await cli(['sinks', 'retry', 'hook', '--all'])).stdout).toContain('0 dead letters')
  expect((await stack.api('GET', '/v1/sinks/nobody/dead-letters')).status).toBe(404)
  expect((await stack.api('POST', '/v1/sinks/hook/dead-letters/retry', { sink: 'x' })).status).toBe(400)
  for (const [method, route] of [['GET', '/v1/sinks'], ['GET', '/v1/sinks/hook/dead-letters'], ['POST', '/v1/sinks/hook/test'], ['POST', '/v1/sinks/hook/dead-letters/retry']] as const) {
    expect((await stack.api(method, route, method === 'POST' ? {} : undefined, stack.token('dana'))).status).toBe(403)
  }
  const metrics = await (await fetch(`${stack.line.api.url}/metrics`)).text()
  expect(metrics).toMatch(/sallyport_api_sink_lag_records\{sink="archive"\} \d+/)
  expect(metrics).toMatch(/sallyport_api_sink_events_sent_total\{sink="siem"\} \d+/)
})

test('a document can name neither a secret of the control plane nor a receiver without TLS', async () => {
  const apply = (spec: string) => stack.api('POST', '/v1/apply', { documents: [{ path: 's.yaml', text: `apiVersion: sallyport.dev/v1\nkind: Sink\nmetadata: { name: evil }\nspec: ${spec}\n` }] })
  for (const spec of ['{ file: { name: ../x } }', '{ file: { name: /etc/x } }', '{ otlp: { url: "http://192.0.2.1/" } }', '{ syslog: { host: logs.example, transport: tcp } }', '{ webhook: { url: "https://a.example", secret: whsec_x } }', '{ stdout: {}, file: { name: a } }', '{}']) {
    expect((await apply(spec)).status, spec).toBe(422)
  }
  expect((await apply('{ webhook: { url: "http://127.0.0.1:9/", secret: "env:SALLYPORT_MASTER_KEY" } }')).status).toBe(200)
  expect((await stack.api('POST', '/v1/sinks/evil/test')).body).toMatchObject({ ok: false, code: 'SECRET_UNAVAILABLE', reason: expect.stringContaining('is not allowed') })
})
