import { createHash } from 'node:crypto'
import { AwsV4Signer } from 'aws4fetch'
import { ask, type Answer } from './http.js'

/** What signs requests to AWS, or to what speaks as it does. */
export interface AwsAccess {
  /** `https://s3.eu-central-1.amazonaws.com`, without a path. */
  readonly endpoint: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

export interface AwsRequest {
  readonly service: 's3' | 'kms'
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  /** Of the answer. */
  readonly maxBytes: number
}

/** Signature Version 4 over path, content and every header. */
export async function askAws(access: AwsAccess, { service, method, path, headers, body, maxBytes }: AwsRequest): Promise<Answer> {
  const { endpoint, region, accessKeyId, secretAccessKey, sessionToken } = access
  const url = endpoint.replace(/\/+$/, '') + path
  const digest = createHash('sha256').update(body ?? '').digest('hex')
  const signer = new AwsV4Signer({
    method, url, service, region, accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }), allHeaders: true,
    headers: { ...headers, 'x-amz-content-sha256': digest },
    ...(body === undefined ? {} : { body: new Uint8Array(body) }),
  })
  const signed = await signer.sign()
  return ask(signed.url.toString(), { method, headers: Object.fromEntries(signed.headers), ...(body === undefined ? {} : { body }) }, maxBytes)
}
