/*
 * What front and engine say to each other beside the request itself, as headers of HTTP/2 (RFC 9113) inside the tunnel.
 * The front takes none of these from a client: only the headers listed here pass at all.
 */

/** Front to engine: the client asks to switch to this protocol, in its own words. */
export const upgradeHeader = 'sallyport-upgrade'
/** Front to engine: names of headers that no client may send and that were taken away; comma-separated. */
export const withheldHeader = 'sallyport-withheld'
/** Engine to front: the protocol was switched; from here on both bodies are raw bytes. The value is the `Upgrade` header's. */
export const switchedHeader = 'sallyport-switched'

/** Headers of a client that reach the engine. Everything else stays at the gateway: credentials, cookies, forwarded-for … */
export const passedHeaders: ReadonlySet<string> = new Set([
  'accept',
  'accept-encoding',
  'content-encoding',
  'content-type',
  'kubectl-command',
  'sec-websocket-extensions',
  'sec-websocket-key',
  'sec-websocket-protocol',
  'sec-websocket-version',
  'user-agent',
  'x-stream-protocol-version',
])

/** Of these a second one is taken for an attempt to be understood in two ways. */
export const singleHeaders: ReadonlySet<string> = new Set([
  'authorization',
  'content-encoding',
  'content-length',
  'content-type',
  'host',
  'sec-websocket-key',
  'sec-websocket-version',
  'transfer-encoding',
  'upgrade',
])

/** Headers by which a client would name another identity, or pose as a proxy that the API server trusts. */
export function namesAnIdentity(header: string): boolean {
  return header.startsWith('impersonate-') || header.startsWith('x-remote-')
}

/** For one connection only (RFC 9110, section 7.6.1): never passed on in either direction. */
export const hopByHopHeaders: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

/** Settings of the HTTP/2 connection inside the tunnel: a stream's window is as wide as the tunnel's own. */
export const innerSettings = { initialWindowSize: 256 * 1024, maxConcurrentStreams: 128, maxHeaderListSize: 64 * 1024, enablePush: false } as const
export const innerWindowBytes = 1024 * 1024
