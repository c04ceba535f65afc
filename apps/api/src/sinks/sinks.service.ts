import { randomUUID } from 'node:crypto'
import { Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common'
import { ModuleRef } from '@nestjs/core'
import type { SinkDocument } from '@sallyport/policy'
import { asDeliveryError, openSender, shapeEvent, type MaskKeys, type Sender } from '@sallyport/sinks'
import { EventsService } from '../audit/events.service.js'
import { DocumentsService } from '../documents/documents.service.js'
import type { SinkState } from '../generated/prisma/client.js'
import { KeysService } from '../keys/keys.service.js'
import { notFound } from '../problem/problem.js'
import { SinkPump } from './sink-pump.js'
import { SinksConfig } from './sinks.config.js'
import type { DeadLetterItem, SinkItem, TestReply } from './sinks.dto.js'
import { SinksRepository, type Lag } from './sinks.repository.js'

interface Pumping {
  readonly version: string
  readonly pump: SinkPump
}

const reconcileRetryMs = 2000

/** Keeps one pump per Sink document, and answers for what became of them. */
@Injectable()
export class SinksService implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #log = new Logger(SinksService.name)
  readonly #owner = randomUUID()
  readonly #pumps = new Map<string, Pumping>()
  #queue: Promise<unknown> = Promise.resolve()
  #retry: NodeJS.Timeout | undefined
  #stopped = false

  constructor(
    private readonly documents: DocumentsService,
    private readonly repository: SinksRepository,
    private readonly events: EventsService,
    private readonly config: SinksConfig,
    private readonly modules: ModuleRef,
  ) {}

  onApplicationBootstrap(): void {
    // Not awaited: neither a start nor an apply waits for a sink.
    this.documents.onApplied(() => Promise.resolve(this.#reconcileSoon()))
    this.#reconcileSoon()
  }

  async onApplicationShutdown(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#retry)
    await this.#queue
    await Promise.all([...this.#pumps.values()].map(({ pump }) => pump.stop()))
  }

  async list(): Promise<SinkItem[]> {
    const sinks = await this.documents.list('Sink')
    return Promise.all(sinks.map((sink) => this.#item(sink)))
  }

  /** @throws {Problem} 404 */
  async letters(name: string, after: bigint, limit: number): Promise<{ items: DeadLetterItem[]; next?: string }> {
    await this.#find(name)
    const rows = await this.repository.letters(name, after, limit + 1)
    const items = rows.slice(0, limit).map((row) => ({
      position: String(row.position), code: row.code, reason: row.reason, attempts: row.attempts, retrying: row.retryAskedAt !== null,
      created_at: row.createdAt.toISOString(), tried_at: row.triedAt.toISOString(),
    }))
    const last = items.at(-1)
    return rows.length > limit && last ? { items, next: last.position } : { items }
  }

  /** Has dead letters sent again by the process that pumps the sink. @throws {Problem} 404 */
  async retry(name: string, positions: readonly bigint[] | undefined, by: string): Promise<number> {
    await this.#find(name)
    const count = await this.repository.askRetry(name, positions)
    await this.events.append({ kind: 'sink.retried', sink: name, by, count })
    return count
  }

  /** Sends a made-up event, beside the pump and without moving the cursor. @throws {Problem} 404 */
  async test(name: string, by: string): Promise<TestReply> {
    const sink = await this.#find(name)
    const reply = await this.#test(sink, by)
    await this.events.append({ kind: 'sink.tested', sink: name, by, ok: reply.ok })
    return reply
  }

  /** For metrics: by sink. */
  async status(): Promise<readonly { name: string; lag: Lag; deadLetters: number; failing: boolean; counts: SinkPump['counts'] }[]> {
    const sinks = await this.documents.list('Sink')
    return Promise.all(
      sinks.map(async ({ name }) => {
        const state = await this.repository.state(name)
        return {
          name,
          lag: await this.repository.lag(state?.position ?? 0n),
          deadLetters: await this.repository.countLetters(name),
          failing: (state?.failingSince ?? null) !== null,
          counts: this.#pumps.get(name)?.pump.counts ?? { sent: 0, failed: 0, dead_letters: 0 },
        }
      }),
    )
  }

  async #test(sink: SinkDocument, by: string): Promise<TestReply> {
    const now = new Date().toISOString().replace('Z', '000Z')
    const id = randomUUID()
    const body = JSON.stringify({ v: 1, id, source: 'control-plane', received_at: now, kind: 'sink.tested', who: by, event: { kind: 'sink.tested', sink: sink.name, by } })
    let sender: Sender | undefined
    try {
      sender = await this.#open(sink)
      const shaped = shapeEvent({ position: 0n, body }, { shape: sink.spec.shape, mask: sink.spec.mask, keys: await this.#keys() })
      const [rejected] = await sender.send([shaped], AbortSignal.timeout(sink.spec.timeoutSeconds * 1000))
      return rejected ? { ok: false, code: rejected.code, reason: rejected.reason } : { ok: true, event_id: id }
    } catch (error) {
      const { code, message } = asDeliveryError(error)
      return { ok: false, code, reason: message }
    } finally {
      await sender?.close().catch(() => undefined)
    }
  }

  async #find(name: string): Promise<SinkDocument> {
    const sink = await this.documents.get('Sink', name)
    if (!sink) throw notFound('sink of that name')
    return sink
  }

  async #item({ name, spec }: SinkDocument): Promise<SinkItem> {
    const state: SinkState | null = await this.repository.state(name)
    const lag = await this.repository.lag(state?.position ?? 0n)
    const running = state?.failingSince ? 'failing' : 'running'
    return {
      name, kind: spec.destination.kind, shape: spec.shape, state: spec.paused ? 'paused' : running,
      position: String(state?.position ?? 0n), lag_records: Number(lag.records), lag_seconds: Math.round(lag.seconds),
      sent: Number(state?.sent ?? 0n), dead_letters: await this.repository.countLetters(name),
      ...(state?.lastError ? { last_error: state.lastError } : {}), ...(state?.lastErrorAt ? { last_error_at: state.lastErrorAt.toISOString() } : {}),
      ...(state?.failingSince ? { failing_since: state.failingSince.toISOString() } : {}), ...(state?.lastSentAt ? { last_sent_at: state.lastSentAt.toISOString() } : {}),
    }
  }

  #reconcileSoon(): void {
    if (this.#stopped) return
    this.#queue = this.#queue.then(() => this.#reconcile()).catch((error: unknown) => {
      this.#log.error({ message: 'the sinks could not be read', error: error instanceof Error ? error.name : '' })
      clearTimeout(this.#retry)
      this.#retry = setTimeout(() => this.#reconcileSoon(), reconcileRetryMs)
      this.#retry.unref()
    })
  }

  /** Brings the pumps to what the documents say. A changed sink's old pump has stopped before its new one starts. */
  async #reconcile(): Promise<void> {
    if (this.#stopped) return
    const sinks = (await this.documents.list('Sink')).filter(({ spec }) => !spec.paused)
    const wanted = new Map(sinks.map((sink) => [sink.name, sink]))
    const gone = [...this.#pumps].filter(([name, { version }]) => wanted.get(name)?.text !== version)
    await Promise.all(gone.map(([, { pump }]) => pump.stop()))
    for (const [name] of gone) this.#pumps.delete(name)
    const keys = await this.#keys()
    for (const [name, sink] of wanted) {
      if (this.#pumps.has(name)) continue
      await this.repository.ensure(name, sink.spec.from)
      this.#pumps.set(name, { version: sink.text, pump: this.#start(sink, keys) })
    }
  }

  #start(sink: SinkDocument, keys: MaskKeys): SinkPump {
    const { name, spec } = sink
    return new SinkPump({
      name, spec, owner: this.#owner, repository: this.repository, keys,
      open: () => this.#open(sink),
      reports: {
        failing: (code, reason, since) => this.events.append({ kind: 'sink.failing', sink: name, code, reason, failing_since: since.toISOString() }),
        recovered: () => this.events.append({ kind: 'sink.recovered', sink: name }),
        firstDeadLetter: ({ code, reason, position }) => this.events.append({ kind: 'sink.dead_letter', sink: name, code, reason, position: String(position) }),
        log: (message, fields) => this.#log.warn({ message, ...fields }),
      },
    })
  }

  #open({ name, spec }: SinkDocument): Promise<Sender> {
    const directory = spec.destination.kind === 'file' ? this.config.directory() : ''
    return openSender(spec.destination, { name, directory, resolve: this.config.resolve, stdout: process.stdout })
  }

  async #keys(): Promise<MaskKeys> {
    const keys = this.modules.get(KeysService, { strict: false })
    return { statement: await keys.sinkKey('statement'), identity: await keys.sinkKey('identity') }
  }
}
