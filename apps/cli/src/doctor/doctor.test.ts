import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer as createTcpServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSecureContext, createServer as createTlsServer, TLSSocket } from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { clock } from './control-plane-checks.js'
import { probePostgres, probeSsh, probeTls, type Listener } from './gateway-probes.js'

let directory: string
const pem = new Map<string, { key: string; cert: string }>()

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'sallyport-doctor-'))
  for (const [name, days] of [['good', '90'], ['soon', '3'], ['other', '90']] as const) {
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`, '-out', `${name}.crt`, '-days', days, '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'], { cwd: directory, stdio: 'ignore' })
    pem.set(name, { key: readFileSync(join(directory, `${name}.key`), 'utf8'), cert: readFileSync(join(directory, `${name}.crt`), 'utf8') })
  }
})
afterAll(() => rmSync(directory, { recursive: true }))

const open: Server[] = []
afterEach(() => {
  for (const server of open.splice(0)) server.close()
})

async function listen(server: Server): Promise<number> {
  open.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

const certificate = (name: string): { key: string; cert: string } => pem.get(name) ?? { key: '', cert: '' }
const listener = (port: number, more: Partial<Listener> = {}): Listener => ({ name: 'x', host: '127.0.0.1', port, caPem: certificate('good').cert, knownHosts: '', ...more })

function tlsServer(name: string): Promise<number> {
  return listen(createTlsServer(certificate(name), (socket) => socket.on('error', () => undefined)).on('tlsClientError', () => undefined))
}

function postgresServer(name: string, answer = 'S'): Promise<number> {
  return listen(
    createTcpServer((socket: Socket) => {
      socket.on('error', () => undefined)
      socket.once('data', (request) => {
        if (!request.equals(Buffer.from('0000000804d2162f', 'hex'))) return socket.destroy()
        socket.write(answer)
        return new TLSSocket(socket, { isServer: true, secureContext: createSecureContext(certificate(name)) }).on('error', () => undefined)
      })
    }),
  )
}

describe('listeners', () => {
  test('of TLS: good, about to expire, of another authority, for another name, none', async () => {
    expect(await probeTls(listener(await tlsServer('good')))).toMatchObject({ status: 'ok' })
    expect(await probeTls(listener(await tlsServer('soon'), { caPem: certificate('soon').cert }))).toMatchObject({ status: 'warn', fix: 'renew the certificate' })
    expect(await probeTls(listener(await tlsServer('other')))).toMatchObject({ status: 'fail', detail: expect.stringContaining("isn't signed by an authority known here") })
    expect(await probeTls(listener(await tlsServer('good'), { host: '127.0.0.2' }))).toMatchObject({ status: 'fail' })
    expect(await probeTls(listener(1))).toMatchObject({ status: 'fail', detail: expect.stringContaining('refused'), fix: expect.stringContaining('start the gateway') })
  })

  test('of PostgreSQL: TLS by its own request; one without TLS is none of ours', async () => {
    expect(await probePostgres(listener(await postgresServer('good')))).toMatchObject({ status: 'ok' })
    expect(await probePostgres(listener(await postgresServer('other')))).toMatchObject({ status: 'fail' })
    expect(await probePostgres(listener(await postgresServer('good', 'N')))).toMatchObject({ status: 'fail', detail: expect.stringContaining('does not offer TLS') })
  })

  test('of SSH: something else, and one whose keys nobody published', async () => {
    const speaks = (text: string): Promise<number> => listen(createTcpServer((socket) => void socket.on('error', () => undefined).end(text)))
    expect(await probeSsh(listener(await speaks('HTTP/1.1 400\r\n\r\n')))).toMatchObject({ status: 'fail', detail: expect.stringContaining('does not speak SSH') })
    expect(await probeSsh(listener(await speaks('SSH-2.0-other\r\n')))).toMatchObject({ status: 'fail', detail: expect.stringContaining('no host key is published') })
  })
})

describe('the clock', () => {
  const now = Date.parse('2026-01-05T14:00:00Z')
  const at = (seconds: number): string => clock(new Date(now + seconds * 1000).toUTCString(), now - 200, now).status
  test('may differ by a little', () => {
    expect([at(0), at(9), at(-9), at(30), at(-30), at(90), at(-3600)]).toEqual(['ok', 'ok', 'ok', 'warn', 'warn', 'fail', 'fail'])
    expect(clock(null, now, now).status).toBe('skipped')
    expect(clock('yesterday', now, now).status).toBe('skipped')
  })
})
