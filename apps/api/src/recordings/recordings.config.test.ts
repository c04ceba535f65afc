import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { ConfigError } from '../config/environment.js'
import { RecordingsConfig } from './recordings.config.js'

let directory: string
beforeEach(() => void (directory = mkdtempSync(join(tmpdir(), 'sallyport-recordings-'))))
afterEach(() => rmSync(directory, { recursive: true }))

const configOf = (environment: Record<string, string> = {}): RecordingsConfig => {
  const config = new RecordingsConfig({ SALLYPORT_DATA_DIR: directory, ...environment })
  config.onModuleInit()
  return config
}
const keyFile = (name: string, content = Buffer.alloc(32, name).toString('base64')): string => {
  writeFileSync(join(directory, name), content, { mode: 0o600 })
  return `file:${join(directory, name)}`
}
const aws = { SALLYPORT_AWS_REGION: 'eu-central-1', SALLYPORT_AWS_ACCESS_KEY_ID: 'AK', SALLYPORT_AWS_SECRET_ACCESS_KEY: 'SK' }

it('the key is made once, for this user alone, and stays', () => {
  const { id } = configOf().keys.newest
  expect(statSync(join(directory, 'recording-key')).mode & 0o777).toBe(0o600)
  expect(configOf().keys.newest.id).toBe(id)
  expect(configOf().store).toBeUndefined()
})

it('the first key that is named wraps, the others stay for reading', () => {
  const [newer, older] = [keyFile('newer'), keyFile('older')]
  const old = configOf({ SALLYPORT_RECORDINGS_KEYS: older }).keys.newest
  const ring = configOf({ SALLYPORT_RECORDINGS_KEYS: `${newer}, ${older}` }).keys
  expect(ring.newest.id).not.toBe(old.id)
  expect(ring.get(old.id).id).toBe(old.id)
})

it('keys of Vault and KMS are named as they are there', () => {
  const vault = { SALLYPORT_VAULT_ADDRESS: 'https://vault.internal:8200', SALLYPORT_VAULT_TOKEN_FILE: '/run/token' }
  expect(configOf({ SALLYPORT_RECORDINGS_KEYS: 'vault:team/transit/sallyport', ...vault }).keys.newest.id).toBe('vault:team/transit/sallyport')
  expect(configOf({ SALLYPORT_RECORDINGS_KEYS: 'kms:alias/recordings', ...aws }).keys.newest.id).toBe('kms:alias/recordings')
})

it('a part is read from the store that it was written to, also when new ones go elsewhere', () => {
  const config = configOf({ SALLYPORT_RECORDINGS_STORE: 's3', SALLYPORT_RECORDINGS_S3_BUCKET: 'recordings', ...aws })
  expect(config.store?.id).toBe('s3')
  expect(config.storeOf('file').id).toBe('file')
  expect(() => configOf().storeOf('s3')).toThrow('which is not configured')
})

it('what is missing or wrong is named at the start, and no value is', () => {
  const open = keyFile('open')
  chmodSync(join(directory, 'open'), 0o644)
  const wrong: readonly (readonly [Record<string, string>, RegExp])[] = [
    [{ SALLYPORT_RECORDINGS_STORE: 'tape' }, /SALLYPORT_RECORDINGS_STORE/],
    [{ SALLYPORT_RECORDINGS_STORE: 's3' }, /SALLYPORT_RECORDINGS_S3_BUCKET/],
    [{ SALLYPORT_RECORDINGS_STORE: 's3', SALLYPORT_RECORDINGS_S3_BUCKET: 'recordings' }, /SALLYPORT_AWS_REGION/],
    [{ SALLYPORT_RECORDINGS_S3_PREFIX: '../x/' }, /SALLYPORT_RECORDINGS_S3_PREFIX/],
    [{ SALLYPORT_RECORDINGS_KEYS: 'S3CR3T' }, /SALLYPORT_RECORDINGS_KEYS: a key is/],
    [{ SALLYPORT_RECORDINGS_KEYS: 'vault:sallyport' }, /vault:MOUNT/],
    [{ SALLYPORT_RECORDINGS_KEYS: 'vault:transit/sallyport' }, /SALLYPORT_VAULT_ADDRESS/],
    [{ SALLYPORT_RECORDINGS_KEYS: 'vault:transit/sallyport', SALLYPORT_VAULT_ADDRESS: 'http://vault.internal' }, /SALLYPORT_VAULT_ADDRESS: must be an https/],
    [{ SALLYPORT_RECORDINGS_KEYS: 'kms:x', SALLYPORT_AWS_REGION: 'x', SALLYPORT_AWS_ACCESS_KEY_ID: 'S3CR3T' }, /SALLYPORT_AWS_SECRET_ACCESS_KEY/],
    [{ SALLYPORT_RECORDINGS_KEYS: open }, /chmod 600/],
    [{ SALLYPORT_RECORDINGS_KEYS: 'file:/nowhere' }, /can not be read/],
    [{ SALLYPORT_RECORDINGS_KEYS: keyFile('short', 'S3CR3T') }, /32 bytes/],
  ]
  for (const [environment, message] of wrong) {
    expect(() => configOf(environment), JSON.stringify(environment)).toThrow(ConfigError)
    expect(() => configOf(environment)).toThrow(message)
    expect(() => configOf(environment)).not.toThrow(/S3CR3T/)
  }
})
