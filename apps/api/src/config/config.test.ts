import { mkdtempSync, rmSync, writeFileSync, chmodSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { readMasterKey } from '../keys/master-key.js'
import { TargetsConfig } from '../targets/targets.config.js'
import { ConfigError } from './environment.js'
import { HttpConfig } from './http.config.js'

const directory = mkdtempSync(join(tmpdir(), 'sallyport-config-'))
afterAll(() => rmSync(directory, { recursive: true }))

describe('configuration', () => {
  it('refuses to serve tokens over plain HTTP unless told so', () => {
    expect(() => new HttpConfig({})).toThrow(/SALLYPORT_INSECURE_HTTP=true/)
    expect(new HttpConfig({ SALLYPORT_INSECURE_HTTP: 'true' }).publicUrl).toBe('http://127.0.0.1:8470')
    expect(new HttpConfig({ SALLYPORT_INSECURE_HTTP: 'true', SALLYPORT_PUBLIC_URL: 'https://s.example/' }).publicUrl).toBe('https://s.example')
    expect(() => new HttpConfig({ SALLYPORT_HTTP_TLS_CERT_FILE: '/x' })).toThrow(/go together/)
  })

  it('names the variable, never the value', () => {
    for (const bad of ['hunter2', '99999', '-1']) {
      expect(() => new HttpConfig({ SALLYPORT_INSECURE_HTTP: 'true', SALLYPORT_HTTP_PORT: bad })).toThrow(/^SALLYPORT_HTTP_PORT: (?!.*hunter2)/)
    }
    expect(() => readMasterKey({ SALLYPORT_MASTER_KEY: 'hunter2' })).toThrow(ConfigError)
    expect(() => readMasterKey({ SALLYPORT_MASTER_KEY: 'hunter2' })).not.toThrow(/hunter2/)
  })

  it('makes a master key once, and refuses one that everybody can read', () => {
    const environment = { SALLYPORT_DATA_DIR: directory }
    const made = readMasterKey(environment)
    expect(made.expose()).toHaveLength(32)
    expect(readMasterKey(environment).expose()).toEqual(made.expose())
    expect(JSON.stringify({ made })).toBe('{"made":"[secret]"}')
    const open = join(directory, 'open')
    writeFileSync(open, made.expose().toString('hex'))
    chmodSync(open, 0o644)
    expect(() => readMasterKey({ SALLYPORT_MASTER_KEY_FILE: open })).toThrow(/chmod 600/)
  })

  it('knows the gateways’ ports by protocol', () => {
    expect(new TargetsConfig({ SALLYPORT_GATEWAY_PUBLIC_POSTGRES_PORT: '6432' }).portOf('postgres')).toBe(6432)
    expect(new TargetsConfig({}).portOf('postgres')).toBe(5432)
    expect(() => new TargetsConfig({ SALLYPORT_GATEWAY_PUBLIC_POSTGRES_PORT: 'x' })).toThrow(ConfigError)
  })
})
