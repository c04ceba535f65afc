import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Secret } from '@sallyport/kit'
import { z } from 'zod'
import { dataDirectory } from '../config/data-directory.js'
import { ConfigError, readConfig, type Environment } from '../config/environment.js'

const schema = z.object({ SALLYPORT_MASTER_KEY: z.string().optional(), SALLYPORT_MASTER_KEY_FILE: z.string().optional() })

/**
 * The 32-byte key that seals the stored keys: from the environment or a file (base64 or hex), else made once in the data
 * directory. Every replica needs the same one.
 * @throws {ConfigError}
 */
export function readMasterKey(environment: Environment): Secret<Buffer> {
  const { SALLYPORT_MASTER_KEY: given, SALLYPORT_MASTER_KEY_FILE: file } = readConfig(schema, environment)
  if (given !== undefined) return decode('SALLYPORT_MASTER_KEY', given)
  if (file !== undefined) return decode('SALLYPORT_MASTER_KEY_FILE', readKeyFile('SALLYPORT_MASTER_KEY_FILE', file))
  const path = join(dataDirectory(environment), 'master-key')
  if (!existsSync(path)) writeFileSync(path, randomBytes(32).toString('base64') + '\n', { mode: 0o600, flag: 'wx' })
  return decode('SALLYPORT_DATA_DIR', readKeyFile('SALLYPORT_DATA_DIR', path))
}

function readKeyFile(name: string, path: string): string {
  try {
    if (process.platform !== 'win32' && (statSync(path).mode & 0o007) !== 0) throw new ConfigError(`${name}: the master key's file can be read by everyone: chmod 600 it`)
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof ConfigError) throw error
    throw new ConfigError(`${name}: the master key's file can not be read`)
  }
}

function decode(name: string, text: string): Secret<Buffer> {
  const trimmed = text.trim()
  const bytes = /^[0-9a-f]{64}$/i.test(trimmed) ? Buffer.from(trimmed, 'hex') : Buffer.from(trimmed, 'base64')
  if (bytes.length !== 32) throw new ConfigError(`${name}: the master key must be 32 bytes, in base64 or hex`)
  return new Secret(bytes)
}
