import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { credentials } from '@grpc/grpc-js'
import { enrol, type NodeIdentity } from '@sallyport/node-identity'
import type { ProtocolFront } from '@sallyport/kit'
import { TestAuthority } from '@sallyport/node-identity/testing'
import { TunnelClient } from '@sallyport/proto'
import { createLogger } from '@sallyport/telemetry'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { loadConfig } from './config/config.js'
import { Gateway, type GatewayPorts } from './gateway.js'
import { loadHostKeys } from './listeners/host-keys.js'
import { echoFront } from './testing/echo-front.js'
import { echo, FakeAgent, type ServedChannel } from './testing/fake-agent.js'
import * as flowControl from './tunnel/flow-control.js'
import { FakeControlPlane } from './testing/fake-control-plane.js'

const log = createLogger('gateway-test', { level: process.env['TEST_LOG'] ?? 'silent' })
const seenHostKeys: (readonly string[])[] = []
const keyedFront: ProtocolFront = {
  protocol: 'keyed',
  usesHostKeys: true,
  handle(socket, context) {
    seenHostKeys.push(context.hostKeys)
    socket.end()
  },
}
const hosted = [
  { front: echoFront, defaultListen: '127.0.0.1:0' },
  { front: keyedFront, defaultListen: '127.0.0.1:0' },
]

let directory: string
let plane: FakeControlPlane
let gateway: Gateway
let ports: GatewayPorts
let agentIdentity: NodeIdentity
const agents: FakeAgent[] = []
const clients: Client[] = []

/** A client of the echo protocol. */
class Client {
  readonly socket: Socket
  text = ''
  closed = false
  constructor() {
    this.socket = connect({ host: '127.0.0.1', port: ports.listeners['echo'] ?? 0, allowHalfOpen: true })
    this.socket.on('data', (chunk) => (this.text += chunk.toString('latin1')))
    this.socket.on('error', () => {})
    this.socket.on('close', () => (this.closed = true))
    this.socket.on('end', () => this.socket.end())
    clients.push(this)
  }
  async says(text: string | RegExp): Promise<this> {
    await vi.waitFor(() => expect(this.text).toMatch(text), { timeout: 5_000, interval: 5 })
    return this
  }
  async isClosed(): Promise<this> {
    await vi.waitFor(() => expect(this.closed).toBe(true), { timeout: 5_000, interval: 5 })
    return this
  }
  login(password = 'good'): this {
    this.socket.write(`shop-ci ${password}\n`)
    return this
  }
}

async function start(environment: Record<string, string> = {}): Promise<void> {
  const config = await loadConfig(
    {
      SALLYPORT_GATEWAY_DATA_DIR: join(directory, 'gateway'),
      SALLYPORT_CONTROL_PLANE: `127.0.0.1:${plane.port}`,
      SALLYPORT_GATEWAY_TUNNEL_LISTEN: '127.0.0.1:0',
      SALLYPORT_GATEWAY_OPS_LISTEN: '127.0.0.1:0',
      SALLYPORT_INSECURE_PLAINTEXT: 'true',
      SALLYPORT_GATEWAY_DRAIN_MS: '100',
      ...environment,
    },
    hosted,
  )
  const endpoint = config.controlPlane
  const identity = await enrol({ endpoint, token: plane.authority.token('gateway'), kind: 'gateway', hostnames: config.hostnames, dataDir: config.dataDir })
  gateway = new Gateway(config, identity, hosted, log)
  ports = await gateway.start()
  agentIdentity = await enrol({
    endpoint: `127.0.0.1:${ports.tunnel}`,
    token: plane.authority.token('agent'),
    kind: 'agent',
    dataDir: join(directory, 'agent'),
  })
  plane.agentId = agentIdentity.nodeId
}

