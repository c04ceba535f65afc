import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { reachable } from './account.js'
import { EmbeddedPostgresError } from './errors.js'
import { freePort, isFree } from './ports.js'
import { EmbeddedServer, type EmbeddedServerOptions } from './server.js'
import { TemporaryServer, passableDirectory } from './temporary.js'

let directory: string
let options: EmbeddedServerOptions

beforeEach(() => {
  directory = passableDirectory('sallyport-test-')
  options = {
    data: join(directory, 'data'),
    passwordFile: join(directory, 'password'),
    spareBinaries: join(directory, 'binaries'),
    user: 'owner',
    port: 0,
    maxConnections: 20,
    temporary: true,
  }
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

test('a server that a killed process left behind is taken over, with its password, and stops', async () => {
  const first = await EmbeddedServer.start(options)
  const second = await EmbeddedServer.start(options)
  expect([second.pid, second.port, second.url()]).toEqual([first.pid, first.port, first.url()])
  await second.stop()
  expect(await isFree(first.port)).toBe(true)
  await first.stop()
})

test('a server that is still stopping on the data is waited for', async () => {
  const first = await EmbeddedServer.start(options)
  const stopped = first.stop()
  const lockFile = join(options.data, 'postmaster.pid')
  // The signal needs a moment to arrive.
  while (existsSync(lockFile) && /^ready *$/m.test(readFileSync(lockFile, 'utf8'))) await new Promise((resolve) => setTimeout(resolve, 1))
  const second = await EmbeddedServer.start(options)
  await stopped
  expect(second.pid).not.toBe(first.pid)
  expect(await isFree(second.port)).toBe(false)
  await second.stop()
})

test('data and password outlive a stop; the password is its owner\'s alone', async () => {
  const first = await EmbeddedServer.start(options)
  await first.stop()
  const again = await EmbeddedServer.start({ ...options, logFile: join(directory, 'log') })
  await again.stop()
  expect(again.password).toBe(first.password)
  expect(statSync(options.passwordFile).mode & 0o777).toBe(0o600)
  expect(statSync(options.data).mode & 0o077).toBe(0)
  expect(existsSync(join(directory, 'log'))).toBe(true)
})

test('a port that is taken is an error in the words of the server, and no process stays', async () => {
  const port = await freePort()
  const blocker = createServer()
  await new Promise<void>((resolve) => blocker.listen(port, '127.0.0.1', resolve))
  await expect(EmbeddedServer.start({ ...options, port })).rejects.toThrow(EmbeddedPostgresError)
  await expect(EmbeddedServer.start({ ...options, port })).rejects.toThrow(/could not bind|Address already in use/)
  blocker.close()
  expect(existsSync(join(options.data, 'postmaster.pid'))).toBe(false)
})

test('of a temporary server nothing stays', async () => {
  const temporary = await TemporaryServer.start()
  const { port } = temporary.server
  expect(await isFree(port)).toBe(false)
  await temporary.stop()
  expect(await isFree(port)).toBe(true)
})

test("a directory that others can't enter is not reachable", () => {
  const closed = mkdtempSync(join(tmpdir(), 'sallyport-test-'))
  try {
    expect(reachable(join(closed, 'data'))).toBe(false)
    expect(reachable(closed)).toBe(true)
  } finally {
    rmSync(closed, { recursive: true })
  }
})

test.runIf(process.getuid?.() === 0)('under root, data where the server may not go is refused before anything is written', async () => {
  const closed = mkdtempSync(join(tmpdir(), 'sallyport-test-'))
  try {
    const data = join(closed, 'inner', 'data')
    await expect(EmbeddedServer.start({ ...options, data })).rejects.toThrow('may not pass through the directories above')
    expect(existsSync(join(closed, 'inner'))).toBe(false)
  } finally {
    rmSync(closed, { recursive: true })
  }
})
