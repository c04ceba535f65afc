import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import net, { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { recordsAt } from '../testing/records.js'
import { syslogMessage, syslogSender } from './syslog.js'

const spec = { kind: 'syslog', host: '127.0.0.1', port: 1, transport: 'tcp', facility: 13, hostname: 'sallyport', enterpriseId: '32473', maxMessageBytes: 65536, tls: {} } as const
const read = async (reference: string): Promise<string> => readFile(reference.slice('file:'.length), 'utf8')

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo // decoder: a TCP server has this form
  await new Promise((resolve) => server.close(resolve))
  return port
}

it('writes RFC 5424, with what a client wrote escaped', () => {
  const [record] = recordsAt(7)
  expect(record).toBeDefined()
  if (!record) return
  expect(syslogMessage({ ...record, target: 'a\nb' }, spec).toString()).toBe(
    '<110>1 2026-01-02T03:04:05.678901Z sallyport sallyport - command [sallyport@32473 position="7" id="0190aaaa-0000-7000-8000-000000000007" kind="command" ' +
      `session="s1" who="shop \\"ci\\"\\]\\\\" target="a b" decision="allow"] \ufeff${record.json}`,
  )
  expect(record.json).not.toContain('\n')
})

describe('without an orderly end nothing counts as taken', () => {
  it.each([
    ['a reset', (socket: net.Socket) => void socket.once('data', () => socket.resetAndDestroy())],
    ['silence', () => undefined],
    ['a close at once', (socket: net.Socket) => void socket.destroy()],
  ])('%s', async (_what, behave) => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => undefined)
      behave(socket)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo // decoder: a TCP server has this form
    const sender = await syslogSender({ ...spec, port }, read)
    await expect(sender.send(recordsAt(1), AbortSignal.timeout(500))).rejects.toMatchObject({ kind: 'unavailable' })
    server.close()
  })

  it('files what is too long for the receiver, and sends the rest', async () => {
    let got = ''
    const server = createServer((socket) => void socket.on('data', (chunk) => (got += chunk.toString())))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo // decoder: a TCP server has this form
    const [small, large] = recordsAt(1, 2)
    const sender = await syslogSender({ ...spec, port, maxMessageBytes: 1000 }, read)
    const batch = small && large ? [small, { ...large, json: JSON.stringify('x'.repeat(2000)) }] : []
    expect(await sender.send(batch, AbortSignal.timeout(3000))).toMatchObject([{ code: 'TOO_LARGE', certain: true }])
    const [length = '', rest = ''] = [got.slice(0, got.indexOf(' ')), got.slice(got.indexOf(' ') + 1)]
    expect(Buffer.byteLength(rest)).toBe(Number(length))
    server.close()
  })
})

const rsyslogd = '/usr/sbin/rsyslogd'
const gnutls = ['/usr/lib/x86_64-linux-gnu/rsyslog/lmnsd_gtls.so', '/usr/lib/aarch64-linux-gnu/rsyslog/lmnsd_gtls.so', '/usr/lib/rsyslog/lmnsd_gtls.so', '/usr/lib64/rsyslog/lmnsd_gtls.so'].some((path) => existsSync(path))

// Needs the packages rsyslog and rsyslog-gnutls; .ci/run installs them on Debian.
describe.skipIf(!existsSync(rsyslogd) || !gnutls)('rsyslog over TLS', () => {
  let directory: string
  let port: number
  let daemon: ChildProcess

  const start = async (): Promise<void> => {
    daemon = spawn(rsyslogd, ['-n', '-f', join(directory, 'rsyslog.conf'), '-i', join(directory, 'pid')], { stdio: 'ignore' })
    for (let i = 0; i < 100; i++) {
      const up = await new Promise<boolean>((resolve) => {
        const socket = net.connect(port, '127.0.0.1', () => socket.end(() => resolve(true))).on('error', () => resolve(false))
      })
      if (up) return
      await sleep(50)
    }
    throw new Error('rsyslogd did not start')
  }

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sallyport-rsyslog-'))
    port = await freePort()
    const openssl = (...words: string[]): void => void execFileSync('openssl', words, { stdio: 'ignore', cwd: directory })
    openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'key.pem', '-out', 'cert.pem', '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost')
    await writeFile(join(directory, 'rsyslog.conf'), `
global(workDirectory="${directory}" maxMessageSize="64k" defaultNetstreamDriver="gtls"
  defaultNetstreamDriverCAFile="${directory}/cert.pem" defaultNetstreamDriverCertFile="${directory}/cert.pem" defaultNetstreamDriverKeyFile="${directory}/key.pem")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon")
template(name="parsed" type="string" string="%pri% %timestamp:::date-rfc3339% %app-name% %msgid% %structured-data%|%msg%\\n")
input(type="imtcp" port="${port}" address="127.0.0.1")
action(type="omfile" file="${directory}/out.log" template="parsed")
`)
    await start()
  })

  afterAll(async () => {
    daemon?.kill('SIGTERM')
    await rm(directory, { recursive: true, force: true })
  })

  it('takes, parses and keeps every message in order; while it is away nothing counts as taken', async () => {
    const sender = await syslogSender({ ...spec, port, transport: 'tls', tls: { ca: `file:${directory}/cert.pem` } }, read)
    const batch = recordsAt(...Array.from({ length: 300 }, (_, i) => i + 1))
    await sender.send(batch, AbortSignal.timeout(10_000))
    const gone = new Promise((resolve) => daemon.once('exit', resolve))
    daemon.kill('SIGTERM')
    await gone
    await expect(sender.send(recordsAt(301), AbortSignal.timeout(2000))).rejects.toMatchObject({ kind: 'unavailable' })
    await start()
    await sender.send(recordsAt(301), AbortSignal.timeout(10_000))
    await expect.poll(async () => (await readFile(join(directory, 'out.log'), 'utf8')).trim().split('\n').length, { timeout: 5000 }).toBe(301)
    const written = (await readFile(join(directory, 'out.log'), 'utf8')).trim().split('\n')
    for (const [i, line] of written.entries()) {
      const [head = '', json = ''] = [line.slice(0, line.indexOf('|')), line.slice(line.indexOf('|') + 1)]
      expect(head).toMatch(/^110 2026-01-02T\S+ sallyport command \[sallyport@32473 position="/)
      expect(head).toContain(`position="${i + 1}"`)
      expect(JSON.parse(json.replace(/^\ufeff/, ''))).toEqual({ position: String(i + 1), text: 'SELECT 1 -- ünïcode\n' })
    }
  })

  it('is not sent to, when its certificate is not the one that is trusted', async () => {
    const sender = await syslogSender({ ...spec, port, transport: 'tls' }, read)
    await expect(sender.send(recordsAt(1), AbortSignal.timeout(3000))).rejects.toMatchObject({ kind: 'unavailable', code: expect.stringContaining('SELF_SIGNED') })
  })
})
