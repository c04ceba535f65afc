import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
// @ts-expect-error -- it has no types
import S3rver from 's3rver'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Client } from '../support/client.js'
import { eventually } from '../support/direct.js'
import { hasSshd, policyFor, SshHome } from '../support/ssh.js'
import { Stack } from '../support/stack.js'

/** Where the parts of recordings may lie: each time real SSH, what is at rest, somebody who changes it, and a restart. */
const shown = '8640_8641_8642_8643_8644'
const command = 'seq -s _ 8640 8644'

let folder: string
let store: { server: any; proxy: http.Server; port: number; onPut: (() => void) | undefined }
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'sallyport-stores-'))
  const server = new S3rver({ port: 0, address: '127.0.0.1', silent: true, directory: path.join(folder, 's3'), configureBuckets: [{ name: 'recordings', configs: [] }] })
  const { port: behind } = await server.run()
  // In front of it, so that a test can act between an object's writing and the answer. The host that was signed stays.
  const proxy = http.createServer((request, response) => {
    const forwarded = http.request({ host: '127.0.0.1', port: behind, method: request.method, path: request.url, headers: request.headers }, (answer) => {
      if (request.method === 'PUT' && store.onPut !== undefined) {
        store.onPut()
        answer.resume()
        request.socket.destroy()
        return
      }
      response.writeHead(answer.statusCode ?? 500, answer.headers)
      answer.pipe(response)
    })
    forwarded.on('error', () => request.socket.destroy())
    request.pipe(forwarded)
  })
  await new Promise<void>((resolve) => void proxy.listen(0, '127.0.0.1', resolve))
  store = { server, proxy, port: (proxy.address() as AddressInfo).port, onPut: undefined }
})
afterAll(async () => {
  store?.proxy.closeAllConnections()
  store?.proxy.close()
  await store?.server.close()
  rmSync(folder, { recursive: true, force: true })
})

const filesBelow = (directory: string): string[] => readdirSync(directory, { recursive: true, withFileTypes: true }).flatMap((entry) => (entry.isFile() ? [path.join(entry.parentPath, entry.name)] : []))
const holding = (directory: string, text: string): string[] => filesBelow(directory).filter((file) => readFileSync(file).includes(text))

/** Settings of the store, and the folder in which its parts are files; none for the database. */
const backends: readonly (readonly [string, () => { env: Record<string, string>; parts?: string }])[] = [
  ['postgres', () => ({ env: {} })],
  ['file', () => ({ env: { SALLYPORT_RECORDINGS_STORE: 'file', SALLYPORT_RECORDINGS_DIRECTORY: path.join(folder, 'files') }, parts: path.join(folder, 'files') })],
  [
    's3',
    () => ({
      env: {
        SALLYPORT_RECORDINGS_STORE: 's3', SALLYPORT_RECORDINGS_S3_BUCKET: 'recordings', SALLYPORT_RECORDINGS_S3_PREFIX: 'sally/', SALLYPORT_RECORDINGS_S3_ENDPOINT: `http://127.0.0.1:${store.port}`,
        SALLYPORT_AWS_REGION: 'us-east-1', SALLYPORT_AWS_ACCESS_KEY_ID: 'S3RVER', SALLYPORT_AWS_SECRET_ACCESS_KEY: 'S3RVER',
      },
      parts: path.join(folder, 's3/recordings/sally'),
    }),
  ],
]

