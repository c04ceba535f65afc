import { createServer, type Server } from 'node:net'
import type { ByteChannel, ChannelReader, EngineSession, SessionEnd } from '@sallyport/kit'
import { afterEach, expect, test } from 'vitest'
import { createPostgresEngine } from './engine.js'

let server: Server | undefined
afterEach(() => server?.close())

/** A session whose target takes the connection and never says a word. */
async function opening(): Promise<{ reader: ChannelReader; kill: (end: SessionEnd) => void; ended: Promise<SessionEnd> }> {
  const listening = createServer((socket) => socket.on('error', () => undefined)).listen(0, '127.0.0.1')
  server = listening
  const dialled = new Promise((resolve) => listening.once('connection', resolve))
  await new Promise((resolve) => listening.once('listening', resolve))
  const address = listening.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const readers: ChannelReader[] = []
  const client: ByteChannel = {
    write: () => true,
    writable: () => Promise.resolve(),
    start: (reader) => void readers.push(reader),
    consumed: () => undefined,
    end: () => undefined,
    close: () => undefined,
  }
  const spec = { host: '127.0.0.1', port, database: 'd', user: 'u', password: 'env:X', tls: { mode: 'disable' } }
  const controller = new AbortController()
  const log = { debug: () => undefined, info: () => undefined, warn: () => undefined }
  const session = {
    grant: { payload: { target: { spec }, terms: { idle_seconds: 60 } } },
    parameters: {},
    client,
    guard: {},
    credentials: { resolve: () => Promise.reject(new Error('not asked for')) },
    signal: controller.signal,
    onSignal: () => undefined,
    log,
  } as unknown as EngineSession
  const engine = await createPostgresEngine()
  const ended = engine.serve(session)
  await dialled
  const [reader] = readers
  if (!reader) throw new Error('the engine reads nothing')
  return { reader, kill: (end) => controller.abort(end), ended }
}

test('a client that goes before the target answered is why the session ends, also when a kill follows', async () => {
  const { reader, kill, ended } = await opening()
  reader.onClose(undefined)
  kill({ reason: 'killed', detail: 'the credential was revoked' })
  expect(await ended).toMatchObject({ reason: 'client_closed' })
})

test('a kill before the target answered is why the session ends, also when the client goes then', async () => {
  const { reader, kill, ended } = await opening()
  kill({ reason: 'killed', detail: 'the credential was revoked' })
  reader.onClose(undefined)
  expect(await ended).toMatchObject({ reason: 'killed' })
})
