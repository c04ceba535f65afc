import { randomBytes } from 'node:crypto'
import { Injectable, Logger, type OnModuleInit } from '@nestjs/common'
import { dataKeyBytes, KeyError } from '@sallyport/recording'
import { RecordingPartsRepository } from './recording-parts.repository.js'
import { RecordingsConfig } from './recordings.config.js'

const maxCached = 1000

/** The key of each session's recording: random, and stored only wrapped. */
@Injectable()
export class RecordingKeysService implements OnModuleInit {
  readonly #log = new Logger(RecordingKeysService.name)
  /** Keys in use, so that a running session doesn't ask a key service for every batch. */
  readonly #cached = new Map<string, Uint8Array>()

  constructor(
    private readonly repository: RecordingPartsRepository,
    private readonly config: RecordingsConfig,
  ) {}

  /** A key that was lost or left out is told at the start, and not only when somebody wants to see a recording. */
  async onModuleInit(): Promise<void> {
    for (const kek of await this.repository.keks()) {
      try {
        this.config.keys.get(kek)
      } catch {
        this.#log.error({ message: 'recordings are stored under a key that is not configured: they can not be read, see SALLYPORT_RECORDINGS_KEYS', kek })
      }
    }
  }

  /**
   * The session's key, made when there is none.
   * @throws {KeyError}
   */
  async forWriting(session: string): Promise<Uint8Array> {
    const cached = this.#cached.get(session)
    if (cached !== undefined) return cached
    const stored = await this.#stored(session)
    if (stored !== undefined) return stored
    const { newest } = this.config.keys
    await this.repository.insertKey(session, { kek: newest.id, wrapped: await newest.wrap(randomBytes(dataKeyBytes), session) })
    // What stands there now: another replica may have been first.
    return this.forReading(session)
  }

  /** @throws {KeyError} also when the key is no longer there: the recording was deleted */
  async forReading(session: string): Promise<Uint8Array> {
    const key = await this.#stored(session)
    if (key === undefined) throw new KeyError('refused', 'the key of the recording is not there')
    return key
  }

  /** From the database each time it is read with: a key that was deleted must not live on here. */
  async #stored(session: string): Promise<Uint8Array | undefined> {
    const row = await this.repository.key(session)
    if (row === undefined) {
      this.#cached.delete(session)
      return undefined
    }
    const cached = this.#cached.get(session)
    if (cached !== undefined) return cached
    const key = await this.config.keys.get(row.kek).unwrap(row.wrapped, session)
    this.#cached.set(session, key)
    for (const oldest of this.#cached.keys()) {
      if (this.#cached.size <= maxCached) break
      this.#cached.delete(oldest)
    }
    return key
  }
}
