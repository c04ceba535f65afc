import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { CliError } from '../errors.js'

export interface WireRequest {
  readonly method: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  /** PEM of the authorities that the server is checked against, besides the system's. */
  readonly ca?: string
  readonly timeoutMilliseconds: number
  readonly signal?: AbortSignal
}

/** Sends one HTTP request; resolves with the response's head, whose body the caller reads. */
export async function send(wire: WireRequest): Promise<IncomingMessage> {
  const start = wire.url.protocol === 'https:' ? httpsRequest : httpRequest
  const options = { method: wire.method, headers: wire.headers, ...(wire.ca === undefined ? {} : { ca: wire.ca }), ...(wire.signal === undefined ? {} : { signal: wire.signal }) }
  return new Promise((resolve, reject) => {
    const outgoing = start(wire.url, options, resolve)
    outgoing.setTimeout(wire.timeoutMilliseconds, () => outgoing.destroy(new Error(`no answer within ${wire.timeoutMilliseconds / 1000} s`)))
    outgoing.on('error', (error) => {
      reject(
        new CliError(`can't reach ${wire.url.origin}`, {
          why: reason(error),
          next: 'check that the address (SALLYPORT_URL) is right and that the control plane runs',
        }),
      )
    })
    outgoing.end(wire.body)
  })
}

/** The whole body as text; more than `limit` bytes is an error. */
export async function readText(response: IncomingMessage, limit = 64 * 1024 * 1024): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response) {
    const bytes = Buffer.from(chunk)
    size += bytes.length
    if (size > limit) throw new CliError(`the answer is larger than ${limit} bytes`, { next: 'ask for less with --limit' })
    chunks.push(bytes)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function reason(error: Error): string {
  // Trying several addresses of one name ends in an AggregateError without a message.
  const code = 'code' in error ? String(error.code) : ''
  switch (code) {
    case 'ECONNREFUSED':
      return 'nothing listens there (connection refused)'
    case 'ENOTFOUND':
      return 'the name is not known (DNS)'
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      return `its certificate isn't signed by an authority known here (${code}); SALLYPORT_CA_FILE names one more`
    default:
      return error.message === '' ? code : error.message
  }
}
