import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { Readable } from 'node:stream'

/**
 * `fetch` with a certificate authority of one's own besides the system's, which Node's has no setting for. Follows no
 * redirect: a token goes where it was meant to go.
 */
export function fetchWith(ca: string | undefined): (request: Request) => Promise<Response> {
  return async (request) => {
    const body = request.body === null ? undefined : Buffer.from(await request.arrayBuffer())
    const start = request.url.startsWith('https:') ? httpsRequest : httpRequest
    const headers = { ...Object.fromEntries(request.headers), ...(body === undefined ? {} : { 'content-length': String(body.length) }) }
    const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = start(request.url, { method: request.method, headers, signal: request.signal, ...(ca === undefined ? {} : { ca }) }, resolve)
      outgoing.on('error', reject)
      outgoing.end(body)
    })
    return responseOf(incoming)
  }
}

function responseOf(incoming: IncomingMessage): Response {
  const status = incoming.statusCode ?? 0
  const headers = new Headers()
  for (const [name, value] of Object.entries(incoming.headersDistinct)) for (const one of value ?? []) headers.append(name, one)
  if (status === 204 || status === 304) {
    incoming.resume()
    return new Response(null, { status, headers })
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Node's and the web's streams are the same, each typed by its own package
  return new Response(Readable.toWeb(incoming) as ReadableStream<Uint8Array>, { status, headers }) // decoder: one class, two typings
}

/** Why a connection failed, for people. */
export function connectionFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
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
