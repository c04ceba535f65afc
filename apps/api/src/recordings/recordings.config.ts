import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common'
import { fileStore, KeyRing, s3Store, StoreError, type PartStore } from '@sallyport/recording'
import { dataDirectory } from '../config/data-directory.js'
import { ConfigError, ENVIRONMENT, type Environment } from '../config/environment.js'
import { defaultKey, readKeys } from './recording-keys.config.js'
import { awsAccess, readSettings, type RecordingsSettings } from './recordings.settings.js'

/** Where recordings lie, and the keys over their keys. */
@Injectable()
export class RecordingsConfig implements OnModuleInit {
  readonly #settings: RecordingsSettings
  readonly #stores = new Map<string, PartStore>()
  #keys: KeyRing | undefined

  /** @throws {ConfigError} */
  constructor(@Inject(ENVIRONMENT) private readonly environment: Environment) {
    this.#settings = readSettings(environment)
  }

  /** At start, so that a setting that is missing is told at once. */
  onModuleInit(): void {
    if (this.store !== undefined && this.store.id === 'file') mkdirSync(this.#directory(), { recursive: true, mode: 0o700 })
    this.#keys ??= this.#makeKeys()
  }

  /** Of new parts; undefined for the database. */
  get store(): PartStore | undefined {
    const { SALLYPORT_RECORDINGS_STORE: id } = this.#settings
    return id === 'postgres' ? undefined : this.#made(id)
  }

  get keys(): KeyRing {
    this.#keys ??= this.#makeKeys()
    return this.#keys
  }

  /**
   * The store of a part that was written before, whatever is the one of new parts now.
   * @throws {StoreError} when it isn't configured
   */
  storeOf(id: string): PartStore {
    try {
      if (id === 'file' || id === 's3') return this.#made(id)
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
    }
    throw new StoreError(`the part lies in the store ${id}, which is not configured`)
  }

  #made(id: 'file' | 's3'): PartStore {
    const store = this.#stores.get(id) ?? (id === 'file' ? fileStore(this.#directory()) : this.#s3())
    this.#stores.set(id, store)
    return store
  }

  #directory(): string {
    return resolve(this.#settings.SALLYPORT_RECORDINGS_DIRECTORY ?? join(dataDirectory(this.environment), 'recordings'))
  }

  #s3(): PartStore {
    const { SALLYPORT_RECORDINGS_S3_BUCKET: bucket, SALLYPORT_RECORDINGS_S3_PREFIX: prefix, SALLYPORT_RECORDINGS_S3_ENDPOINT: endpoint } = this.#settings
    if (bucket === undefined) throw new ConfigError('SALLYPORT_RECORDINGS_S3_BUCKET: is not set')
    return s3Store(awsAccess(this.#settings, endpoint, 's3'), bucket, prefix)
  }

  #makeKeys(): KeyRing {
    const given = this.#settings.SALLYPORT_RECORDINGS_KEYS
    const [newest, ...older] = given === undefined ? [defaultKey(dataDirectory(this.environment))] : readKeys(given, this.#settings)
    if (newest === undefined) throw new ConfigError('SALLYPORT_RECORDINGS_KEYS: no key is named')
    return new KeyRing(newest, older)
  }
}
