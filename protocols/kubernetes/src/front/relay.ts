import { constants, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2'
import type { Writable } from 'node:stream'
import type { ChannelError } from '@sallyport/kit'
import { hopByHopHeaders, namesAnIdentity, passedHeaders, singleHeaders, switchedHeader, upgradeHeader, withheldHeader } from '../wire/headers.js'
import { statusBody, statusObject } from '../wire/status.js'
import type { Exchange, HeaderList, RequestHead } from './exchange.js'
import type { SessionLink } from './session-link.js'

/** A subprotocol by which browsers show a token (Kubernetes: "Authenticating"): it is the client's to us, nobody else's. */
const tokenSubprotocol = 'base64url.bearer.authorization.k8s.io.'

const lateBodyMilliseconds = 2000

/** What of a client's headers the engine sees, and the names of those that no client may send. */
export function passedOn(head: RequestHead): Record<string, string> {
  const fields = new Map<string, string>()
  const withheld = new Set<string>()
  const seen = new Set<string>()
  for (const [name, value] of head.headers) {
    if (namesAnIdentity(name)) withheld.add(name.slice(0, 64))
    if (singleHeaders.has(name) && seen.has(name)) withheld.add(`${name} (twice)`)
    seen.add(name)
    if (!passedHeaders.has(name)) continue
    const kept = name === 'sec-websocket-protocol' ? withoutTokens(value) : value
    const before = fields.get(name)
    fields.set(name, before === undefined ? kept : `${before}, ${kept}`)
  }
  // How long a body is, HTTP/2 says itself; here the two ways of HTTP/1.1 must not contradict each other.
  const coding = head.headers.find(([name]) => name === 'transfer-encoding')?.[1]
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') withheld.add('transfer-encoding')
  if (coding !== undefined && seen.has('content-length')) withheld.add('content-length (with transfer-encoding)')
  return { ...Object.fromEntries(fields), ...(withheld.size === 0 ? {} : { [withheldHeader]: [...withheld].join(', ').slice(0, 1024) }) }
}

/** Relays one authenticated request to the engine and its answer back. */
export function relay(exchange: Exchange, link: SessionLink, path: string): void {
  const { head, source } = exchange
  const streaming = head.hasBody || head.upgrade !== undefined
  let inner: ClientHttp2Stream
  try {
    inner = link.request(
      { ...passedOn(head), ...(head.upgrade === undefined ? {} : { [upgradeHeader]: head.upgrade.slice(0, 128) }), ':method': head.method, ':path': path },
      !streaming,
    )
  } catch {
    refuseWith(exchange, link.ended ?? { code: 'UNAVAILABLE', message: 'the request could not be sent on', hint: 'Run the command again.' })
    return
  }
  let out: Writable | undefined
  let done = false
  const over = (): void => {
    if (done) return
    done = true
    if (out === undefined) refuseWith(exchange, link.ended ?? { code: 'UNAVAILABLE', message: 'the agent did not answer the request', hint: 'Run the command again.' })
    else exchange.cut()
  }
  exchange.onGone(() => {
    if (done) return
    done = true
    inner.close(constants.NGHTTP2_CANCEL)
  })
  inner.on('error', over)
  inner.on('close', over)
  inner.on('response', (headers) => {
    if (done) return
    const switched = headers[switchedHeader] !== undefined
    const list = answerHeaders(headers, switched)
    const writable = switched ? exchange.switchProtocol(list) : exchange.respond(headers[':status'] ?? 502, list)
    out = writable
    inner.on('data', (bytes: Buffer) => {
      if (writable.write(bytes)) return
      inner.pause()
      writable.once('drain', () => inner.resume())
    })
    inner.on('end', () => {
      // An answer that was broken off ends, too, as far as Node is concerned: only its code tells.
      if (inner.rstCode !== constants.NGHTTP2_NO_ERROR || link.ended !== undefined) return over()
      done = true
      writable.end()
      if (source.readableEnded || switched) return
      // The answer came before the body was complete: the rest is no longer wanted, however long the client would go on.
      source.unpipe(inner)
      source.resume()
      setTimeout(() => {
        if (!source.readableEnded) exchange.cut()
      }, lateBodyMilliseconds).unref()
    })
    if (switched) source.pipe(inner)
  })
  if (streaming && head.upgrade === undefined) source.pipe(inner)
}

function answerHeaders(headers: IncomingHttpHeaders, switched: boolean): HeaderList {
  const list: [string, string][] = []
  if (switched) list.push(['upgrade', String(headers[switchedHeader])], ['connection', 'Upgrade'])
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(':') || name === switchedHeader || value === undefined || (hopByHopHeaders.has(name) && !switched)) continue
    if (hopByHopHeaders.has(name)) continue
    for (const one of Array.isArray(value) ? value : [value]) list.push([name, one])
  }
  return list
}

const statusCodes: Readonly<Record<string, number>> = {
  AUTHENTICATION_FAILED: 401,
  EXCHANGE_REQUIRED: 401,
  POLICY_DENIED: 403,
  LOCKED: 403,
  TARGET_UNKNOWN: 403,
  PARAMETERS_REFUSED: 403,
  RATE_LIMITED: 429,
  TARGET_UNREACHABLE: 502,
}

/** The session can't be had, or is over. */
export function refuseWith(exchange: Exchange, error: ChannelError): void {
  const hint = error.hint === '' ? '' : ` ${error.hint}`
  refuse(exchange, statusCodes[error.code] ?? 503, `Sallyport: ${error.message}.${hint}`, error.code)
}

/** An error of the gateway's own, as Kubernetes' clients read it. */
export function refuse(exchange: Exchange, code: number, message: string, reason: string): void {
  // Of an error of discovery kubectl shows the words only when they are plain text.
  const plain = exchange.head.headers.some(([name, value]) => name === 'accept' && value.includes('as=APIGroupDiscoveryList'))
  const body = plain ? Buffer.from(`${message}\n`) : statusBody(statusObject(code, message, [{ reason, message }]))
  const headers: [string, string][] = [['content-type', plain ? 'text/plain' : 'application/json'], ['content-length', String(body.length)], ['cache-control', 'no-store']]
  if (code === 401) headers.push(['www-authenticate', 'Bearer realm="sallyport"'])
  exchange.source.resume()
  exchange.respond(code, headers).end(exchange.head.method === 'HEAD' ? undefined : body)
}

function withoutTokens(value: string): string {
  return value
    .split(',')
    .map((one) => one.trim())
    .filter((one) => !one.toLowerCase().startsWith(tokenSubprotocol))
    .join(', ')
}