async function agent(serve?: (served: ServedChannel) => void, instanceId?: string): Promise<FakeAgent> {
  const made = new FakeAgent(ports.tunnel, agentIdentity, serve, instanceId)
  agents.push(made)
  return made.settled()
}

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${ports.ops}/metrics`)).text()
  return Number(text.split('\n').find((line) => line.startsWith(`sallyport_gateway_${name} `))?.split(' ')[1] ?? 0)
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sallyport-gateway-'))
  plane = new FakeControlPlane(await TestAuthority.create())
  await plane.start()
})

afterEach(async () => {
  for (const client of clients.splice(0)) client.socket.destroy()
  for (const one of agents.splice(0)) one.kill()
  await gateway.stop()
  plane.stop()
  await rm(directory, { recursive: true, force: true })
})

describe('a session', () => {
  it('goes from client through gateway to agent and back, and both ends are told of its end', async () => {
    await start()
    const served = await agent()
    expect(served.welcome).toMatchObject({ accepted: true })
    const client = await new Client().login().says('OK session-1')
    expect(plane.starts[0]?.start).toMatchObject({ protocol: 'echo', user: 'shop-ci', parameters: { database: 'd' }, clientAddress: '127.0.0.1' })
    // The client is told while the opening is on its way to the agent.
    await vi.waitFor(() => expect(served.served[0]?.open).toEqual({ sessionId: 'session-1', grant: 'grant-of-session-1', parameters: { database: 'd' } }))
    client.socket.write('hello')
    await client.says('hello')
    expect(await metric('session_bytes_total{direction="to_agent"}')).toBe(5)
    expect(await metric('sessions_open')).toBe(1)
    expect(await metric('connections_unauthenticated')).toBe(0)
    client.socket.end()
    await client.isClosed()
    await vi.waitFor(() => expect(plane.of('sessionClosed')).toEqual([{ sessionId: 'session-1', reason: 'closed' }]))
    await vi.waitFor(() => expect(served.served[0]?.closed).toBe('closed'))
    expect(await metric('sessions_open')).toBe(0)
  })

  it('opens by a proven public key, which goes up right after the start', async () => {
    await start()
    await agent()
    const client = new Client()
    client.socket.write('KEY shop-ci good\n')
    await client.says('OK session-1')
    expect(plane.starts[0]?.start).toMatchObject({ user: 'shop-ci', proofFollows: true })
    expect(plane.proofs).toEqual([{ algorithm: 'ssh-ed25519', key: Buffer.from('k'), signature: Buffer.from('good'), signedData: Buffer.from('d') }])
    const other = new Client()
    other.socket.write('KEY shop-ci bad\n')
    await other.says('ERR AUTHENTICATION_FAILED')
  })

  it('is refused when the control plane refuses the client', async () => {
    await start()
    const served = await agent()
    await (await new Client().login('bad').says('ERR AUTHENTICATION_FAILED')).isClosed()
    expect(served.served).toEqual([])
    expect(await metric('refused_total{reason="AUTHENTICATION_FAILED"}')).toBe(1)
  })

  it('is refused when the agent is not here', async () => {
    await start()
    await new Client().login().says('ERR NO_AGENT')
    await vi.waitFor(() => expect(plane.of('sessionClosed')).toEqual([{ sessionId: 'session-1', reason: 'NO_AGENT' }]))
  })

  it('is refused beyond the limit', async () => {
    await start({ SALLYPORT_GATEWAY_MAX_SESSIONS: '1' })
    await agent()
    await new Client().login().says('OK')
    await new Client().login().says('ERR TOO_MANY_SESSIONS')
  })

  it('passes on an agent’s refusal', async () => {
    await start()
    await agent(({ channel }) => channel.close({ code: 'GRANT_REFUSED', message: 'm', hint: 'h' }))
    await (await new Client().login().says('ERR GRANT_REFUSED')).isClosed()
  })

  it('is cancelled by its own key only', async () => {
    await start()
    const served = await agent()
    const first = await new Client().login().says('OK')
    await new Client().login().says('OK')
    new Client().socket.write('CANCEL key-of-session-9\n')
    new Client().socket.write('CANCEL key-of-session-1\n')
    await vi.waitFor(() => expect(served.served.map(({ signals }) => signals)).toEqual([['cancel'], []]))
    first.socket.end()
    await first.isClosed()
    const late = new Client()
    late.socket.write('CANCEL key-of-session-1\n')
    await late.isClosed()
    expect(served.served[0]?.signals).toEqual(['cancel'])
  })

  it('ends when its client disconnects while it is being opened', async () => {
    await start()
    const served = await agent()
    const client = new Client().login('silent')
    await vi.waitFor(() => expect(plane.starts).toHaveLength(1))
    client.socket.destroy()
    await vi.waitFor(() => expect(plane.cancelledOpens).toBe(1))
    expect(served.served).toEqual([])
    expect(await metric('connections_unauthenticated')).toBe(0)
  })
})

describe('killing', () => {
  it('ends exactly one session at once, on both sides', async () => {
    await start()
    const served = await agent()
    const victim = await new Client().login().says('OK')
    const other = await new Client().login().says('OK')
    plane.send({ kill: { sessionId: 'session-1', reason: 'revoked' } })
    await (await victim.says('ERR SESSION_KILLED')).isClosed()
    await vi.waitFor(() => expect(served.served[0]?.closed).toBe('SESSION_KILLED'))
    await vi.waitFor(() => expect(plane.of('sessionClosed')).toEqual([{ sessionId: 'session-1', reason: 'SESSION_KILLED' }]))
    other.socket.write('still here')
    await other.says('still here')
  })

  it('works on a client that does not read', async () => {
    await start()
    await agent(({ channel }) => {
      channel.start({ onData: () => {}, onEnd: () => {}, onClose: () => {} })
      for (let i = 0; i < 400; i += 1) channel.write(Buffer.alloc(64 * 1024))
    })
    const client = await new Client().login().says('OK')
    client.socket.pause()
    await pause(100)
    plane.send({ kill: { sessionId: 'session-1', reason: 'revoked' } })
    await vi.waitFor(() => expect(plane.of('sessionClosed')).toHaveLength(1))
    expect(await metric('sessions_open')).toBe(0)
  })

  it('reaches a session whose grant is still on its way', async () => {
    await start()
    const served = await agent()
    plane.send({ kill: { sessionId: 'session-1', reason: 'revoked' } })
    await pause(50)
    await new Client().login().says('ERR SESSION_KILLED')
    expect(served.served).toEqual([])
  })
})

describe('host keys', () => {
  it('are the same after a restart, go to fronts that use them, and their public halves to the control plane', async () => {
    await start({ SALLYPORT_GATEWAY_PUBLIC_ADDRESS_KEYED: 'gw.example:22' })
    const published = plane.up.flatMap((message) => message.hello?.hostKeys ?? [])
    expect(published.map(({ protocol, address }) => ({ protocol, address }))).toEqual([
      { protocol: 'keyed', address: 'gw.example:22' },
      { protocol: 'keyed', address: 'gw.example:22' },
    ])
    expect(published.map(({ publicKey }) => publicKey.split(' ')[0])).toEqual(['ssh-ed25519', 'ecdsa-sha2-nistp256'])
    const known = await readFile(join(directory, 'gateway', 'known_hosts'), 'utf8')
    expect(known).toBe(published.map(({ publicKey }) => `gw.example ${publicKey}\n`).join(''))
    connect({ host: '127.0.0.1', port: ports.listeners['keyed'] ?? 0 }).on('error', () => {})
    await vi.waitFor(() => expect(seenHostKeys.at(-1)).toHaveLength(2))
    const again = await loadHostKeys(join(directory, 'gateway'))
    expect(again.privateKeys).toEqual(seenHostKeys.at(-1))
    expect(again.publicKeys).toEqual(published.map(({ publicKey }) => publicKey))
    expect(JSON.stringify(plane.up)).not.toContain('PRIVATE KEY')
    await chmod(join(directory, 'gateway', 'host_key_ed25519'), 0o644)
    await expect(loadHostKeys(join(directory, 'gateway'))).rejects.toThrow('chmod 600')
  })
})

describe('what is lost', () => {
  it('agent: its sessions end with TUNNEL_LOST, the control plane hears, a new agent serves', async () => {
    await start()
    const first = await agent()
    const client = await new Client().login().says('OK')
    first.kill()
    await (await client.says('ERR TUNNEL_LOST')).isClosed()
    await vi.waitFor(() => expect(plane.of('agentDown')).toMatchObject([{ agentId: agentIdentity.nodeId, draining: false }]))
    await agent()
    await new Client().login().says('OK session-2')
  })

  it('control plane: no new session, those open go on; agents are announced again when it is back', async () => {
    await start()
    const served = await agent()
    const client = await new Client().login().says('OK')
    plane.stop()
    await vi.waitFor(async () => expect(await metric('control_plane_connected')).toBe(0))
    expect((await fetch(`http://127.0.0.1:${ports.ops}/readyz`)).status).toBe(503)
    await (await new Client().login().says('ERR UNAVAILABLE')).isClosed()
    client.socket.write('goes on')
    await client.says('goes on')
    client.socket.end()
    await client.isClosed()
    await plane.start()
    await vi.waitFor(() => expect(plane.of('agentUp')).toHaveLength(2), { timeout: 8_000 })
    await vi.waitFor(() => expect(plane.of('sessionClosed')).toHaveLength(1))
    expect(served.ended).toBeUndefined()
    await new Client().login().says('OK session-2')
  })

  it('control plane during authentication: refused', async () => {
    await start()
    await agent()
    const client = new Client().login('silent')
    await vi.waitFor(() => expect(plane.starts).toHaveLength(1))
    plane.stop()
    await (await client.says('ERR UNAVAILABLE')).isClosed()
  })

  it('patience: a control plane that never answers is a refusal in time', async () => {
    await start({ SALLYPORT_GATEWAY_HANDSHAKE_MS: '300' })
    await agent()
    await new Client().login('silent').isClosed()
    expect(await metric('connections_unauthenticated')).toBe(0)
  })
})

