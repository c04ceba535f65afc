import { createHash } from 'node:crypto'
import { createServer } from 'node:net'
import { createLogger } from '@sallyport/telemetry'
import { describe, expect, it, vi } from 'vitest'
import { Backoff } from '../control/backoff.js'
import { gatewayMetrics } from '../metrics.js'
import { refusedConversation } from '../sessions/refused-conversation.js'
import { gatewayErrors } from '../errors.js'
import { addressKey, ConnectionCaps } from './connection-caps.js'
import { FrontListener } from './front-listener.js'
import { serverEndPoint } from './tls.js'

describe('the caps', () => {
  const connection = (bytesRead = 0) => ({ bytesRead, destroy: vi.fn() })
  const caps = (total: number, perAddress: number) => {
    let now = 0
    const made = new ConnectionCaps(total, perAddress, () => {}, () => now)
    return { caps: made, wait: (milliseconds: number) => void (now += milliseconds) }
  }

  it('gives a place back once', () => {
    const { caps: one } = caps(2, 2)
    const release = one.admit('10.0.0.1', connection())
    one.admit('10.0.0.2', connection())
    release?.()
    release?.()
    expect(one.total).toBe(1)
  })

  it('evicts the oldest silent connection of an address at its bound', () => {
    const { caps: one } = caps(10, 2)
    const talking = connection(5)
    const silent = connection()
    const release = one.admit('10.0.0.1', talking)
    one.admit('10.0.0.1', silent)
    expect(one.admit('10.0.0.1', connection(1))).toBeDefined()
    expect(silent.destroy).toHaveBeenCalledOnce()
    expect(talking.destroy).not.toHaveBeenCalled()
    release?.()
    expect(one.total).toBe(1)
  })

  it('refuses the new one while all others are busy authenticating, and evicts the slow', () => {
    const { caps: one, wait } = caps(10, 2)
    const slow = connection(5)
    one.admit('10.0.0.1', slow)
    one.admit('10.0.0.1', connection(5))
    expect(one.admit('10.0.0.1', connection())).toBeUndefined()
    wait(600)
    expect(one.admit('10.0.0.1', connection())).toBeDefined()
    expect(slow.destroy).toHaveBeenCalledOnce()
  })

  it('at the total takes from the address that holds most', () => {
    const { caps: one } = caps(3, 3)
    const quiet = connection()
    const flood = [connection(), connection()]
    one.admit('10.0.0.1', quiet)
    for (const each of flood) one.admit('10.0.0.2', each)
    expect(one.admit('10.0.0.3', connection())).toBeDefined()
    expect(flood[0]?.destroy).toHaveBeenCalledOnce()
    expect(quiet.destroy).not.toHaveBeenCalled()
    expect(one.total).toBe(3)
  })

  it.each([
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['10.0.0.1', '10.0.0.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::9', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
  ])('counts %s as %s', (address, key) => {
    expect(addressKey(address)).toBe(key)
  })
})

describe('tls-server-end-point (RFC 5929)', () => {
  const sequence = (...parts: Buffer[]): Buffer => {
    const body = Buffer.concat(parts)
    return Buffer.concat([Buffer.from([0x30, 0x82, body.length >> 8, body.length & 255]), body])
  }
  const oid = (hex: string): Buffer => Buffer.concat([Buffer.from([6, hex.length / 2]), Buffer.from(hex, 'hex')])
  const certificate = (algorithm: Buffer): Buffer => sequence(sequence(Buffer.alloc(300)), algorithm, Buffer.from([3, 1, 0]))

  it.each([
    ['sha256WithRSAEncryption', '2a864886f70d01010b', 'sha256'],
    ['sha1WithRSAEncryption', '2a864886f70d010105', 'sha256'],
    ['md5WithRSAEncryption', '2a864886f70d010104', 'sha256'],
    ['sha384WithRSAEncryption', '2a864886f70d01010c', 'sha384'],
    ['sha512WithRSAEncryption', '2a864886f70d01010d', 'sha512'],
    ['ecdsa-with-SHA256', '2a8648ce3d040302', 'sha256'],
    ['ecdsa-with-SHA384', '2a8648ce3d040303', 'sha384'],
    ['ecdsa-with-SHA512', '2a8648ce3d040304', 'sha512'],
    ['Ed25519', '2b6570', 'sha256'],
  ])('%s', (_name, algorithm, hash) => {
    const der = certificate(sequence(oid(algorithm)))
    expect(serverEndPoint(der)).toEqual(createHash(hash).update(der).digest())
  })

  it('RSASSA-PSS: the hash stands in the parameters', () => {
    const der = certificate(sequence(oid('2a864886f70d01010a'), sequence(sequence(oid('608648016503040203')))))
    expect(serverEndPoint(der)).toEqual(createHash('sha512').update(der).digest())
  })
})

describe('a listener', () => {
  it('whose port is taken is tried again, and holds nobody up', async () => {
    const blocker = createServer()
    const port = await new Promise<number>((resolve) => {
      blocker.listen(0, '127.0.0.1', () => {
        const address = blocker.address()
        resolve(address !== null && typeof address === 'object' ? address.port : 0)
      })
    })
    const listener = new FrontListener({
      front: { protocol: 'echo', handle: (socket) => socket.destroy() },
      host: '127.0.0.1',
      port,
      broker: {
        authenticate: () => refusedConversation(gatewayErrors.unavailable),
        open: () => Promise.reject(new Error('no')),
        registerCancel: () => () => {},
        cancel: () => {},
      },
      limits: { handshakeMilliseconds: 1_000, maxStartupBytes: 100 },
      caps: new ConnectionCaps(1, 1),
      tls: () => undefined,
      hostKeys: () => [],
      refused: () => undefined,
      metrics: gatewayMetrics({ sessions: () => 0, unauthenticated: () => 0, agents: () => 0, controlPlane: () => true }),
      log: createLogger('test', { level: 'silent' }),
      backoff: new Backoff(20, 20),
    })
    await listener.start()
    expect(listener.port).toBeUndefined()
    blocker.close()
    await vi.waitFor(() => expect(listener.port).toBe(port))
    listener.stop()
  })
})

it('backs off exponentially with full jitter up to the cap', () => {
  const most = new Backoff(100, 5_000, (below) => below - 1)
  expect(Array.from({ length: 8 }, () => most.next())).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000])
  most.reset()
  expect(most.next()).toBe(100)
  expect(new Backoff(100, 5_000, () => 0).next()).toBe(10)
})
