import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RequestedStreams, TerminalSize } from './faces.js'
import { CONNECTION_BUFFER, STREAM_BUFFER } from './limits.js'
import { exitCode, exitStatus, failureStatus, successStatus } from './status.js'
import { payload } from './testing/chunks.js'
import { commandPair, readAll, type TestTransport } from './testing/pairs.js'

const plain: RequestedStreams = { stdin: true, stdout: true, stderr: true, tty: false }
const terminal: RequestedStreams = { stdin: true, stdout: true, stderr: false, tty: true }
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20))

describe.each<TestTransport>(['websocket', 'spdy'])('remote command over %s, both roles', (transport) => {
  it('carries every stream whole and in order, and the exit code', async () => {
    const chunks = fc.array(payload, { maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(chunks, chunks, chunks, fc.nat(255), async (input, output, errors, code) => {
        const { server, client } = await commandPair(transport, plain)
        for (const chunk of input) client.stdin?.write(chunk)
        client.stdin?.end()
        for (const chunk of output) server.stdout?.write(chunk)
        for (const chunk of errors) server.stderr?.write(chunk)
        expect((await readAll(server.stdin)).equals(Buffer.concat(input))).toBe(true)
        const finished = server.finish(exitStatus(code))
        const [out, err, status] = await Promise.all([readAll(client.stdout), readAll(client.stderr), client.status])
        expect(out.equals(Buffer.concat(output))).toBe(true)
        expect(err.equals(Buffer.concat(errors))).toBe(true)
        expect(exitCode(status)).toBe(code)
        await finished
        expect(await server.closed).toBeUndefined()
        expect(await client.closed).toBeUndefined()
      }),
      { numRuns: 40 },
    )
  })

  it('gives only the announced streams', async () => {
    const { server, client } = await commandPair(transport, { stdin: false, stdout: true, stderr: false, tty: false })
    expect([server.stdin, server.stderr, server.resizes, client.stdin, client.stderr]).toEqual([undefined, undefined, undefined, undefined, undefined])
    server.abort()
    await client.closed
  })

  it('carries terminal sizes; a reader that waits still gets the last one', async () => {
    const { server, client } = await commandPair(transport, terminal)
    for (let width = 1; width <= 100; width++) client.resize({ width, height: 24 })
    await turn()
    const sizes: TerminalSize[] = []
    server.resizes?.on('data', (size: TerminalSize) => sizes.push(size))
    await turn()
    expect(sizes.length).toBeLessThan(30)
    expect(sizes.at(-1)).toEqual({ width: 100, height: 24 })
    server.abort()
    await client.closed
  })

  it('stops a client whose stdin nobody reads, within bounded memory, and goes on when it is read', async () => {
    const { server, client } = await commandPair(transport, plain)
    const total = 4 * CONNECTION_BUFFER
    let taken = 0
    const step = Buffer.alloc(16 * 1024, 'x')
    const write = (): void => {
      while (taken < total && client.stdin?.write(step, () => (taken += 0))) taken += step.length
      if (taken < total) client.stdin?.once('drain', write)
      else client.stdin?.end()
      taken += step.length
    }
    write()
    await turn()
    expect(taken).toBeGreaterThan(STREAM_BUFFER / 2)
    expect(taken).toBeLessThan(STREAM_BUFFER * 2)
    expect((await readAll(server.stdin)).length).toBeGreaterThanOrEqual(total)
    await server.finish(successStatus)
  })

  it('stops a server whose output nobody reads', async () => {
    const { server, client } = await commandPair(transport, plain)
    let written = 0
    while (server.stdout?.write(Buffer.alloc(16 * 1024)) || written < 8 * STREAM_BUFFER) {
      written += 16 * 1024
      if (written > 8 * STREAM_BUFFER) break
      await new Promise((resolve) => setImmediate(resolve))
    }
    await turn()
    expect(server.stdout?.writableLength).toBeGreaterThan(STREAM_BUFFER)
    const finished = server.finish(exitStatus(0))
    client.stderr?.resume()
    expect((await readAll(client.stdout)).length).toBeGreaterThan(8 * STREAM_BUFFER - 1)
    await finished
    expect(exitCode(await client.status)).toBe(0)
  })

  it('drops what comes for a stream that was given up', async () => {
    const { server, client } = await commandPair(transport, plain)
    server.stdin?.destroy()
    client.stdin?.write(Buffer.alloc(2 * STREAM_BUFFER))
    await turn()
    expect(client.stdin?.writableLength).toBe(0)
    client.stdout?.destroy()
    server.stdout?.write(Buffer.alloc(2 * STREAM_BUFFER))
    server.stderr?.write('still here')
    const finished = server.finish(exitStatus(3))
    expect((await readAll(client.stderr)).toString()).toBe('still here')
    expect(exitCode(await client.status)).toBe(3)
    await finished
  })

  it('ends both sides when the server aborts, with its reason as the status', async () => {
    const { server, client } = await commandPair(transport, plain)
    server.abort()
    expect((await server.closed)?.code).toBe('ABORTED')
    const status = await client.status
    expect(status).toMatchObject({ status: 'Failure', message: 'the session was ended' })
    expect(server.stdin?.destroyed).toBe(true)
    server.abort()
  })

  it('ends both sides when the client aborts', async () => {
    const { server, client } = await commandPair(transport, plain)
    client.abort()
    await expect(client.status).rejects.toMatchObject({ code: 'ABORTED' })
    expect((await server.closed)?.code).toBe('PEER_GONE')
    await server.finish(exitStatus(0))
    expect(server.stdout?.destroyed).toBe(true)
  })

  it('tells a failure that is no exit code', async () => {
    const { server, client } = await commandPair(transport, plain)
    client.stdout?.resume()
    client.stderr?.resume()
    await server.finish(failureStatus('denied by rule 3', 'Forbidden', 403))
    const status = await client.status
    expect(status).toMatchObject({ message: 'denied by rule 3', reason: 'Forbidden', code: 403 })
    expect(exitCode(status)).toBeUndefined()
  })
})
