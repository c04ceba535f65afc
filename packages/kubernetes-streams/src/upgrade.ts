import { createHash, timingSafeEqual } from 'node:crypto'
import { StreamsError } from './errors.js'

/** Header names in lower case, as node:http and node:http2 give them. */
export type HeaderBag = Readonly<Record<string, string | readonly string[] | undefined>>

export type UpgradeKind = 'remote-command' | 'port-forward'

/** What an accepted handshake settled; {@link serveRemoteCommand} and its siblings take it. */
export interface Upgrade {
  readonly kind: UpgradeKind
  readonly transport: 'websocket' | 'spdy'
  /** `v5.channel.k8s.io`, `v4.channel.k8s.io` or `portforward.k8s.io`. */
  readonly protocol: string
}

export interface AcceptedUpgrade extends Upgrade {
  readonly accepted: true
  /** The 101's headers. */
  readonly headers: Readonly<Record<string, string>>
}

export interface RefusedUpgrade {
  readonly accepted: false
  /** 400, 403 or 426. */
  readonly status: number
  readonly message: string
  readonly headers: Readonly<Record<string, string>>
}

/** What a client asks with; `key` is undefined for SPDY. */
export interface UpgradeRequest {
  readonly kind: UpgradeKind
  readonly transport: 'websocket' | 'spdy'
  readonly method: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly key: string | undefined
  /** Names as they stand on the wire, in order of preference. */
  readonly offered: readonly string[]
}

const SPDY = 'SPDY/3.1'
const TUNNEL_PREFIX = 'SPDY/3.1+'
const PORT_FORWARD = 'portforward.k8s.io'
const V5 = 'v5.channel.k8s.io'
const V4 = 'v4.channel.k8s.io'
/** A header that lists more names is no kubectl's. */
const MAX_OFFERS = 32

/** Spoken on the wire, best first. v1–v3 and base64 carry no exit code and are refused; v5 differs from v4 over WebSocket only. */
const spoken = {
  websocket: { 'remote-command': [V5, V4], 'port-forward': [TUNNEL_PREFIX + PORT_FORWARD] },
  spdy: { 'remote-command': [V4], 'port-forward': [PORT_FORWARD] },
} as const satisfies Record<string, Record<UpgradeKind, readonly string[]>>

/** Sec-WebSocket-Accept for a key (RFC 6455 section 4.2.2). */
export function websocketAccept(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
}

/** True if the request asks to leave HTTP, whatever for; every such request is to be accepted here or refused. */
export function isUpgrade(headers: HeaderBag): boolean {
  return headers['upgrade'] !== undefined || tokens(headers['connection']).some((token) => token.toLowerCase() === 'upgrade')
}

/** Checks a client's upgrade request. Extensions are never negotiated: an offer of one is left unanswered. */
export function acceptUpgrade(kind: UpgradeKind, request: { readonly method: string; readonly headers: HeaderBag }): AcceptedUpgrade | RefusedUpgrade {
  const { headers } = request
  if (!tokens(headers['connection']).some((token) => token.toLowerCase() === 'upgrade')) return refused(400, 'an upgrade needs "Connection: Upgrade"')
  const upgrade = single(headers['upgrade'])?.toLowerCase()
  if (upgrade === 'websocket') return acceptWebSocket(kind, request)
  if (upgrade === SPDY.toLowerCase()) return acceptSpdy(kind, request)
  return refused(426, 'only WebSocket and SPDY/3.1 are spoken here', { upgrade: 'websocket' })
}