describe('agents', () => {
  it('are relayed, unopened, to the control plane and back', async () => {
    await start()
    const served = await agent()
    served.call.write({ link: { payload: Buffer.from('payload'), signature: Buffer.from('signature') } })
    await vi.waitFor(() => expect(plane.of('link')).toHaveLength(1))
    expect(plane.of('link')[0]).toMatchObject({
      agentId: agentIdentity.nodeId,
      instanceId: served.instanceId,
      message: { payload: Buffer.from('payload'), signature: Buffer.from('signature') },
    })
    plane.send({ link: { agentId: agentIdentity.nodeId, jws: Buffer.from('a.b.c') } })
    plane.send({ link: { agentId: 'somebody-else', jws: Buffer.from('d.e.f') } })
    await vi.waitFor(() => expect(served.links).toEqual(['a.b.c']))
  })

  it('C: are told apart by certificate, not by what they say', async () => {
    await start()
    const served = await agent()
    expect(plane.of('agentUp')[0]).toMatchObject({ agentId: agentIdentity.nodeId, certificateSha256: agentIdentity.certificateSha256 })
    expect(served.welcome?.accepted).toBe(true)
    const stranger = new TunnelClient(`127.0.0.1:${ports.tunnel}`, credentials.createSsl(Buffer.from(plane.authority.caPem)))
    const gatewayAsAgent = await enrol({
      endpoint: `127.0.0.1:${plane.port}`,
      token: plane.authority.token('gateway'),
      kind: 'gateway',
      dataDir: join(directory, 'g2'),
    })
    const impostor = new TunnelClient(`127.0.0.1:${ports.tunnel}`, gatewayAsAgent.channelCredentials('gateway'))
    for (const client of [stranger, impostor]) {
      const call = client.connect()
      const error = await new Promise<Error>((resolve) => call.on('error', resolve))
      expect(error.message).toMatch(/UNAUTHENTICATED/)
      client.close()
    }
  })

  it('C: are out when the control plane refuses them, at once or later', async () => {
    await start()
    plane.accept = (_agent, instance) => (instance === 'second' ? 'another instance is live' : undefined)
    await agent(echo, 'first')
    const second = await agent(echo, 'second')
    expect(second.welcome).toMatchObject({ accepted: false, reason: 'another instance is live' })
    await vi.waitFor(() => expect(second.ended).toBeDefined())
    const client = await new Client().login().says('OK')
    plane.send({ agentVerdict: { agentId: agentIdentity.nodeId, instanceId: 'first', accepted: false, reason: 'revoked' } })
    await client.says('ERR TUNNEL_LOST')
    await new Client().login().says('ERR NO_AGENT')
  })

  it('that dial again before their old stream is found dead replace it, end before beginning', async () => {
    await start()
    const old = await agent(echo, 'same')
    const client = await new Client().login().says('OK')
    const again = await agent(echo, 'same')
    await client.says('ERR TUNNEL_LOST')
    await vi.waitFor(() => expect(old.ended).toBeDefined())
    expect(again.welcome?.accepted).toBe(true)
    expect(plane.up.flatMap((message) => (message.kind === 'agentUp' || message.kind === 'agentDown' ? [message.kind] : []))).toEqual([
      'agentUp',
      'agentDown',
      'agentUp',
    ])
    await new Client().login().says('OK session-2')
  })

  it('take no session while they drain, and keep those they have', async () => {
    await start()
    const served = await agent()
    const client = await new Client().login().says('OK')
    served.call.write({ draining: {} })
    await vi.waitFor(() => expect(plane.of('agentDown')).toMatchObject([{ draining: true }]))
    await new Client().login().says('ERR NO_AGENT')
    client.socket.write('kept')
    await client.says('kept')
  })

  it('reach us through a receive window that fits long networks', async () => {
    const connected = vi.spyOn(flowControl, 'widenReceiveWindow')
    await start()
    await agent()
    expect(connected.mock.results.map(({ value }) => value as unknown)).toEqual([true])
  })

  it('cannot speak before the verdict', async () => {
    await start()
    plane.accept = () => 'silent'
    const early = new FakeAgent(ports.tunnel, agentIdentity)
    agents.push(early)
    early.call.write({ link: { payload: Buffer.from('x'), signature: Buffer.from('y') } })
    await early.settled()
    expect(early.welcome?.accepted).toBe(false)
    expect(plane.of('link')).toEqual([])
  })
})

