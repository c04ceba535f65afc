import { afterEach, describe, expect, it } from 'vitest'
import { Webhook } from 'standardwebhooks'
// The generated code of the official .proto files, from a package of OpenTelemetry's own.
import root from '@opentelemetry/otlp-transformer/build/src/generated/root.js'
import { deliver } from '../delivery.js'
import { httpReceiver, type Answer, type Received } from '../testing/receiver.js'
import { recordsAt } from '../testing/records.js'
import { elasticsearchSender } from './elasticsearch.js'
import { otlpSender } from './otlp.js'
import { splunkHecSender } from './splunk-hec.js'
import { webhookSender } from './webhook.js'

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

async function receive(answer: Parameters<typeof httpReceiver>[0]) {
  const receiver = await httpReceiver(answer)
  closing.push(() => receiver.close())
  return receiver
}

const secrets = (reference: string): Promise<string> => Promise.resolve({ 'env:HOOK': 'whsec_' + Buffer.alloc(32, 7).toString('base64'), 'env:TOKEN': 't0k' }[reference] ?? '')
const soon = (): AbortSignal => AbortSignal.timeout(3000)
const lines = (request: Received): any[] => request.body.trim().split('\n').map((line) => JSON.parse(line))

describe('webhook', () => {
  const spec = (url: string) => ({ kind: 'webhook', url, secret: 'env:HOOK', headers: { 'x-team': 'env:TOKEN' }, tls: {} }) as const

  it("signs so that Standard Webhooks' own library verifies it, and only it", async () => {
    const receiver = await receive(() => ({ status: 204 }))
    const sender = await webhookSender(spec(receiver.url), 'siem', secrets)
    await sender.send(recordsAt(5, 6), soon())
    const [request] = receiver.requests
    const headers = Object.fromEntries(Object.entries(request?.headers ?? {}).map(([name, value]) => [name, String(value)]))
    const webhook = new Webhook(Buffer.alloc(32, 7).toString('base64'))
    expect(webhook.verify(request?.body ?? '', headers)).toMatchObject({ type: 'sallyport.events', data: [{ position: '5' }, { position: '6' }] })
    expect(() => webhook.verify((request?.body ?? '') + ' ', headers)).toThrow()
    expect(headers).toMatchObject({ 'webhook-id': 'siem_5_6', 'x-team': 't0k' })
    await sender.close()
  })

  it('follows no redirect, and takes a refused token for no fault of the records', async () => {
    const elsewhere = await receive(() => ({ status: 200 }))
    for (const [status, kind] of [[307, 'unavailable'], [401, 'unavailable'], [404, 'unavailable'], [410, 'unavailable'], [400, 'rejected'], [413, 'rejected']] as const) {
      const receiver = await receive(() => ({ status, headers: { location: elsewhere.url } }))
      const sender = await webhookSender(spec(receiver.url), 'siem', secrets)
      await expect(sender.send(recordsAt(1), soon())).rejects.toMatchObject({ kind, code: `HTTP_${status}` })
    }
    expect(elsewhere.requests).toEqual([])
  })

  it('is cut, slow, asked to wait: unavailable each time', async () => {
    const answers: (() => Answer | 'cut' | Promise<Answer>)[] = [() => 'cut', () => new Promise<Answer>(() => undefined), () => ({ status: 429, headers: { 'retry-after': '7' } })]
    for (const [i, expected] of [{ kind: 'unavailable' }, { code: 'TIMEOUT' }, { code: 'HTTP_429', retryAfterMs: 7000 }].entries()) {
      const receiver = await receive(answers[i] ?? (() => 'cut'))
      const sender = await webhookSender(spec(receiver.url), 'siem', secrets)
      await expect(sender.send(recordsAt(1), AbortSignal.timeout(300))).rejects.toMatchObject(expected)
      await sender.close()
    }
  })

  it('finds the records at fault by halves, in order, once each', async () => {
    const taken: string[] = []
    const receiver = await receive(({ body }) => {
      const positions: string[] = JSON.parse(body).data.map((event: { position: string }) => event.position)
      if (positions.some((position) => position === '3' || position === '8')) return { status: 400 }
      taken.push(...positions)
      return { status: 200 }
    })
    const outcome = await deliver(recordsAt(1, 2, 3, 4, 5, 6, 7, 8, 9), await webhookSender(spec(receiver.url), 'siem', secrets), soon())
    expect(taken).toEqual(['1', '2', '4', '5', '6', '7', '9'])
    expect(outcome).toMatchObject({ settled: 9, accepted: 7 })
    expect(outcome.rejected.map(({ record }) => record.position)).toEqual([3n, 8n])
  })
})

