import { randomBytes } from 'node:crypto'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocketServer, type RawData } from 'ws'
import type { RemoteCommandClient } from '../faces.js'
import { openRemoteCommand } from '../open.js'
import { exitCode, exitStatus } from '../status.js'
import { readAll } from '../testing/pairs.js'
import { upgradeRequest, verifyUpgrade } from '../upgrade.js'

/** The client's end against an independent server: the `ws` package, which fragments, pings and checks masks by itself. */
describe('the WebSocket client against the ws package', () => {
  const http = createServer()
  const server = new WebSocketServer({ server: http, handleProtocols: (offered) => [...offered][0] ?? false })
  beforeAll(() => new Promise<void>((resolve) => http.listen(0, '127.0.0.1', () => resolve())))
  afterAll(() => {
    server.close()
    http.close()
  })

  it('carries a command', async () => {
    server.once('connection', (socket, upgrade) => {
      expect(upgrade.headers['sec-websocket-protocol']).toBe('v5.channel.k8s.io, v4.channel.k8s.io')
      const input: Buffer[] = []
      socket.on('message', (message: RawData) => {
        const bytes = Buffer.isBuffer(message) ? message : Buffer.alloc(0)
        if (bytes[0] === 0) input.push(bytes.subarray(1))
        if (bytes[0] !== 255) return
        socket.ping('still there?')
        socket.send(Buffer.concat([Buffer.from([1]), ...input.slice(0, 1)]), { fin: false })
        socket.send(Buffer.concat(input.slice(1)), { fin: true })
        socket.once('pong', () => {
          socket.send(Buffer.concat([Buffer.from([3]), Buffer.from(JSON.stringify(exitStatus(9)))]))
          socket.close(1000)
        })
      })
    })
    const input = randomBytes(300_000)
    const client = await dial((http.address() as AddressInfo).port)
    client.stdin?.end(input)
    const [output, status] = await Promise.all([readAll(client.stdout), client.status])
    expect(output.equals(input)).toBe(true)
    expect(exitCode(status)).toBe(9)
    expect(await client.closed).toBeUndefined()
  })
})

function dial(port: number): Promise<RemoteCommandClient> {
  const asked = upgradeRequest('remote-command', 'websocket', randomBytes)
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', method: asked.method, headers: asked.headers })
    sent.on('upgrade', (answer, duplex, head) => {
      const upgrade = verifyUpgrade(asked, { status: answer.statusCode ?? 0, headers: answer.headers })
      openRemoteCommand({ upgrade, duplex, head }, { stdin: true, stdout: true, stderr: false, tty: false }).then(resolve, reject)
    })
    sent.on('error', reject)
    sent.end()
  })
}
