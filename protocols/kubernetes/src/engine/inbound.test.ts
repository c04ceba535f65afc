import http2, { type ClientHttp2Session, type ServerHttp2Stream } from 'node:http2'
import { afterEach, expect, test, vi } from 'vitest'
import { BodyBudget, BodyError, Inbound, maxBodyBytes } from './inbound.js'

const open: (() => void)[] = []
afterEach(() => {
  vi.useRealTimers()
  for (const close of open.splice(0)) close()
})

/** A request with a body on a real HTTP/2 connection, as the front makes them. */
async function request(headers: Record<string, string> = {}): Promise<{ inbound: Inbound; write(bytes: Buffer): void; end(): void; destroy(): void }> {
  const server = http2.createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const session: ClientHttp2Session = http2.connect(`http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`)
  session.on('error', () => undefined)
  open.push(() => {
    session.destroy()
    server.close()
  })
  const arrived = new Promise<[ServerHttp2Stream, http2.IncomingHttpHeaders]>((resolve) => server.once('stream', (stream, found) => resolve([stream, found])))
  const outgoing = session.request({ ':method': 'POST', ':path': '/x', ...headers })
  outgoing.on('error', () => undefined)
  const [stream, found] = await arrived
  return { inbound: new Inbound(stream, found, true), write: (bytes) => void outgoing.write(bytes), end: () => void outgoing.end(), destroy: () => session.destroy() }
}

test('a body comes whole; one that is too long, broken off or too slow is refused', async () => {
  const whole = await request()
  whole.write(Buffer.from('a'))
  whole.write(Buffer.from('b'))
  whole.end()
  expect((await whole.inbound.body(new BodyBudget())).toString()).toBe('ab')

  const long = await request()
  long.write(Buffer.alloc(maxBodyBytes + 1))
  await expect(long.inbound.body(new BodyBudget())).rejects.toMatchObject({ status: 413 })

  const broken = await request()
  const reading = broken.inbound.body(new BodyBudget())
  broken.write(Buffer.from('half'))
  broken.destroy()
  await expect(reading).rejects.toBeInstanceOf(BodyError)

  const slow = await request()
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const waiting = expect(slow.inbound.body(new BodyBudget())).rejects.toMatchObject({ status: 408 })
  slow.write(Buffer.from('…'))
  vi.advanceTimersByTime(31_000)
  await waiting
})

test('all bodies of a session share one budget, and give it back', async () => {
  const budget = new BodyBudget()
  expect(budget.take(23 * 1024 * 1024)).toBe(true)
  const large = await request()
  large.write(Buffer.alloc(2 * 1024 * 1024))
  await expect(large.inbound.body(budget)).rejects.toMatchObject({ status: 429 })
  expect(budget.take(1024 * 1024)).toBe(true)
  expect(budget.take(1)).toBe(false)
})
