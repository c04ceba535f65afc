import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Inject, Injectable } from '@nestjs/common'
import { KeyRing, LocalKey, StoreError, type KeyEncryptionKey, type PartStore } from '@sallyport/recording'
import { z } from 'zod'
import { dataDirectory } from '../config/data-directory.js'
import { ConfigError, ENVIRONMENT, readConfig, type Environment } from '../config/environment.js'

const schema = z.object({
  SALLYPORT_RECORDINGS_KEYS: z.string().optional(),
})

/** Where recordings lie, and the keys over their keys. */
@Injectable()
export class RecordingsConfig {
  /** Of new parts; undefined for the database. */
  readonly store: PartStore | undefined
  #keys: KeyRing | undefined

  constructor(@Inject(ENVIRONMENT) private readonly environment: Environment) {}

  /** Made when it is asked for first. @throws {ConfigError} */
  get keys(): KeyRing {
    this.#keys ??= this.#readKeys()
    return this.#keys
  }

  /** @throws {StoreError} when it isn't configured */
  storeOf(id: string): PartStore {
    if (this.store?.id === id) return this.store
    throw new StoreError(`the part lies in the store ${id}, which is not configured`)
  }

  #readKeys(): KeyRing {
    const given = readConfig(schema, this.environment).SALLYPORT_RECORDINGS_KEYS
    const [newest, ...older] = (given === undefined ? [this.#ownKey()] : given.split(',').map((reference) => this.#key(reference.trim())))
    if (newest === undefined) throw new ConfigError('SALLYPORT_RECORDINGS_KEYS: no key is named')
    return new KeyRing(newest, older)
  }

  #ownKey(): KeyEncryptionKey {
    const path = join(dataDirectory(this.environment), 'recording-key')
    if (!existsSync(path)) writeFileSync(path, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600, flag: 'wx' })
    return fileKey('SALLYPORT_DATA_DIR', path)
  }

  #key(reference: string): KeyEncryptionKey {
    if (reference.startsWith('file:')) return fileKey('SALLYPORT_RECORDINGS_KEYS', reference.slice('file:'.length))
    throw new ConfigError('SALLYPORT_RECORDINGS_KEYS: a key is file:PATH')
  }
}

function fileKey(setting: string, path: string): LocalKey {
  let text: string
  try {
    if (process.platform !== 'win32' && (statSync(path).mode & 0o007) !== 0) throw new ConfigError(`${setting}: the recording key's file can be read by everyone: chmod 600 it`)
    text = readFileSync(path, 'utf8').trim()
  } catch (error) {
    if (error instanceof ConfigError) throw error
    throw new ConfigError(`${setting}: the recording key's file can not be read`)
  }
  const bytes = /^[0-9a-f]{64}$/i.test(text) ? Buffer.from(text, 'hex') : Buffer.from(text, 'base64')
  if (bytes.length !== 32) throw new ConfigError(`${setting}: a recording key must be 32 bytes, in base64 or hex`)
  return new LocalKey(bytes)
}
