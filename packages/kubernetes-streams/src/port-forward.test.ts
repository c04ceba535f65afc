import { duplexPair, type Duplex } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ForwardedConnection } from './faces.js'
import { MAX_HALF_PAIRS } from './limits.js'
import { servePortForward } from './open.js'
import { dataHead, rstStream, SpdyEncoder } from './spdy/frames.js'
import { payload } from './testing/chunks.js'
import { forwardPair, handshake, readAll, type TestTransport } from './testing/pairs.js'

describe.each<TestTransport>(['websocket', 'spdy'])('port forwarding over %s, both roles', (transport) => {
  it('carries connections side by side, each half-closed by itself', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(payload, { maxLength: 5 }), { minLength: 1, maxLength: 6 }), async (bodies) => {
        const { server, client } = forwardPair(transport, (connection) => {
          // Answers only after the client's half-close.
          void readAll(connection.data).then((got) => connection.data.end(Buffer.concat([Buffer.from(`${connection.port}:`), got])))
        })
        const answers = bodies.map(async (chunks, i) => {
          const { data, error } = await client.open(8000 + i)
          for (const chunk of chunks) data.write(chunk)
          data.end()
          expect((await readAll(data)).equals(Buffer.concat([Buffer.from(`${8000 + i}:`), ...chunks]))).toBe(true)
          expect(await error).toBeUndefined()
        })
        await Promise.all(answers)
        client.close()
        expect(await server.closed).toBeUndefined()
        expect(await client.closed).toBeUndefined()
      }),
      { numRuns: 25 },
    )
  })

  it('tells why a connection failed, and goes on with others', async () => {
    const { client, server } = forwardPair(transport, (connection) => {
      if (connection.port === 22) connection.fail('denied by rule 1')
      else connection.data.end('welcome')
    })
    const denied = await client.open(22)
    expect(await denied.error).toBe('denied by rule 1')
    await expect(readAll(denied.data)).rejects.toMatchObject({ code: 'RESET' })
    const other = await client.open(80)
    expect((await readAll(other.data)).toString()).toBe('welcome')
    server.abort()
    expect((await client.closed)?.code ?? 'closed').toBe('closed')
    await expect(client.open(80)).rejects.toMatchObject({ code: 'PEER_GONE' })
  })

  it('stops a sender whose connection nobody reads', async () => {
    let kept: ForwardedConnection | undefined
    const { client, server } = forwardPair(transport, (connection) => (kept = connection))
    const { data } = await client.open(80)
    let written = 0
    while (written < 8_000_000 && data.write(Buffer.alloc(32_768))) {
      written += 32_768
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(written).toBeLessThan(1_000_000)
    // A connection that is given up no longer stops the others.
    kept?.data.destroy()
    const next = await client.open(81)
    expect(next.port).toBe(81)
    server.abort()
  })

  it.each([0, -1, 65_536, 1.5, Number.NaN])('opens no port %s', async (port) => {
    const { client } = forwardPair(transport, () => undefined)
    await expect(client.open(port)).rejects.toMatchObject({ code: 'REFUSED' })
    client.abort()
  })
})

describe('a hostile port-forward client', () => {
  function raw(onConnection: (connection: ForwardedConnection) => void = () => undefined): {
    readonly session: ReturnType<typeof servePortForward>
    readonly peer: Duplex
    readonly received: () => Buffer
    readonly open: (id: number, headers: Readonly<Record<string, string>>) => void
  } {
    const [left, right] = duplexPair()
    const session = servePortForward({ upgrade: handshake('port-forward', 'spdy').served, duplex: left }, onConnection)
    const encoder = new SpdyEncoder()
    let received = Buffer.alloc(0)
    right.on('data', (chunk: Buffer) => (received = Buffer.concat([received, chunk])))
    return { session, peer: right, received: () => received, open: (id, headers) => right.write(encoder.synStream(id, new Map(Object.entries(headers)))) }
  }

  const wrong: readonly Readonly<Record<string, string>>[] = [
    { streamtype: 'data', port: '80' },
    { streamtype: 'data', requestid: '1' },
    { streamtype: 'stdin', port: '80', requestid: '1' },
    { streamtype: 'data', port: '0', requestid: '1' },
    { streamtype: 'data', port: '65536', requestid: '1' },
    { streamtype: 'data', port: '080', requestid: '1' },
    { streamtype: 'data', port: '80', requestid: 'x'.repeat(65) },
  ]
  it.each(wrong)('has a stream of %o refused', async (headers) => {
    const { session, received, open } = raw()
    open(1, headers)
    await expect.poll(() => received().includes(rstStream(1, 3))).toBe(true)
    session.abort()
  })

  it('has streams refused that fit no pair: another port, the same type twice, an id in use', async () => {
    const connections: string[] = []
    const { session, received, open } = raw(({ port, requestId }) => connections.push(`${port} ${requestId}`))
    open(1, { streamtype: 'error', port: '80', requestid: '1' })
    open(3, { streamtype: 'data', port: '81', requestid: '1' })
    open(5, { streamtype: 'error', port: '80', requestid: '1' })
    open(7, { streamtype: 'data', port: '80', requestid: '1' })
    open(9, { streamtype: 'data', port: '80', requestid: '1' })
    await expect.poll(() => [3, 5, 9].every((id) => received().includes(rstStream(id, 3)))).toBe(true)
    expect(connections).toEqual(['80 1'])
    session.abort()
  })

  it('has half pairs refused beyond the limit', async () => {
    const { session, received, open } = raw()
    for (let i = 0; i <= MAX_HALF_PAIRS; i++) open(2 * i + 1, { streamtype: 'data', port: '80', requestid: String(i) })
    await expect.poll(() => received().includes(rstStream(2 * MAX_HALF_PAIRS + 1, 3))).toBe(true)
    expect(received().includes(rstStream(2 * MAX_HALF_PAIRS - 1, 3))).toBe(false)
    session.abort()
  })

  it('that resets a connection has it destroyed, and may use the id again', async () => {
    const connections: ForwardedConnection[] = []
    const { session, peer, open } = raw((connection) => connections.push(connection))
    open(1, { streamtype: 'error', port: '80', requestid: '1' })
    open(3, { streamtype: 'data', port: '80', requestid: '1' })
    await expect.poll(() => connections.length).toBe(1)
    peer.write(rstStream(3, 5))
    await expect.poll(() => connections[0]?.data.destroyed).toBe(true)
    open(5, { streamtype: 'error', port: '80', requestid: '1' })
    open(7, { streamtype: 'data', port: '80', requestid: '1' })
    await expect.poll(() => connections.at(-1)?.data.destroyed).toBe(false)
    session.abort()
  })

  it('is cut off when it writes to an error stream', async () => {
    const { session, peer, open } = raw()
    open(1, { streamtype: 'error', port: '80', requestid: '1' })
    peer.write(Buffer.concat([dataHead(1, 1, false), Buffer.from('x')]))
    expect((await session.closed)?.code).toBe('PROTOCOL')
  })
})