function acceptWebSocket(kind: UpgradeKind, { method, headers }: { readonly method: string; readonly headers: HeaderBag }): AcceptedUpgrade | RefusedUpgrade {
  if (method !== 'GET') return refused(400, 'a WebSocket handshake is a GET')
  if (single(headers['sec-websocket-version']) !== '13') return refused(426, 'only WebSocket version 13 is spoken here', { 'sec-websocket-version': '13' })
  const key = single(headers['sec-websocket-key'])
  if (key === undefined || !isKey(key)) return refused(400, 'Sec-WebSocket-Key must be 16 bytes in base64')
  const chosen = choose(spoken.websocket[kind], tokens(headers['sec-websocket-protocol']))
  if (chosen === undefined) return refused(400, `none of the offered subprotocols is spoken here; spoken: ${spoken.websocket[kind].join(', ')}`)
  return {
    accepted: true,
    kind,
    transport: 'websocket',
    protocol: stripped(chosen),
    headers: { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-accept': websocketAccept(key), 'sec-websocket-protocol': chosen },
  }
}

function acceptSpdy(kind: UpgradeKind, { method, headers }: { readonly method: string; readonly headers: HeaderBag }): AcceptedUpgrade | RefusedUpgrade {
  if (method !== 'POST' && method !== 'GET') return refused(400, 'a SPDY upgrade is a POST or a GET')
  const offered = tokens(headers['x-stream-protocol-version'])
  const chosen = choose(spoken.spdy[kind], offered)
  if (chosen === undefined) {
    // As apimachinery's httpstream.Handshake answers: 403 and what would be accepted.
    const list = spoken.spdy[kind].join(', ')
    return refused(403, `none of the offered stream protocols is spoken here; spoken: ${list}`, { 'x-accepted-stream-protocol-versions': list })
  }
  return {
    accepted: true,
    kind,
    transport: 'spdy',
    protocol: chosen,
    headers: { connection: 'Upgrade', upgrade: SPDY, 'x-stream-protocol-version': chosen },
  }
}

/** The head of the 101 that accepts, to be written before the upgraded protocol begins. */
export function encodeUpgradeAnswer(upgrade: AcceptedUpgrade): Buffer {
  const lines = Object.entries(upgrade.headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`, 'latin1')
}

/** What to ask a server with. `random` gives unpredictable bytes. SPDY is asked for with POST as client-go does. */
export function upgradeRequest(kind: UpgradeKind, transport: 'websocket' | 'spdy', random: (size: number) => Buffer): UpgradeRequest {
  const offered = spoken[transport][kind]
  if (transport === 'spdy') {
    const headers = { connection: 'Upgrade', upgrade: SPDY, 'x-stream-protocol-version': offered.join(', ') }
    return { kind, transport, method: 'POST', headers, key: undefined, offered }
  }
  const key = random(16).toString('base64')
  const headers = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': key,
    'sec-websocket-protocol': offered.join(', '),
  }
  return { kind, transport, method: 'GET', headers, key, offered }
}

/** Checks a server's answer. Throws {@link StreamsError} UPGRADE_REFUSED for another status than 101, UPGRADE_ANSWER for a wrong 101. */
export function verifyUpgrade(request: UpgradeRequest, answer: { readonly status: number; readonly headers: HeaderBag }): Upgrade {
  const { headers } = answer
  if (answer.status !== 101) throw new StreamsError('UPGRADE_REFUSED', `the server answered the upgrade with ${answer.status}`)
  const wrong = (what: string): StreamsError => new StreamsError('UPGRADE_ANSWER', `the server's answer to the upgrade has a wrong ${what}`)
  if (!tokens(headers['connection']).some((token) => token.toLowerCase() === 'upgrade')) throw wrong('Connection header')
  const expected = request.transport === 'websocket' ? 'websocket' : SPDY.toLowerCase()
  if (single(headers['upgrade'])?.toLowerCase() !== expected) throw wrong('Upgrade header')
  if (request.key !== undefined) {
    const given = Buffer.from(single(headers['sec-websocket-accept']) ?? '')
    const right = Buffer.from(websocketAccept(request.key))
    if (given.length !== right.length || !timingSafeEqual(given, right)) throw wrong('Sec-WebSocket-Accept header')
    if (headers['sec-websocket-extensions'] !== undefined) throw wrong('Sec-WebSocket-Extensions header: none was offered')
  }
  const chosen = single(headers[request.transport === 'websocket' ? 'sec-websocket-protocol' : 'x-stream-protocol-version'])
  if (chosen === undefined || !request.offered.includes(chosen)) throw wrong('protocol: it is none of those offered')
  return { kind: request.kind, transport: request.transport, protocol: stripped(chosen) }
}

/** 16 bytes in canonical base64. */
function isKey(key: string): boolean {
  if (key.length !== 24) return false
  const bytes = Buffer.from(key, 'base64')
  return bytes.length === 16 && bytes.toString('base64') === key
}

function choose(ours: readonly string[], offered: readonly string[]): string | undefined {
  return offered.length > MAX_OFFERS ? undefined : ours.find((name) => offered.includes(name))
}

function stripped(protocol: string): string {
  return protocol.startsWith(TUNNEL_PREFIX) ? protocol.slice(TUNNEL_PREFIX.length) : protocol
}

function refused(status: number, message: string, headers: Readonly<Record<string, string>> = {}): RefusedUpgrade {
  return { accepted: false, status, message, headers }
}

/** The value of a header that may stand once only. */
function single(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' ? value.trim() : value?.length === 1 ? value[0]?.trim() : undefined
}

function tokens(value: string | readonly string[] | undefined): string[] {
  const lists = value === undefined ? [] : typeof value === 'string' ? [value] : value
  return lists.flatMap((list) => list.split(',')).map((token) => token.trim()).filter((token) => token !== '')
}