describe('OTLP', () => {
  const messages: any = root
  const request = messages.opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest

  it('is what the official messages decode to, with nothing lost', async () => {
    const receiver = await receive(() => ({ status: 200, body: '{}' }))
    const sender = await otlpSender({ kind: 'otlp', url: receiver.url + '/v1/logs', headers: {}, tls: {} }, secrets)
    await sender.send(recordsAt(1, 2), soon())
    const sent = JSON.parse(receiver.requests[0]?.body ?? '')
    // `eventName` is younger than this copy of the messages (1.5); everything else must come back as it went.
    const [scope] = sent.resourceLogs[0].scopeLogs
    for (const record of scope.logRecords) delete record.eventName
    expect(request.verify(request.fromObject(sent))).toBeNull()
    const decoded = request.toObject(request.decode(request.encode(request.fromObject(sent)).finish()), { longs: String })
    expect(JSON.parse(JSON.stringify(decoded))).toEqual(sent)
    expect(scope.logRecords[0].timeUnixNano).toBe('1767323045678901000')
    expect(receiver.requests[0]?.path).toBe('/v1/logs')
  })

  it('takes a partial success for a batch with records at fault', async () => {
    const receiver = await receive(({ body }) => ({ status: 200, body: body.includes('\\"position\\":\\"2\\"') ? '{"partialSuccess":{"rejectedLogRecords":"1"}}' : '{}' }))
    const outcome = await deliver(recordsAt(1, 2, 3), await otlpSender({ kind: 'otlp', url: receiver.url, headers: {}, tls: {} }, secrets), soon())
    expect(outcome.rejected.map(({ record, code }) => [record.position, code])).toEqual([[2n, 'OTLP_PARTIAL_SUCCESS']])
  })
})

describe('Elasticsearch', () => {
  const spec = (url: string) => ({ kind: 'elasticsearch', url, index: 'sallyport-audit', authorization: 'env:TOKEN', tls: {} }) as const

  it('creates under the event’s id: what comes twice is success, and what is refused is named one by one', async () => {
    const stored = new Map<string, unknown>()
    let full = false
    const receiver = await receive((request) => {
      expect(request).toMatchObject({ method: 'POST', path: '/sallyport-audit/_bulk', headers: { 'content-type': 'application/x-ndjson', authorization: 't0k' } })
      expect(request.body.endsWith('\n')).toBe(true)
      const all = lines(request)
      const items = all.flatMap((line, i) => {
        if (i % 2 === 1) return []
        const id: string = line.create._id
        const document: { position: string } = all[i + 1]
        if (document.position === '2') return [{ create: { _id: id, status: 400, error: { type: 'document_parsing_exception', reason: 'secret value' } } }]
        if (full && document.position === '3') return [{ create: { _id: id, status: 429, error: { type: 'es_rejected_execution_exception' } } }]
        if (stored.has(id)) return [{ create: { _id: id, status: 409, error: { type: 'version_conflict_engine_exception' } } }]
        stored.set(id, document)
        return [{ create: { _id: id, status: 201 } }]
      })
      return { status: 200, body: JSON.stringify({ errors: true, items }) }
    })
    const sender = await elasticsearchSender(spec(receiver.url), secrets)
    full = true
    expect(await deliver(recordsAt(1, 2, 3), sender, soon())).toMatchObject({ settled: 0, failure: { code: 'ITEM_429' } })
    full = false
    const outcome = await deliver(recordsAt(1, 2, 3), sender, soon())
    expect(outcome).toMatchObject({ settled: 3, accepted: 2, rejected: [{ code: 'ITEM_400' }] })
    expect(outcome.rejected[0]?.reason).not.toContain('secret')
    expect(stored.size).toBe(2)
  })
})

describe('Splunk HEC', () => {
  const spec = (url: string, acknowledge: boolean) => ({ kind: 'splunk_hec', url, token: 'env:TOKEN', index: 'audit', source: 'sallyport', sourcetype: 'sallyport:audit', acknowledge, tls: {} }) as const

  it('waits for the indexers when told so', async () => {
    let asked = 0
    const receiver = await receive((request) => {
      expect(request.headers['authorization']).toBe('Splunk t0k')
      const channel = String(request.headers['x-splunk-request-channel'])
      expect(channel).toMatch(/^[0-9a-f-]{36}$/)
      if (request.path === '/services/collector/event') return { status: 200, body: '{"text":"Success","code":0,"ackId":4}' }
      expect(request.path).toBe(`/services/collector/ack?channel=${channel}`)
      expect(JSON.parse(request.body)).toEqual({ acks: [4] })
      return { status: 200, body: JSON.stringify({ acks: { 4: ++asked > 1 } }) }
    })
    const sender = await splunkHecSender(spec(receiver.url, true), secrets)
    await sender.send(recordsAt(1, 2), soon())
    expect(asked).toBe(2)
    expect(lines(receiver.requests[0] ?? { method: '', path: '', headers: {}, body: '' })).toMatchObject([{ time: 1767323045.678, index: 'audit', event: { position: '1' }, fields: { position: '1', session: 's1' } }, { event: { position: '2' } }])
  })

  it('is not settled while they do not acknowledge, and tells its data’s faults from its settings’', async () => {
    const silent = await receive(({ path }) => ({ status: 200, body: path.includes('/ack') ? '{"acks":{"4":false}}' : '{"code":0,"ackId":4}' }))
    await expect((await splunkHecSender(spec(silent.url, true), secrets)).send(recordsAt(1), AbortSignal.timeout(700))).rejects.toMatchObject({ kind: 'unavailable' })
    for (const [code, kind] of [[6, 'rejected'], [12, 'rejected'], [7, 'unavailable'], [10, 'unavailable']] as const) {
      const receiver = await receive(() => ({ status: 400, body: JSON.stringify({ code, text: 'x' }) }))
      await expect((await splunkHecSender(spec(receiver.url, false), secrets)).send(recordsAt(1), soon())).rejects.toMatchObject({ kind, code: `HEC_${code}` })
    }
  })
})
