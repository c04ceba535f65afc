import { Duplex } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  decodeStatus, drivePortForward, driveSpdyCommand, driveWebSocketCommand, encodeStatus, isWebSocketKey, newWebSocketKey, servePortForward, serveSpdyCommand, serveWebSocketCommand, StreamProtocolError, webSocketAccept, WebSocketTunnel,
  type RemoteCommandClient, type RemoteCommandServer, type RemoteStatus, type RemoteStreams,
} from './index.js'
import { decodeHeaders, encodeHeaders, HeaderDeflater, HeaderInflater } from './spdy/header-block.js'
import { encodeWebSocketFrame, opcodes, WebSocketFrameReader, type WebSocketFrame } from './websocket/frames.js'

/** Two ends of a byte stream that cuts what it carries into pieces. */
function pair(size = 7): readonly [Duplex, Duplex] {
  const make = (other: () => Duplex): Duplex =>
    new Duplex({
      allowHalfOpen: false,
      read() {},
      write(bytes: Buffer, _encoding, done) {
        for (let start = 0; start < bytes.length; start += size) other().push(bytes.subarray(start, start + size))
        done()
      },
      final(done) {
        other().push(null)
        done()
      },
    })
  const ends: Duplex[] = []
  const a = make(() => ends[1] ?? a)
  const b = make(() => ends[0] ?? b)
  ends.push(a, b)
  return [a, b]
}

const all: RemoteStreams = { stdin: true, stdout: true, stderr: true, tty: false }

describe('WebSocket frames (RFC 6455)', () => {
  test('the handshake of section 1.3', () => {
    expect(webSocketAccept('dGhlIHNhbXBsZSBub25jZQ==')).toBe('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
    expect(isWebSocketKey(newWebSocketKey())).toBe(true)
    for (const key of [undefined, '', 'short', 'dGhlIHNhbXBsZSBub25jZQ=', 'dGhlIHNhbXBsZSBub25jZQ==\n', 'dGhlIHNhbXBsZSBub25jZR==']) expect(isWebSocketKey(key)).toBe(false)
  })

  test('any payload comes out as it went in, wherever it is cut, masked or not', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 5 }), fc.boolean(), fc.integer({ min: 1, max: 50 }), (payloads, mask, size) => {
        const seen: Buffer[] = []
        const reader = new WebSocketFrameReader(mask, (frame) => seen.push(Buffer.from(frame.payload)))
        const bytes = Buffer.concat(payloads.map((payload) => encodeWebSocketFrame(opcodes.binary, payload, mask)))
        for (let start = 0; start < bytes.length; start += size) reader.push(bytes.subarray(start, start + size))
        expect(seen).toEqual(payloads.map((payload) => Buffer.from(payload)))
      }),
    )
  })

  test.each([125, 126, 65_535, 65_536, 200_000])('a payload of %i bytes', (length) => {
    const seen: WebSocketFrame[] = []
    new WebSocketFrameReader(true, (frame) => seen.push(frame)).push(encodeWebSocketFrame(opcodes.binary, Buffer.alloc(length, 1), true, 2))
    expect(seen[0]?.payload.length).toBe(length + 1)
    expect(seen[0]?.payload[0]).toBe(2)
  })

  test.each([
    ['reserved bits', [0xf2, 0x80, 0, 0, 0, 0]], ['an unknown opcode', [0x83, 0x80, 0, 0, 0, 0]], ['no mask', [0x82, 0x01, 1]], ['a long ping', [0x89, 0xfe, 0, 126, 0, 0, 0, 0]], ['a fragmented ping', [0x09, 0x80, 0, 0, 0, 0]],
    ['a length not in its shortest form', [0x82, 0xfe, 0, 1, 0, 0, 0, 0, 1]], ['a huge length', [0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]],
  ])('%s is refused', (_name, bytes) => {
    expect(() => new WebSocketFrameReader(true, () => undefined).push(Buffer.from(bytes))).toThrow(StreamProtocolError)
  })

  test('noise never does anything but end the connection', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
        try {
          new WebSocketFrameReader(true, () => undefined).push(Buffer.from(noise))
        } catch (error) {
          expect(error).toBeInstanceOf(StreamProtocolError)
        }
      }),
    )
  })
})

describe('SPDY header blocks', () => {
  test('blocks of one direction go through deflate and inflate in order', async () => {
    const deflater = new HeaderDeflater()
    const inflater = new HeaderInflater()
    for (let index = 0; index < 50; index++) {
      const headers = { streamtype: 'data', port: String(index), requestid: 'x'.repeat(index * 20) }
      expect(decodeHeaders(await inflater.inflate(deflater.deflate(encodeHeaders(headers))))).toEqual(headers)
    }
    inflater.close()
  })

  test('a bomb, rubbish and blocks that lie about their lengths are refused', async () => {
    const bomb = new HeaderDeflater().deflate(Buffer.alloc(300_000))
    await expect(new HeaderInflater().inflate(bomb)).rejects.toThrow(StreamProtocolError)
    await expect(new HeaderInflater().inflate(Buffer.from('not zlib at all'))).rejects.toThrow(StreamProtocolError)
    for (const block of [Buffer.from([0, 0, 0, 1]), Buffer.from([0xff, 0xff, 0xff, 0xff]), Buffer.from([0, 0, 0, 1, 0, 0, 0, 9, 1]), Buffer.concat([encodeHeaders({ a: 'b' }), Buffer.from([1])]), Buffer.from([0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])]) {
      expect(() => decodeHeaders(block)).toThrow(StreamProtocolError)
    }
  })
})

interface Ends {
  readonly server: RemoteCommandServer
  readonly client: RemoteCommandClient
  readonly got: { input: string; inputEnded: boolean; stdout: string; stderr: string; size?: { columns: number; rows: number }; status?: RemoteStatus; serverClosed?: boolean; clientClosed?: boolean }
}

