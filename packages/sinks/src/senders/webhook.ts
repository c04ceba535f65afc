import { createHmac } from 'node:crypto'
import type { SinkDestination } from '@sallyport/policy'
import { DeliveryError, type Sender } from '../delivery.js'
import { expectSuccess, HttpReceiver } from './http.js'
import { headersOf, tlsOptions, type ResolveSecret } from './secrets.js'

type Spec = Extract<SinkDestination, { kind: 'webhook' }>

/** HMAC-SHA-256 over `id.timestamp.body` (Standard Webhooks 1.0, symmetric signatures). */
export function sign(key: Uint8Array, id: string, seconds: number, body: string): string {
  return 'v1,' + createHmac('sha256', key).update(`${id}.${seconds}.${body}`, 'utf8').digest('base64')
}

function keyOf(secret: string): Buffer {
  const key = Buffer.from(secret.startsWith('whsec_') ? secret.slice(6) : '', 'base64')
  if (key.length < 24 || key.length > 64) throw new DeliveryError('unavailable', 'SECRET_INVALID', 'the signing secret must be whsec_ and base64 of 24 to 64 bytes')
  return key
}

/** Posts batches as `{"type":"sallyport.events","timestamp":…,"data":[…]}`. `webhook-id` is the same when a batch is sent again. */
export async function webhookSender(spec: Spec, name: string, resolve: ResolveSecret, now: () => number = Date.now): Promise<Sender> {
  const key = keyOf(await resolve(spec.secret))
  const headers = await headersOf(spec.headers, resolve)
  const receiver = new HttpReceiver(spec.url, await tlsOptions(spec.tls, resolve))
  return {
    async send(batch, signal) {
      const millis = now()
      const seconds = Math.floor(millis / 1000)
      const id = `${name}_${batch[0]?.position ?? 0}_${batch.at(-1)?.position ?? 0}`
      const body = `{"type":"sallyport.events","timestamp":"${new Date(millis).toISOString()}","data":[${batch.map((record) => record.json).join(',')}]}`
      const signed = { 'content-type': 'application/json', 'webhook-id': id, 'webhook-timestamp': String(seconds), 'webhook-signature': sign(key, id, seconds, body) }
      expectSuccess(await receiver.request('POST', '', { ...headers, ...signed }, Buffer.from(body), signal))
      return []
    },
    close: () => Promise.resolve(receiver.close()),
  }
}
