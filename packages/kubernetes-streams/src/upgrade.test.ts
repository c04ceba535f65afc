import { describe, expect, it } from 'vitest'
import { requestedStreams } from './query.js'
import { acceptUpgrade, encodeUpgradeAnswer, isUpgrade, upgradeRequest, verifyUpgrade, websocketAccept, type HeaderBag, type UpgradeKind } from './upgrade.js'

const zeros = (size: number): Buffer => Buffer.alloc(size)
const key = zeros(16).toString('base64')
const websocket: HeaderBag = {
  connection: 'keep-alive, Upgrade',
  upgrade: 'WebSocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': key,
  'sec-websocket-protocol': 'v5.channel.k8s.io',
}
const spdy: HeaderBag = { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': ['v5.channel.k8s.io', 'v4.channel.k8s.io', 'channel.k8s.io'] }
const tunnel: HeaderBag = { ...websocket, 'sec-websocket-protocol': 'SPDY/3.1+portforward.k8s.io' }

describe('an upgrade', () => {
  it('answers the example of RFC 6455', () => {
    expect(websocketAccept('dGhlIHNhbXBsZSBub25jZQ==')).toBe('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
  })

  const good: readonly (readonly [string, UpgradeKind, string, HeaderBag, string])[] = [
    ['v5', 'remote-command', 'GET', websocket, 'v5.channel.k8s.io'],
    ['v4 only', 'remote-command', 'GET', { ...websocket, 'sec-websocket-protocol': 'channel.k8s.io, v4.channel.k8s.io' }, 'v4.channel.k8s.io'],
    ['v4 before v5', 'remote-command', 'GET', { ...websocket, 'sec-websocket-protocol': 'v4.channel.k8s.io, v5.channel.k8s.io' }, 'v5.channel.k8s.io'],
    ['SPDY', 'remote-command', 'POST', spdy, 'v4.channel.k8s.io'],
    ['the tunnel', 'port-forward', 'GET', tunnel, 'portforward.k8s.io'],
    ['SPDY forwarding', 'port-forward', 'POST', { ...spdy, 'x-stream-protocol-version': 'portforward.k8s.io' }, 'portforward.k8s.io'],
    ['an extension, unanswered', 'remote-command', 'GET', { ...websocket, 'sec-websocket-extensions': 'permessage-deflate' }, 'v5.channel.k8s.io'],
  ]
  it.each(good)('is accepted: %s', (_name, kind, method, headers, protocol) => {
    const answer = acceptUpgrade(kind, { method, headers })
    expect(answer).toMatchObject({ accepted: true, protocol })
    expect(isUpgrade(headers)).toBe(true)
    if (!answer.accepted) return
    expect(answer.headers).not.toHaveProperty('sec-websocket-extensions')
    expect(encodeUpgradeAnswer(answer).toString()).toMatch(/^HTTP\/1\.1 101 [^\r\n]+\r\n([a-z-]+: [^\r\n]+\r\n)+\r\n$/)
  })

  const bad: readonly (readonly [string, UpgradeKind, string, HeaderBag, number])[] = [
    ['no Connection', 'remote-command', 'GET', { ...websocket, connection: 'keep-alive' }, 400],
    ['another protocol', 'remote-command', 'GET', { ...websocket, upgrade: 'h2c' }, 426],
    ['two upgrades', 'remote-command', 'GET', { ...websocket, upgrade: 'websocket, SPDY/3.1' }, 426],
    ['another version', 'remote-command', 'GET', { ...websocket, 'sec-websocket-version': '8' }, 426],
    ['a POST', 'remote-command', 'POST', websocket, 400],
    ['no key', 'remote-command', 'GET', { ...websocket, 'sec-websocket-key': undefined }, 400],
    ['a short key', 'remote-command', 'GET', { ...websocket, 'sec-websocket-key': 'AAAA' }, 400],
    ['two keys', 'remote-command', 'GET', { ...websocket, 'sec-websocket-key': [key, key] }, 400],
    ['a key that is no base64', 'remote-command', 'GET', { ...websocket, 'sec-websocket-key': '!!!!!!!!!!!!!!!!!!!!!!==' }, 400],
    ['no subprotocol', 'remote-command', 'GET', { ...websocket, 'sec-websocket-protocol': undefined }, 400],
    ['v1 to v3', 'remote-command', 'GET', { ...websocket, 'sec-websocket-protocol': 'channel.k8s.io,v2.channel.k8s.io,v3.channel.k8s.io' }, 400],
    ['base64', 'remote-command', 'GET', { ...websocket, 'sec-websocket-protocol': 'v4.base64.channel.k8s.io' }, 400],
    ['a flood of offers', 'remote-command', 'GET', { ...websocket, 'sec-websocket-protocol': `${'x,'.repeat(40)}v5.channel.k8s.io` }, 400],
    ['exec as forwarding', 'port-forward', 'GET', websocket, 400],
    ['forwarding as exec', 'remote-command', 'GET', tunnel, 400],
    ['the old WebSocket forwarding', 'port-forward', 'GET', { ...websocket, 'sec-websocket-protocol': 'v4.channel.k8s.io' }, 400],
    ['SPDY v3', 'remote-command', 'POST', { ...spdy, 'x-stream-protocol-version': 'v3.channel.k8s.io' }, 403],
    ['SPDY by PUT', 'remote-command', 'PUT', spdy, 400],
    ['SPDY/2', 'remote-command', 'POST', { ...spdy, upgrade: 'SPDY/2' }, 426],
  ]
  it.each(bad)('is refused: %s', (_name, kind, method, headers, status) => {
    expect(acceptUpgrade(kind, { method, headers })).toMatchObject({ accepted: false, status })
  })

  it('names what SPDY could speak when it refuses, as apimachinery does', () => {
    const answer = acceptUpgrade('remote-command', { method: 'POST', headers: { ...spdy, 'x-stream-protocol-version': 'x' } })
    expect(answer.headers).toEqual({ 'x-accepted-stream-protocol-versions': 'v4.channel.k8s.io' })
  })
})

describe("a server's answer", () => {
  const request = upgradeRequest('remote-command', 'websocket', zeros)
  const right = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-accept': websocketAccept(key), 'sec-websocket-protocol': 'v4.channel.k8s.io' }

  it('is taken when all of it is right', () => {
    expect(verifyUpgrade(request, { status: 101, headers: right })).toEqual({ kind: 'remote-command', transport: 'websocket', protocol: 'v4.channel.k8s.io' })
  })

  const wrong: readonly (readonly [string, number, HeaderBag, string])[] = [
    ['another status', 403, right, 'UPGRADE_REFUSED'],
    ['no Connection', 101, { ...right, connection: undefined }, 'UPGRADE_ANSWER'],
    ['another Upgrade', 101, { ...right, upgrade: 'SPDY/3.1' }, 'UPGRADE_ANSWER'],
    ['another accept', 101, { ...right, 'sec-websocket-accept': websocketAccept('x') }, 'UPGRADE_ANSWER'],
    ['no accept', 101, { ...right, 'sec-websocket-accept': undefined }, 'UPGRADE_ANSWER'],
    ['a protocol not offered', 101, { ...right, 'sec-websocket-protocol': 'channel.k8s.io' }, 'UPGRADE_ANSWER'],
    ['no protocol', 101, { ...right, 'sec-websocket-protocol': undefined }, 'UPGRADE_ANSWER'],
    ['an extension', 101, { ...right, 'sec-websocket-extensions': 'permessage-deflate' }, 'UPGRADE_ANSWER'],
  ]
  it.each(wrong)('is refused: %s', (_name, status, headers, code) => {
    expect(() => verifyUpgrade(request, { status, headers })).toThrow(expect.objectContaining({ code }))
  })
})

describe('the query', () => {
  const read = (query: string): unknown => requestedStreams(new URLSearchParams(query))

  it('announces streams', () => {
    expect(read('stdin=true&stdout=1&stderr=true&command=sh')).toEqual({ stdin: true, stdout: true, stderr: true, tty: false })
    expect(read('stdout=true&stderr=true&tty=true')).toEqual({ stdin: false, stdout: true, stderr: false, tty: true })
  })

  it.each(['', 'stdin=false', 'stdout=yes', 'stdout=', 'stdout=true&stdout=false', 'stderr=true&tty=true', 'stdout=TRUE'])('is unclear or empty: %s', (query) => {
    expect(read(query)).toBeUndefined()
  })
})
