import { spawn, type ChildProcess } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { connect, createServer, type AddressInfo, type Server } from 'node:net'
import { pipeline } from 'node:stream'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { PortForwardSession } from './faces.js'
import { servePortForward } from './open.js'
import { TestCluster } from './testing/cluster.js'
import { environment, haveKubectl, KUBECTL, type Transport } from './testing/kubectl.js'

/** What stands in the pod: answers with the SHA-256 of what it got, after the client's half-close. */
function hashServer(): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const hash = createHash('sha256')
    socket.on('data', (chunk) => hash.update(chunk))
    socket.on('end', () => socket.end(hash.digest('hex')))
    socket.on('error', () => undefined)
  })
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)))
}

/** The real client: skipped by name where it isn't installed. */
describe.skipIf(!haveKubectl).each<Transport>(['websocket', 'spdy'])('kubectl port-forward over %s', (transport) => {
  let cluster: TestCluster
  let target: Server
  let children: ChildProcess[] = []
  let session: PortForwardSession | undefined
  const ports: number[] = []

  beforeAll(async () => {
    cluster = await TestCluster.start()
    target = await hashServer()
    cluster.serve((taken) => {
      expect(taken.upgrade.transport).toBe(transport)
      session = servePortForward(taken, (connection) => {
        ports.push(connection.port)
        if (connection.port !== 80) return connection.fail(`denied: port ${connection.port}`)
        const socket = connect({ port: (target.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true })
        pipeline(connection.data, socket, () => undefined)
        pipeline(socket, connection.data, () => undefined)
      })
    })
  })
  afterEach(() => {
    for (const child of children) child.kill('SIGKILL')
    children = []
  })
  afterAll(() => {
    target.close()
    cluster.stop()
  })

  async function forward(remote: number): Promise<{ readonly port: number; readonly child: ChildProcess; readonly errors: () => string }> {
    const child = spawn(KUBECTL, ['port-forward', '--address', '127.0.0.1', 'pod/web', `:${remote}`], { env: environment(cluster.kubeconfig, transport) })
    children.push(child)
    let errors = ''
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
    const port = await new Promise<number>((resolve, reject) => {
      child.stdout.on('data', (chunk: Buffer) => {
        const match = /127\.0\.0\.1:(\d+) ->/.exec(chunk.toString())
        if (match) resolve(Number(match[1]))
      })
      child.on('exit', () => reject(new Error(errors)))
    })
    return { port, child, errors: () => errors }
  }

  function exchange(port: number, sent: Buffer): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
      let got = ''
      socket.on('data', (chunk) => (got += chunk.toString()))
      socket.on('end', () => resolve(got))
      socket.on('error', reject)
      socket.end(sent)
    })
  }

  it('carries several connections at once, each with its half-close', async () => {
    const { port, child } = await forward(80)
    const bodies = Array.from({ length: 8 }, (_, i) => randomBytes(100_000 * (i + 1)))
    const got = await Promise.all(bodies.map((body) => exchange(port, body)))
    expect(got).toEqual(bodies.map((body) => createHash('sha256').update(body).digest('hex')))
    child.kill('SIGINT')
    await session?.closed
  })

  it("prints a refused connection's reason", async () => {
    const { port, errors } = await forward(81)
    await exchange(port, Buffer.from('x')).catch(() => '')
    await expect.poll(errors).toContain('denied: port 81')
    expect(ports).toContain(81)
  })

  it('ends when the session is ended', async () => {
    const { child, errors } = await forward(80)
    const exited = new Promise((resolve) => child.once('exit', resolve))
    session?.abort()
    await exited
    expect(errors()).toContain('lost connection to pod')
    expect((await session?.closed)?.code).toBe('ABORTED')
  })
})