describe('slow and idle clients', () => {
  it('a slow reader holds back its own session alone, within bounded memory', async () => {
    await start()
    let written = 0
    await agent((served) => {
      if (served.open.sessionId !== 'session-1') return echo(served)
      const { channel } = served
      channel.start({ onData: () => {}, onEnd: () => {}, onClose: () => (written = -1) })
      const chunk = Buffer.alloc(64 * 1024, 1)
      const pump = async (): Promise<void> => {
        while (written >= 0 && written < 200 * 1024 * 1024) {
          written += chunk.length
          if (!channel.write(chunk)) await channel.writable()
        }
      }
      void pump()
    })
    const slow = new Client()
    slow.login()
    await vi.waitFor(() => expect(plane.granted).toHaveLength(1))
    slow.socket.pause()
    await pause(300)
    const before = written
    await pause(200)
    expect(written).toBe(before)
    // Its window, the kernel's socket buffers, and what the gateway holds: far below the 200 MB on offer.
    expect(written).toBeLessThan(16 * 1024 * 1024)
    const quick = await new Client().login().says('OK')
    const from = performance.now()
    quick.socket.write('ping')
    await quick.says('ping')
    expect(performance.now() - from).toBeLessThan(1_000)
  })

  it('two hundred idle connections do not delay another', async () => {
    await start()
    await agent()
    const idle = Array.from({ length: 200 }, () => new Client())
    await pause(200)
    const from = performance.now()
    await new Client().login().says('OK')
    expect(performance.now() - from).toBeLessThan(1_000)
    expect(await metric('connections_unauthenticated')).toBeLessThanOrEqual(50)
    expect(idle.filter(({ closed }) => closed).length).toBeGreaterThanOrEqual(150)
  })

  it('an idle connection ends at the handshake deadline', async () => {
    await start({ SALLYPORT_GATEWAY_HANDSHAKE_MS: '200' })
    await new Client().isClosed()
    expect(await metric('connections_unauthenticated')).toBe(0)
  })
})

describe('stopping', () => {
  it('lets sessions finish within the time given, refuses new ones, then ends the rest', async () => {
    await start({ SALLYPORT_GATEWAY_DRAIN_MS: '300' })
    const served = await agent()
    const client = await new Client().login().says('OK')
    const stopped = gateway.stop()
    client.socket.write('one more')
    await client.says('one more')
    await stopped
    await client.says('ERR GATEWAY_STOPPING')
    expect(served.served[0]?.closed).toMatch(/GATEWAY_STOPPING|TUNNEL_LOST/)
  })

  it('does not wait when nobody is there', async () => {
    await start({ SALLYPORT_GATEWAY_DRAIN_MS: '60000' })
    const from = performance.now()
    await gateway.stop()
    expect(performance.now() - from).toBeLessThan(2_000)
  })
})

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
