import { duplexPair, type Duplex } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { openRemoteCommand, serveRemoteCommand } from './open.js'
import { dataHead, ping, rstStream, SpdyEncoder } from './spdy/frames.js'
import { handshake, rawClient, rawServer } from './testing/pairs.js'
import { encodeFrame, opcodes } from './websocket/frames.js'
import type { RequestedStreams } from './faces.js'
import { MAX_STATUS } from './limits.js'

const plain: RequestedStreams = { stdin: true, stdout: true, stderr: true, tty: false }
const mask = Buffer.from([1, 2, 3, 4])

function frame(opcode: number, bytes: Buffer | readonly number[], masked: boolean): Buffer {
  const { head, payload } = encodeFrame(opcode, Buffer.from(bytes), masked ? mask : undefined)
  return Buffer.concat([head, payload])
}
const fromClient = (...bytes: readonly number[]): Buffer => frame(opcodes.binary, bytes, true)
const fromServer = (channel: number, text: string): Buffer => frame(opcodes.binary, Buffer.concat([Buffer.from([channel]), Buffer.from(text)]), false)

describe('a hostile WebSocket client', () => {
  const cases: readonly (readonly [string, RequestedStreams, Buffer])[] = [
    ['sends stdin that it did not announce', { ...plain, stdin: false }, fromClient(0, 65)],
    ['sends on stdout', plain, fromClient(1, 65)],
    ['sends a status', plain, fromClient(3, 0x7b)],
    ['sends terminal sizes without a terminal', plain, fromClient(4, 0x7b)],
    ['sends on an unknown channel', plain, fromClient(5)],
    ['sends no channel', plain, fromClient()],
    ['goes on after the end of stdin', plain, Buffer.concat([fromClient(255, 0), fromClient(0, 65)])],
    ['closes stdout', plain, fromClient(255, 1)],
    ['closes an unknown channel', plain, fromClient(255, 9)],
    ['closes nothing', plain, fromClient(255)],
    ['closes two channels at once', plain, fromClient(255, 0, 0)],
    ['sends a text', plain, frame(opcodes.text, [0, 65], true)],
    ['does not mask', plain, frame(opcodes.binary, [0, 65], false)],
    ['sends no terminal size', { ...plain, stderr: false, tty: true }, frame(opcodes.binary, Buffer.from('\u0004{"Width":-1,"Height":1}'), true)],
  ]
  it.each(cases)('is cut off when it %s', async (_name, requested, bytes) => {
    const { server, raw } = await rawClient(requested)
    raw.resume()
    raw.write(bytes)
    expect((await server.closed)?.code).toBe('PROTOCOL')
    expect(server.stdout?.destroyed).toBe(true)
  })

  it('is cut off when a terminal size has no end', async () => {
    const { server, raw } = await rawClient({ ...plain, stderr: false, tty: true })
    raw.resume()
    raw.write(frame(opcodes.binary, Buffer.concat([Buffer.from([4]), Buffer.alloc(1000, '{')]), true))
    expect((await server.closed)?.code).toBe('LIMIT')
  })

  it('gets one pong for all the pings that it leaves unread', async () => {
    const { server, raw } = await rawClient(plain)
    server.stdout?.write(Buffer.alloc(1_000_000))
    const flood = Buffer.concat(Array.from({ length: 5000 }, (_, i) => frame(opcodes.ping, Buffer.from(String(i).padStart(100)), true)))
    raw.write(flood)
    await new Promise((resolve) => setTimeout(resolve, 50))
    let received = Buffer.alloc(0)
    raw.on('data', (chunk: Buffer) => (received = Buffer.concat([received, chunk])))
    await expect.poll(() => received.includes('4999')).toBe(true)
    expect(received.includes('4000')).toBe(false)
    server.abort()
  })

  it('that vanishes ends the session with an error, not with the end of stdin', async () => {
    const { server, raw } = await rawClient(plain)
    let ended = false
    server.stdin?.on('end', () => (ended = true)).resume()
    raw.write(fromClient(0, 65))
    raw.end()
    expect((await server.closed)?.code).toBe('PEER_GONE')
    expect(ended).toBe(false)
    expect(server.stdin?.errored).toMatchObject({ code: 'PEER_GONE' })
  })
})

describe('a hostile WebSocket server', () => {
  const done = frame(opcodes.close, [0x03, 0xe8], false)
  const cases: readonly (readonly [string, string, Buffer])[] = [
    ['masks', 'PROTOCOL', fromClient(1, 65)],
    ['sends on stdin', 'PROTOCOL', fromServer(0, 'x')],
    ['sends on an unknown channel', 'PROTOCOL', fromServer(7, 'x')],
    ['sends an endless status', 'LIMIT', fromServer(3, 'x'.repeat(MAX_STATUS + 1))],
    ['sends a status that is none', 'PROTOCOL', Buffer.concat([fromServer(3, '{"status":"Perhaps"}'), done])],
    ['closes without a status', 'PEER_GONE', done],
    ['closes with an error code', 'PEER_GONE', frame(opcodes.close, [0x03, 0xf3], false)],
  ]
  it.each(cases)('gets no success when it %s', async (_name, code, bytes) => {
    const { client, raw } = await rawServer(plain)
    raw.resume()
    raw.write(bytes)
    await expect(client.status).rejects.toMatchObject({ code })
    expect((await client.closed)?.code).toBe(code)
    expect(client.stdout?.errored).toMatchObject({ code })
  })

  it('may open with an empty message, as a kubelet does', async () => {
    const { client, raw } = await rawServer(plain)
    raw.resume()
    raw.write(Buffer.concat([fromServer(1, ''), fromServer(3, '{"metadata":{},"status":"Success"}'), done]))
    expect((await client.status).status).toBe('Success')
    expect(await client.closed).toBeUndefined()
  })
})

