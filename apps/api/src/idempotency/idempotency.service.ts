import { Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common'
import { KeysService } from '../keys/keys.service.js'
import { conflict, Problem } from '../problem/problem.js'
import { IdempotencyRepository, type IdempotencyScope } from './idempotency.repository.js'

const keptMilliseconds = 24 * 3_600_000
const sweepMilliseconds = 600_000
/** How long a repetition waits for the first request's answer. */
const waitMilliseconds = 10_000
const pollMilliseconds = 50

/** Remembers for a day what was answered to a key. */
@Injectable()
export class IdempotencyService implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #log = new Logger(IdempotencyService.name)
  #timer: NodeJS.Timeout | undefined

  constructor(
    private readonly repository: IdempotencyRepository,
    private readonly keys: KeysService,
  ) {}

  onApplicationBootstrap(): void {
    this.#timer = setInterval(() => {
      this.repository.removeExpired(new Date()).catch(() => this.#log.warn({ message: 'expired idempotency keys could not be removed' }))
    }, sweepMilliseconds).unref()
  }

  onApplicationShutdown(): void {
    clearInterval(this.#timer)
  }

  /**
   * Undefined for the first request with this key, which is to be carried out; else what the first one was answered.
   * @throws {Problem} 422 when the first request asked for something else; 409 when its answer isn't there
   */
  async begin(scope: IdempotencyScope, requestSha256: string): Promise<{ readonly reply: unknown } | undefined> {
    const until = Date.now() + waitMilliseconds
    for (;;) {
      const now = new Date()
      if (await this.repository.claim(scope, requestSha256, now, new Date(now.getTime() + keptMilliseconds))) return undefined
      const row = await this.repository.find(scope)
      // Released in between: the first one failed, and this one may try.
      if (!row) continue
      if (row.requestSha256 !== requestSha256) {
        throw new Problem(422, 'IDEMPOTENCY_KEY_REUSED', 'This Idempotency-Key was used for another request.', { hint: 'Use a new key for each thing that you create.' })
      }
      if (row.reply) return { reply: JSON.parse(this.keys.unsealPart(nameOf(scope), row.reply).toString('utf8')) }
      if (Date.now() >= until) {
        throw conflict('IDEMPOTENCY_UNDECIDED', 'The first request with this Idempotency-Key runs, or ended without an answer.', 'Look whether it was done (list what you created); if it was not, ask again with a new key.')
      }
      await new Promise((resolve) => setTimeout(resolve, pollMilliseconds))
    }
  }

  /** Never rejects: what was asked has been done. Without its answer the key stays taken, and nothing is done twice. */
  async finish(scope: IdempotencyScope, reply: unknown): Promise<void> {
    try {
      await this.repository.keep(scope, this.keys.sealPart(nameOf(scope), Buffer.from(JSON.stringify(reply ?? null))))
    } catch {
      this.#log.warn({ message: 'the answer to an idempotency key could not be kept' })
    }
  }

  /** Nothing was done: the key is free again. */
  async release(scope: IdempotencyScope): Promise<void> {
    await this.repository.release(scope).catch(() => this.#log.warn({ message: 'an idempotency key could not be released' }))
  }
}

/** Bound into the sealed reply, so that one can't be put in another's place. */
const nameOf = ({ principal, route, key }: IdempotencyScope): string => `idempotency:${JSON.stringify([principal, route, key])}`
