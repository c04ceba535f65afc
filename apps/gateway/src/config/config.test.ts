import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ConfigError, loadConfig } from './config.js'
import { settings } from './settings.js'

const hosted = [{ front: { protocol: 'postgres' }, defaultListen: '127.0.0.1:6543' }]

async function withFile<T>(content: string, run: (path: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'sallyport-config-'))
  try {
    await writeFile(join(directory, 'file'), content)
    return await run(join(directory, 'file'))
  } finally {
    await rm(directory, { recursive: true })
  }
}

async function problems(environment: Record<string, string>): Promise<string> {
  const error: unknown = await loadConfig(environment, hosted).catch((reason: unknown) => reason)
  if (!(error instanceof ConfigError)) throw new Error('expected a ConfigError')
  return error.problems.join('\n')
}

describe('the configuration', () => {
  it('has safe defaults: loopback, TLS', async () => {
    expect(await loadConfig({}, hosted)).toMatchObject({
      controlPlane: '127.0.0.1:8471',
      tunnelListen: { host: '127.0.0.1', port: 8472 },
      listeners: [{ protocol: 'postgres', host: '127.0.0.1', port: 6543 }],
      insecurePlaintext: false,
      maxUnauthenticated: 200,
      maxUnauthenticatedPerAddress: 50,
      maxSessions: 5_000,
      handshakeMilliseconds: 30_000,
      enrolmentToken: undefined,
      tlsFiles: undefined,
    })
  })

  it('takes a YAML file, which the environment overrides', async () => {
    const yaml = 'listen_postgres: "0.0.0.0:5432"\nmax_sessions: 7\nhostnames: [db.example.test, 10.0.0.1]\n'
    const config = await withFile(yaml, (path) => loadConfig({ SALLYPORT_GATEWAY_CONFIG: path, SALLYPORT_GATEWAY_MAX_SESSIONS: '9' }, hosted))
    expect(config).toMatchObject({
      listeners: [{ host: '0.0.0.0', port: 5432 }],
      maxSessions: 9,
      hostnames: ['db.example.test', '10.0.0.1'],
    })
  })

  it('reads the token from a file, and does without when it was removed', async () => {
    const config = await withFile('spe1.token\n', (path) => loadConfig({ SALLYPORT_ENROLMENT_TOKEN_FILE: path }, hosted))
    expect(config.enrolmentToken).toBe('spe1.token')
    expect((await loadConfig({ SALLYPORT_ENROLMENT_TOKEN_FILE: '/nowhere/token' }, hosted)).enrolmentToken).toBeUndefined()
  })

  it('names every problem at once, and never a value', async () => {
    const found = await problems({
      SALLYPORT_GATEWAY_TUNNEL_LISTEN: 'hunter2',
      SALLYPORT_GATEWAY_MAX_SESSIONS: 'hunter2',
      SALLYPORT_INSECURE_PLAINTEXT: 'hunter2',
      SALLYPORT_GATEWAY_TLS_CERT_FILE: '/hunter2',
    })
    for (const name of ['TUNNEL_LISTEN', 'MAX_SESSIONS', 'INSECURE_PLAINTEXT', 'TLS_CERT_FILE']) expect(found).toContain(name)
    expect(found).not.toContain('hunter2')
  })

  it('refuses unknown keys', async () => {
    expect(await withFile('max_session: 7\n', (path) => problems({ SALLYPORT_GATEWAY_CONFIG: path }))).toContain('unknown key max_session')
  })

  it('refuses plaintext on anything but loopback', async () => {
    expect(await problems({ SALLYPORT_INSECURE_PLAINTEXT: 'true', SALLYPORT_GATEWAY_LISTEN_POSTGRES: '0.0.0.0:1' })).toContain('loopback')
    const config = await loadConfig({ SALLYPORT_INSECURE_PLAINTEXT: 'true', SALLYPORT_GATEWAY_LISTEN_POSTGRES: '[::1]:1' }, hosted)
    expect(config.listeners).toEqual([{ protocol: 'postgres', host: '::1', port: 1 }])
  })

  it('documents every key', () => {
    for (const { env, doc } of Object.values(settings)) {
      expect(env).toMatch(/^SALLYPORT_/)
      expect(doc.length).toBeGreaterThan(10)
    }
  })
})
