import { createHash } from 'node:crypto'
import type { SinkDestination } from '@sallyport/policy'
import { AwsV4Signer } from 'aws4fetch'
import { DeliveryError, type Sender } from '../delivery.js'
import type { ShapedRecord } from '../shape.js'
import { HttpReceiver } from './http.js'
import { jsonLines } from './lines.js'
import { parquetFile } from './parquet.js'
import { tlsOptions, type ResolveSecret } from './secrets.js'

type Spec = Extract<SinkDestination, { kind: 's3' }>

const formats = {
  jsonl: { write: jsonLines, type: 'application/x-ndjson' },
  parquet: { write: parquetFile, type: 'application/vnd.apache.parquet' },
} as const

/** `PREFIX2026/01/31/17/FIRST-LAST.jsonl` (or `.parquet`): by the hour of the first event, positions padded so that names sort as the chain does. */
export function objectKey(prefix: string, batch: readonly ShapedRecord[], format: keyof typeof formats): string {
  const hour = new Date(batch[0]?.millis ?? 0).toISOString().slice(0, 13).replaceAll(/[-T]/g, '/')
  const place = (record: ShapedRecord | undefined): string => String(record?.position ?? 0).padStart(20, '0')
  return `${prefix}${hour}/${place(batch[0])}-${place(batch.at(-1))}.${format}`
}

/** Batches as objects of an S3-compatible store. A batch that is sent again overwrites its own object. */
export async function s3Sender(spec: Spec, resolve: ResolveSecret): Promise<Sender> {
  const keys = {
    accessKeyId: await resolve(spec.accessKeyId),
    secretAccessKey: await resolve(spec.secretAccessKey),
    ...(spec.sessionToken === undefined ? {} : { sessionToken: await resolve(spec.sessionToken) }),
  }
  const receiver = new HttpReceiver(spec.endpoint, await tlsOptions(spec.tls, resolve))
  const format = formats[spec.format]
  const base = spec.endpoint.replace(/\/+$/, '')
  return {
    async send(batch, signal) {
      const body = format.write(batch)
      const path = `/${spec.bucket}/${objectKey(spec.prefix, batch, spec.format)}`
      // The hash of the content is signed, and buckets with object lock ask for the checksum.
      const sha256 = createHash('sha256').update(body)
      const hex = sha256.copy().digest('hex')
      const headers = { 'content-type': format.type, 'x-amz-content-sha256': hex, 'x-amz-checksum-sha256': sha256.digest('base64') }
      const signed = await new AwsV4Signer({ ...keys, method: 'PUT', url: base + path, headers, service: 's3', region: spec.region, allHeaders: true }).sign()
      const answer = await receiver.request('PUT', path, Object.fromEntries(signed.headers), body, signal)
      if (answer.status === 200) return []
      // No status of S3 speaks of one line: what it refuses, it refuses for key, bucket or rights.
      throw new DeliveryError(answer.status === 413 ? 'rejected' : 'unavailable', `HTTP_${answer.status}`, `the store answered ${answer.status}`, answer.retryAfterMs)
    },
    close: () => Promise.resolve(receiver.close()),
  }
}
