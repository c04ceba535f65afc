import type { SinkDestination } from '@sallyport/policy'
import { DeliveryError, type Rejected, type Sender } from '../delivery.js'
import { fieldsOf, listOf, numberOf, textOf } from '../record.js'
import { expectSuccess, HttpReceiver, parseAnswer } from './http.js'
import { tlsOptions, type ResolveSecret } from './secrets.js'

type Spec = Extract<SinkDestination, { kind: 'elasticsearch' }>

const conflict = 409

/** Bulk API with `create` and the event's id as `_id`: what arrives a second time is refused by the index as a duplicate, and that is success. */
export async function elasticsearchSender(spec: Spec, resolve: ResolveSecret): Promise<Sender> {
  const authorization = spec.authorization === undefined ? {} : { authorization: await resolve(spec.authorization) }
  const receiver = new HttpReceiver(spec.url, await tlsOptions(spec.tls, resolve))
  return {
    async send(batch, signal) {
      const lines = batch.map((record) => `${JSON.stringify({ create: { _id: record.id } })}\n${record.json}\n`).join('')
      const answer = await receiver.request('POST', `/${spec.index}/_bulk`, { ...authorization, 'content-type': 'application/x-ndjson' }, Buffer.from(lines), signal)
      expectSuccess(answer)
      const items = listOf(fieldsOf(parseAnswer(answer))['items'])
      if (items.length !== batch.length) throw new DeliveryError('unavailable', 'ANSWER_INVALID', 'the receiver answered for another number of records')
      return items.flatMap((item, i): Rejected[] => {
        const record = batch[i]
        const { status, type } = itemOf(item)
        if (record === undefined || status === conflict || (status >= 200 && status < 300)) return []
        // The whole batch comes again: what was stored conflicts then, so that order and completeness are kept.
        if (status !== 400 && status !== 413) throw new DeliveryError('unavailable', `ITEM_${status}`, `the index did not take a record (${status}, ${type})`)
        return [{ record, code: `ITEM_${status}`, reason: `the index refused the record (${status}, ${type})` }]
      })
    },
    close: () => Promise.resolve(receiver.close()),
  }
}

function itemOf(item: unknown): { status: number; type: string } {
  const create = fieldsOf(fieldsOf(item)['create'])
  // The error's type is a word of Elasticsearch's; its reason quotes the document.
  return { status: numberOf(create['status']) ?? 0, type: (textOf(fieldsOf(create['error'])['type']) ?? 'no reason given').slice(0, 100) }
}
