import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { SinkDestination } from '@sallyport/policy'
import { DeliveryError, type Sender } from '../delivery.js'
import { fieldsOf, numberOf } from '../record.js'
import type { ShapedRecord } from '../shape.js'
import { expectSuccess, HttpReceiver, parseAnswer, type HttpAnswer } from './http.js'
import { tlsOptions, type ResolveSecret } from './secrets.js'

type Spec = Extract<SinkDestination, { kind: 'splunk_hec' }>

const pollMs = 250
/** Codes of HEC that speak of the data: no data, invalid data format, event field required, blank, query string, fields. Others speak of token, index or channel. */
const dataCodes = new Set([5, 6, 12, 13, 15])

/** Splunk's HTTP Event Collector. With indexer acknowledgement the cursor moves only when the indexers say that they have it. */
export async function splunkHecSender(spec: Spec, resolve: ResolveSecret): Promise<Sender> {
  const token = await resolve(spec.token)
  const receiver = new HttpReceiver(spec.url, await tlsOptions(spec.tls, resolve))
  const channel = randomUUID()
  const headers = { authorization: `Splunk ${token}`, 'content-type': 'application/json', ...(spec.acknowledge ? { 'x-splunk-request-channel': channel } : {}) }

  async function acknowledged(ackId: number, signal: AbortSignal): Promise<void> {
    const body = Buffer.from(JSON.stringify({ acks: [ackId] }))
    for (;;) {
      const answer = await receiver.request('POST', `/services/collector/ack?channel=${channel}`, headers, body, signal)
      if (answer.status !== 200) throw new DeliveryError('unavailable', `HTTP_${answer.status}`, `the receiver answered ${answer.status} when it was asked for the acknowledgement`)
      if (fieldsOf(fieldsOf(parseAnswer(answer))['acks'])[String(ackId)] === true) return
      await sleep(pollMs, undefined, { signal }).catch(() => {
        throw new DeliveryError('unavailable', 'NOT_ACKNOWLEDGED', 'the indexers did not acknowledge the batch in time')
      })
    }
  }

  return {
    async send(batch, signal) {
      const body = Buffer.from(batch.map((record) => JSON.stringify(envelope(record, spec)).slice(0, -1) + `,"event":${record.json}}`).join('\n'))
      const answer = await receiver.request('POST', '/services/collector/event', headers, body, signal)
      expectTaken(answer)
      if (!spec.acknowledge) return []
      const ackId = numberOf(fieldsOf(parseAnswer(answer))['ackId'])
      if (ackId === undefined) throw new DeliveryError('unavailable', 'NO_ACK_ID', 'the token has no indexer acknowledgement: turn it on, or set acknowledge: false')
      await acknowledged(ackId, signal)
      return []
    },
    close: () => Promise.resolve(receiver.close()),
  }
}

function envelope(record: ShapedRecord, spec: Spec): object {
  return {
    time: record.millis / 1000,
    host: 'sallyport',
    source: spec.source,
    sourcetype: spec.sourcetype,
    ...(spec.index === undefined ? {} : { index: spec.index }),
    fields: { event_id: record.id, position: String(record.position), kind: record.kind, ...(record.session === undefined ? {} : { session: record.session }) },
  }
}

function expectTaken(answer: HttpAnswer): void {
  if (answer.status !== 400) return expectSuccess(answer)
  const code = numberOf(fieldsOf(parseAnswer(answer))['code']) ?? -1
  const kind = dataCodes.has(code) ? 'rejected' : 'unavailable'
  throw new DeliveryError(kind, `HEC_${code}`, `the collector answered 400 with its code ${code}`)
}
