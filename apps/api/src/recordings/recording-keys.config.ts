import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, fsyncSync, linkSync, openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { KeyError, kmsKey, LocalKey, vaultKey, type KeyEncryptionKey } from '@sallyport/recording'
import { ConfigError } from '../config/environment.js'
import { awsAccess, type RecordingsSettings } from './recordings.settings.js'

const setting = 'SALLYPORT_RECORDINGS_KEYS'

/** The key that is used when none is configured, made once. @throws {ConfigError} */
export function defaultKey(directory: string): KeyEncryptionKey {
  const path = join(directory, 'recording-key')
  if (!existsSync(path)) writeWhole(path, `${randomBytes(32).toString('base64')}\n`)
  return fileKey('SALLYPORT_DATA_DIR', path)
}

/** On disk before anything is encrypted with it: a key that a power cut takes away takes the recordings with it. */
function writeWhole(path: string, text: string): void {
  const making = `${path}.${process.pid}.new`
  const file = openSync(making, 'w', 0o600)
  try {
    writeSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  try {
    linkSync(making, path)
  } catch (error) {
    // Another process was first: its key is the one.
    if (!existsSync(path)) throw error
  } finally {
    rmSync(making, { force: true })
  }
}

/**
 * `file:PATH`, `vault:MOUNT/KEY` and `kms:KEY`, with commas between them, the newest first.
 * @throws {ConfigError}
 */
export function readKeys(text: string, settings: RecordingsSettings): KeyEncryptionKey[] {
  return text.split(',').map((reference) => readKey(reference.trim(), settings))
}

function readKey(reference: string, settings: RecordingsSettings): KeyEncryptionKey {
  const [, kind, name = ''] = /^(file|vault|kms):(.+)$/.exec(reference) ?? []
  switch (kind) {
    case 'file':
      return fileKey(setting, name)
    case 'vault':
      return readVaultKey(name, settings)
    case 'kms':
      return kmsKey(awsAccess(settings, settings.SALLYPORT_KMS_ENDPOINT, 'kms'), name)
    default:
      throw new ConfigError(`${setting}: a key is file:PATH, vault:MOUNT/KEY or kms:KEY`)
  }
}

function readVaultKey(name: string, settings: RecordingsSettings): KeyEncryptionKey {
  const { SALLYPORT_VAULT_ADDRESS: address, SALLYPORT_VAULT_TOKEN_FILE: file, SALLYPORT_VAULT_NAMESPACE: namespace } = settings
  const [, mount, key] = /^([\w-]+(?:\/[\w-]+)*)\/([\w-]+)$/.exec(name) ?? []
  if (mount === undefined || key === undefined) throw new ConfigError(`${setting}: a key of Vault is vault:MOUNT/KEY, such as vault:transit/sallyport`)
  if (address === undefined) throw new ConfigError('SALLYPORT_VAULT_ADDRESS: is not set')
  if (file === undefined) throw new ConfigError('SALLYPORT_VAULT_TOKEN_FILE: is not set')
  const token = async (): Promise<string> => {
    try {
      return (await readFile(file, 'utf8')).trim()
    } catch (error) {
      throw new KeyError('unavailable', "the file of Vault's token can not be read", { cause: error })
    }
  }
  return vaultKey({ address, token, mount, key, ...(namespace === undefined ? {} : { namespace }) })
}

function fileKey(named: string, path: string): LocalKey {
  let text: string
  try {
    if (process.platform !== 'win32' && (statSync(path).mode & 0o007) !== 0) throw new ConfigError(`${named}: the recording key's file can be read by everyone: chmod 600 it`)
    text = readFileSync(path, 'utf8').trim()
  } catch (error) {
    if (error instanceof ConfigError) throw error
    throw new ConfigError(`${named}: the recording key's file can not be read`)
  }
  const bytes = /^[0-9a-f]{64}$/i.test(text) ? Buffer.from(text, 'hex') : Buffer.from(text, 'base64')
  if (bytes.length !== 32) throw new ConfigError(`${named}: a recording key must be 32 bytes, in base64 or hex`)
  return new LocalKey(bytes)
}