describe.skipIf(!hasSshd).each(backends)('%s', (kind, settings) => {
  let stack: Stack
  let home: SshHome
  let parts: string | undefined
  beforeAll(async () => {
    const backend = settings()
    parts = backend.parts
    const policyFile = path.join(folder, `${kind}.yaml`)
    writeFileSync(policyFile, policyFor('web-01', ['{ allow: ssh.exec, argv: ["seq ..."] }']))
    stack = await Stack.start({ policyFile, env: backend.env })
    home = await SshHome.create(stack)
  })
  afterAll(async () => {
    home?.remove()
    await stack?.stop()
  })

  const cli = async (...args: string[]): Promise<{ code: number; said: string }> => {
    const [program = '', ...given] = stack.line.cli.argv
    const client = new Client(program, [...given, ...args], { PATH: process.env['PATH'] ?? '', HOME: stack.line.dataDir, ...stack.line.cli.env })
    return { code: await client.exited, said: client.stdout + client.stderr }
  }
  const recorded = async (): Promise<any[]> => (await stack.events('kind=recording')).filter((item) => item.event.chunks?.length > 0)
  /** Runs it, and waits until all of it is with the control plane. */
  const record = async (sessions: number): Promise<any> => {
    const ran = await home.run('ssh', ['web-01', command])
    expect(ran.stdout).toBe(`${shown}\n`)
    return eventually(async () => {
      const items = await recorded()
      return items.length >= sessions && (await stack.events('kind=session.end')).length >= sessions ? items[0] : undefined
    }, 'the recording is stored')
  }

  test('what a session showed is replayed and exported, and nothing of it can be read at rest', async () => {
    const item = await record(1)
    expect((await cli('sessions', 'replay', item.session)).said).toContain(`| ${shown}`)
    expect((await cli('sessions', 'export', item.session)).said).toContain(shown)
    expect(await cli('audit', 'verify')).toMatchObject({ code: 0 })
    expect(holding(path.join(stack.line.dataDir, 'api'), shown)).toEqual([])
    if (parts === undefined) return
    expect(filesBelow(parts).some((file) => file.includes(item.session))).toBe(true)
    expect(holding(parts, shown)).toEqual([])
  })

  test.skipIf(kind !== 's3')('killed between storing and acknowledging: it is sent again, stands there once, and is whole', async () => {
    const killed = new Promise<void>((resolve) => {
      store.onPut = () => {
        store.onPut = undefined
        process.kill(stack.line.pids.api, 'SIGKILL')
        resolve()
      }
    })
    expect((await home.run('ssh', ['web-01', command])).stdout).toBe(`${shown}\n`)
    await killed
    await stack.restart('api')
    const items = await eventually(async () => {
      const found = await recorded().catch(() => [])
      return found.length >= 2 && found
    }, 'the recording came again')
    expect(items.length).toBe(2)
    expect(new Set(items.map(({ session }) => session)).size).toBe(2)
    for (const { session } of items) expect((await cli('sessions', 'replay', session)).said.split(shown).length).toBe(2)
    expect(await cli('audit', 'verify')).toMatchObject({ code: 0 })
  })

  test.skipIf(kind === 'postgres')('a part that is changed or taken away in the store is named by verify, and not shown', async () => {
    const items = await recorded()
    const item = items[0]
    // A batch that was sent again may lie there a second time, in another part: all of the session's are changed.
    const files = new Map(
      filesBelow(parts ?? '')
        .filter((name) => name.includes(item.session) && !name.endsWith('.json'))
        .map((name) => [name, readFileSync(name)] as const)
        .filter(([, content]) => content.subarray(0, 4).toString() === 'SPRP'),
    )
    expect(files.size).toBeGreaterThan(0)
    const flipped = (whole: Buffer): Buffer => Buffer.concat([whole.subarray(0, -1), Buffer.from([(whole.at(-1) ?? 0) ^ 1])])
    for (const [change, problem] of [[flipped, 'changed: the stored part of the recording can not be opened'], [(whole: Buffer) => whole.subarray(0, 70), 'changed'], [undefined, 'missing: the stored part of the recording is not there']] as const) {
      for (const [file, whole] of files) {
        if (change === undefined) rmSync(file)
        else writeFileSync(file, change(whole))
      }
      const { code, said } = await cli('audit', 'verify')
      expect(code, said).toBe(1)
      expect(said).toContain(`BROKEN at position ${item.position}: ${problem}`)
      expect(said).toContain(`session ${item.session}, command 1`)
      for (const action of ['replay', 'export']) {
        const refused = await cli('sessions', action, item.session)
        expect(refused.code).not.toBe(0)
        expect(refused.said).toContain(`at position ${item.position}`)
        expect(refused.said).not.toContain(shown)
      }
    }
    for (const [file, whole] of files) writeFileSync(file, whole)
    expect(await cli('audit', 'verify')).toMatchObject({ code: 0 })
  })
})
