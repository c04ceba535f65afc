import { Inject, Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common'
import { DeletionDigest, deletionType, type DeletionStatement } from '@sallyport/audit-log'
import { retentionClasses, type RetentionClass } from '@sallyport/policy'
import { v7 as uuid } from 'uuid'
import { z } from 'zod'
import { CheckpointsService } from '../audit/checkpoints.service.js'
import { EventsService } from '../audit/events.service.js'
import { ENVIRONMENT, readConfig, type Environment } from '../config/environment.js'
import { DocumentsService } from '../documents/documents.service.js'
import { KeysService } from '../keys/keys.service.js'
import { LeftoversService } from '../recordings/leftovers.service.js'
import { RetentionRepository, type Expired } from './retention.repository.js'

export interface RetentionReport {
  readonly class: RetentionClass
  readonly document: string
  readonly events: number
  readonly bytes: number
}

const batchSize = 1000
const dayMs = 86_400_000
const settingsSchema = z.object({ SALLYPORT_RETENTION_MINUTES: z.coerce.number({ error: 'must be a number of minutes' }).int().min(1).max(10_080).default(60) })

/**
 * Deletes what Retention documents say isn't kept any longer, a small batch at a time. Each batch is one transaction: the
 * events, the tombstones in their place, and the signed event that says so.
 */
@Injectable()
export class RetentionService implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #log = new Logger(RetentionService.name)
  readonly #everyMs: number
  #timer: NodeJS.Timeout | undefined
  #running: Promise<RetentionReport[]> | undefined
  #stopped = false

  constructor(
    private readonly repository: RetentionRepository,
    private readonly documents: DocumentsService,
    private readonly events: EventsService,
    private readonly checkpoints: CheckpointsService,
    private readonly keys: KeysService,
    private readonly leftovers: LeftoversService,
    @Inject(ENVIRONMENT) environment: Environment,
  ) {
    this.#everyMs = readConfig(settingsSchema, environment).SALLYPORT_RETENTION_MINUTES * 60_000
  }

  onApplicationBootstrap(): void {
    this.#timer = setInterval(() => {
      this.run().catch((error: unknown) => this.#log.error({ message: 'retention failed', error: error instanceof Error ? error.name : '' }))
    }, this.#everyMs)
    this.#timer.unref()
  }

  async onApplicationShutdown(): Promise<void> {
    this.#stopped = true
    clearInterval(this.#timer)
    await this.#running?.catch(() => undefined)
  }

  /** What a run would delete now. */
  async preview(): Promise<RetentionReport[]> {
    const reports: RetentionReport[] = []
    for (const { name, document, expired } of await this.#due()) reports.push({ class: name, document, ...(await this.repository.count(expired)) })
    return reports
  }

  /** Deletes what is due. Calls at the same time share one run. */
  run(): Promise<RetentionReport[]> {
    this.#running ??= this.#run().finally(() => (this.#running = undefined))
    return this.#running
  }

  async #run(): Promise<RetentionReport[]> {
    const reports: RetentionReport[] = []
    for (const { name, document, expired } of await this.#due()) {
      let events = 0
      let bytes = 0
      for (let after = 0n; !this.#stopped; ) {
        const done = await this.#batch(name, document, expired, after)
        if (done === undefined) break
        events += done.events
        bytes += done.bytes
        after = done.last
      }
      reports.push({ class: name, document, events, bytes })
    }
    await this.repository.dropEmptyMonths()
    await this.leftovers.clean()
    return reports
  }

  async #batch(name: RetentionClass, document: string, expired: Expired, after: bigint): Promise<{ events: number; bytes: number; last: bigint } | undefined> {
    return this.repository.transaction(async (tx) => {
      const rows = await this.repository.oldest(tx, expired, after, batchSize)
      const [first, last] = [rows.at(0), rows.at(-1)]
      if (first === undefined || last === undefined) return undefined
      const run = uuid()
      const digest = new DeletionDigest()
      const tombstones = rows.map(({ bytes: _bytes, ...row }) => ({ ...row, run }))
      for (const tombstone of tombstones) digest.add(tombstone)
      const statement: DeletionStatement = { run, count: digest.count, digest: digest.hex(), iat: Math.floor(Date.now() / 1000) }
      const bytes = rows.reduce((sum, row) => sum + row.bytes, 0)
      await this.repository.bury(tx, tombstones)
      await this.events.appendWithin(tx, [
        { kind: 'audit.deleted', run, class: name, document, count: rows.length, first: String(first.position), last: String(last.position), bytes, statement: await this.keys.sign(deletionType, statement) },
      ])
      return { events: rows.length, bytes, last: last.position }
    })
  }

  /** Classes with something that may go. What isn't signed yet, or not sent yet, stays. */
  async #due(): Promise<{ readonly name: RetentionClass; readonly document: string; readonly expired: Expired }[]> {
    const documents = await this.documents.list('Retention')
    const signed = await this.checkpoints.latest()
    if (documents.length === 0 || signed === undefined || this.checkpoints.refused) return []
    const sent = await this.repository.behind((await this.documents.list('Sink')).map((sink) => sink.name))
    const ceiling = sent !== undefined && sent < signed.size ? sent : signed.size
    const due = []
    for (const { name: document, spec } of documents) {
      for (const { class: name, keepDays, keepAtMost } of spec.rules) {
        const kinds = retentionClasses[name]
        if (keepDays !== undefined) due.push({ name, document, expired: { kinds, before: new Date(Date.now() - keepDays * dayMs), ceiling } })
        const over = keepAtMost === undefined ? undefined : await this.repository.overflow(kinds, keepAtMost)
        if (over !== undefined) due.push({ name, document, expired: { kinds, before: new Date(), ceiling: over < ceiling ? over : ceiling } })
      }
    }
    return due
  }
}