function connect(kind: 'websocket' | 'spdy', streams = all): Ends {
  const [a, b] = pair()
  const got: Ends['got'] = { input: '', inputEnded: false, stdout: '', stderr: '' }
  const serverHandlers = {
    onInput: (bytes: Buffer) => void (got.input += bytes.toString()),
    onInputEnd: () => void (got.inputEnded = true),
    onResize: (size: { columns: number; rows: number }) => void (got.size = size),
    onClose: () => void (got.serverClosed = true),
  }
  const clientHandlers = {
    onOutput: (name: 'stdout' | 'stderr', bytes: Buffer) => void (got[name] += bytes.toString()),
    onStatus: (status: RemoteStatus) => void (got.status = status),
    onClose: () => void (got.clientClosed = true),
  }
  const server = kind === 'websocket' ? serveWebSocketCommand(a, 'v5.channel.k8s.io', streams, serverHandlers) : serveSpdyCommand(a, streams, serverHandlers)
  const client = kind === 'websocket' ? driveWebSocketCommand(b, 'v5.channel.k8s.io', streams, clientHandlers) : driveSpdyCommand(b, streams, clientHandlers)
  return { server, client, got }
}

async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; !holds(); turn++) {
    if (turn > 2000) throw new Error('never happened')
    await new Promise((resolve) => setImmediate(resolve))
  }
}

describe.each(['websocket', 'spdy'] as const)('a remote command over %s', (kind) => {
  test('input, its end, both outputs, and the exit code last', async () => {
    const { server, client, got } = connect(kind)
    client.write(Buffer.from('typed '))
    client.write(Buffer.from('in'))
    client.endInput()
    await until(() => got.inputEnded)
    expect(got.input).toBe('typed in')
    server.write('stdout', Buffer.from('out'))
    server.write('stderr', Buffer.from('err'))
    server.finish({ status: 'Failure', exitCode: 3, message: 'command terminated with exit code 3' })
    await until(() => got.status !== undefined && got.clientClosed === true)
    expect(got).toMatchObject({ stdout: 'out', stderr: 'err', status: { status: 'Failure', exitCode: 3 } })
  })

  test('a command that is over before the client has opened its streams', async () => {
    const { server, got } = connect(kind)
    server.write('stdout', Buffer.from('quick'))
    server.finish({ status: 'Success' })
    await until(() => got.status !== undefined)
    expect(got).toMatchObject({ stdout: 'quick', status: { status: 'Success' } })
  })

  test('a terminal and its size', async () => {
    const { client, got } = connect(kind, { stdin: true, stdout: true, stderr: false, tty: true })
    client.resize({ columns: 132, rows: 43 })
    await until(() => got.size !== undefined)
    expect(got.size).toEqual({ columns: 132, rows: 43 })
  })

  test('a side that goes away is noticed', async () => {
    const { client, got } = connect(kind)
    client.destroy()
    await until(() => got.clientClosed === true)
  })
})

test('WebSocket: data on channels that are not open ends the connection', async () => {
  for (const [channel, streams] of [[0, { ...all, stdin: false }], [1, all], [3, all], [4, all], [9, all]] as const) {
    const [a, b] = pair()
    let closed: Error | undefined
    serveWebSocketCommand(a, 'v5.channel.k8s.io', streams, { onInput: () => undefined, onInputEnd: () => undefined, onResize: () => undefined, onClose: (error) => (closed = error) })
    b.resume()
    b.write(encodeWebSocketFrame(opcodes.binary, Buffer.from('{"x":1}'), true, channel))
    await until(() => closed !== undefined)
    expect(closed, String(channel)).toBeInstanceOf(StreamProtocolError)
  }
})

test.each([['plain', false], ['inside a WebSocket', true]])('port-forward, %s: connections beside each other, half-closed, and an error', async (_name, tunnelled) => {
  const [a, b] = pair(1000)
  const serverSide = tunnelled ? new WebSocketTunnel(a, 'server') : a
  const clientSide = tunnelled ? new WebSocketTunnel(b, 'client') : b
  servePortForward(serverSide, {
    onConnection: ({ port, data, error }) => {
      if (port === 1) {
        error.end('nobody there')
        data.destroy()
        return
      }
      let text = ''
      data.on('data', (bytes: Buffer) => (text += bytes.toString()))
      data.once('end', () => {
        data.end(`${port}:${text}`)
        error.end()
      })
    },
    onClose: () => undefined,
  })
  const client = drivePortForward(clientSide, () => undefined)
  const ask = async (port: number, text: string): Promise<string> => {
    const connection = client.open(port)
    let answer = ''
    connection.data.on('data', (bytes: Buffer) => (answer += bytes.toString()))
    connection.error.on('data', (bytes: Buffer) => (answer += bytes.toString()))
    connection.data.end(text)
    await until(() => connection.data.destroyed || connection.data.readableEnded)
    await until(() => connection.error.readableEnded || connection.error.destroyed)
    return answer
  }
  expect(await Promise.all([ask(80, 'a'), ask(81, 'b'.repeat(100_000)), ask(82, ''), ask(1, 'x')])).toEqual(['80:a', `81:${'b'.repeat(100_000)}`, '82:', 'nobody there'])
})

test('a status that can not be read is a failure', () => {
  expect(decodeStatus(Buffer.from('nonsense'))).toMatchObject({ status: 'Failure' })
  expect(decodeStatus(encodeStatus({ status: 'Success' }))).toEqual({ status: 'Success' })
  expect(decodeStatus(encodeStatus({ status: 'Failure', exitCode: 137 }))).toMatchObject({ exitCode: 137, reason: 'NonZeroExitCode' })
})