describe('a hostile SPDY client', () => {
  const requested: RequestedStreams = { stdin: true, stdout: true, stderr: false, tty: false }
  function raw(): { readonly session: ReturnType<typeof serveRemoteCommand>; readonly peer: Duplex; readonly encoder: SpdyEncoder } {
    const [left, right] = duplexPair()
    const session = serveRemoteCommand({ upgrade: handshake('remote-command', 'spdy').served, duplex: left }, requested)
    session.catch(() => undefined)
    return { session, peer: right, encoder: new SpdyEncoder() }
  }
  const open = (encoder: SpdyEncoder, id: number, type: string): Buffer => encoder.synStream(id, new Map([['streamtype', type]]))
  const opens = (encoder: SpdyEncoder): Buffer => Buffer.concat([open(encoder, 1, 'error'), open(encoder, 3, 'stdin'), open(encoder, 5, 'stdout')])

  const cases: readonly (readonly [string, (encoder: SpdyEncoder) => Buffer])[] = [
    ['opens a stream with an even id', (encoder) => open(encoder, 2, 'error')],
    ['opens an id twice', (encoder) => Buffer.concat([open(encoder, 3, 'error'), open(encoder, 3, 'stdin')])],
    ['opens a lower id', (encoder) => Buffer.concat([open(encoder, 3, 'error'), open(encoder, 1, 'stdin')])],
    ['sends data for a stream that is not there', () => Buffer.concat([dataHead(9, 1, false), Buffer.from('x')])],
    ['resets a stream that is not there', () => rstStream(9, 5)],
    ['answers a stream that is not there', (encoder) => encoder.synReply(2)],
    ['answers its own stream', (encoder) => Buffer.concat([open(encoder, 1, 'error'), encoder.synReply(1)])],
    ['sends on the error stream', (encoder) => Buffer.concat([opens(encoder), dataHead(1, 1, false), Buffer.from('x')])],
    ['sends on stdout', (encoder) => Buffer.concat([opens(encoder), dataHead(5, 1, false), Buffer.from('x')])],
    ['goes on after the end', (encoder) => Buffer.concat([opens(encoder), dataHead(3, 0, true), dataHead(3, 1, false), Buffer.from('x')])],
  ]
  it.each(cases)('is cut off when it %s', async (_name, bytes) => {
    const { session, peer, encoder } = raw()
    peer.resume()
    peer.write(bytes(encoder))
    const ended = session.then((server) => server.closed)
    const reason = await ended.catch((error: unknown) => error)
    expect(reason).toMatchObject({ code: 'PROTOCOL' })
  })

  it('gets streams that it did not announce, or opens twice, refused', async () => {
    const { session, peer, encoder } = raw()
    let received = Buffer.alloc(0)
    peer.on('data', (chunk: Buffer) => (received = Buffer.concat([received, chunk])))
    peer.write(Buffer.concat([open(encoder, 1, 'error'), open(encoder, 3, 'stderr'), open(encoder, 5, 'error'), open(encoder, 7, 'stdin'), open(encoder, 9, 'stdout')]))
    const server = await session
    await expect.poll(() => received.includes(rstStream(3, 3)) && received.includes(rstStream(5, 3))).toBe(true)
    // Frames for a refused stream may still be under way.
    peer.write(Buffer.concat([dataHead(3, 1, false), Buffer.from('x'), dataHead(7, 5, false), Buffer.from('hello')]))
    const first: unknown = await server.stdin?.[Symbol.asyncIterator]().next()
    expect(first).toMatchObject({ value: Buffer.from('hello') })
    server.abort()
  })

  it('is cut off when it asks for answers and reads none', async () => {
    const { session, peer, encoder } = raw()
    peer.write(opens(encoder))
    const server = await session
    server.stdout?.write(Buffer.alloc(1_000_000))
    peer.write(Buffer.concat(Array.from({ length: 20_000 }, () => ping(1))))
    expect((await server.closed)?.code).toBe('LIMIT')
  })
})

describe('a hostile SPDY server', () => {
  it('that refuses a stream gets no session', async () => {
    const [left, right] = duplexPair()
    const session = openRemoteCommand({ upgrade: handshake('remote-command', 'spdy').opened, duplex: left }, plain)
    right.resume()
    right.write(rstStream(1, 3))
    await expect(session).rejects.toMatchObject({ code: 'REFUSED' })
  })

  it('that opens streams itself has them refused', async () => {
    const [left, right] = duplexPair()
    const session = openRemoteCommand({ upgrade: handshake('remote-command', 'spdy').opened, duplex: left }, plain)
    session.catch(() => undefined)
    let received = Buffer.alloc(0)
    right.on('data', (chunk: Buffer) => (received = Buffer.concat([received, chunk])))
    right.write(new SpdyEncoder().synStream(2, new Map([['streamtype', 'stdin']])))
    await expect.poll(() => received.includes(rstStream(2, 3))).toBe(true)
    right.end()
    await expect(session).rejects.toMatchObject({ code: 'PEER_GONE' })
  })
})
