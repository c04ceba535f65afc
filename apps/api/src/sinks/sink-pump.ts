import { setTimeout as sleep } from 'node:timers/promises'
import type { SinkSpec } from '@sallyport/policy'
import { asDeliveryError, backoffMs, deliver, DeliveryError, shapeEvent, textOf, type MaskKeys, type Outcome, type Sender, type ShapedRecord, type StoredEvent } from '@sallyport/sinks'
import type { SinkState } from '../generated/prisma/client.js'
import type { SinksRepository, Refused, Slice } from './sinks.repository.js'

/** What a pump tells; each at most once per failure. */
export interface PumpReports {
  failing(code: string, reason: string, since: Date): Promise<void>
  recovered(): Promise<void>
  firstDeadLetter(refused: Refused): Promise<void>
  log(message: string, fields: object): void
}

export interface PumpOptions {
  readonly name: string
  readonly spec: SinkSpec
  /** Of this process. */
  readonly owner: string
  readonly repository: SinksRepository
  readonly keys: MaskKeys
  readonly open: () => Promise<Sender>
  readonly reports: PumpReports
  readonly idleMs?: number
}

/** After a control plane died, its sinks wait so long for another. Written again by a heartbeat, also while a receiver takes its time. */
const leaseSeconds = 15
const heartbeatMs = 5000
const stopMs = 5000
const retriesAtOnce = 100
/** How many further events may prove that a receiver works which refused all of a batch. */
const witnesses = 20

/**
 * Sends one sink's events, one batch after the other, so that their order is kept. The cursor moves behind what was
 * acknowledged or filed as a dead letter, never before. Holds at most two batches in memory.
 */
export class SinkPump {
  readonly #stop = new AbortController()
  /** Ends what is under way; it comes again. */
  readonly #cut = new AbortController()
  readonly #done: Promise<void>
  #sender: Sender | undefined
  #retryAfter: number | undefined
  #renewAt = 0
  /** Since this process began to pump. */
  readonly counts = { sent: 0, failed: 0, dead_letters: 0 }

  constructor(private readonly options: PumpOptions) {
    this.#done = this.#run()
  }

  /** Lets the batch under way come to its end, if it does so soon, and gives the lease back. */
  async stop(): Promise<void> {
    this.#stop.abort()
    const cut = setTimeout(() => this.#cut.abort(), stopMs)
    await this.#done
    clearTimeout(cut)
  }

  async #run(): Promise<void> {
    const { name, owner, repository, reports } = this.options
    let attempt = 0
    while (!this.#stop.signal.aborted) {
      let pause: number
      try {
        const more = await this.#turn()
        attempt = more === 'failed' ? attempt + 1 : 0
        pause = more === true ? 0 : more === 'failed' ? backoffMs(attempt, this.#retryAfter) : (this.options.idleMs ?? 500)
      } catch (error) {
        // The database is away, or a bug: never a busy loop, never the end of the pump.
        attempt++
        pause = backoffMs(attempt, undefined)
        reports.log('a sink could not be pumped', { sink: name, error: error instanceof Error ? error.name : '' })
      }
      await sleep(pause, undefined, { signal: this.#stop.signal }).catch(() => undefined)
    }
    await this.#close()
    await repository.release(name, owner).catch(() => undefined)
  }

  /** The sink's row while the lease is ours. It is written again well before it ends, not at every look. */
  async #owned(): Promise<SinkState | undefined> {
    const { name, owner, repository } = this.options
    if (Date.now() < this.#renewAt) {
      const state = await repository.state(name)
      if (state?.owner === owner) return state
    }
    const state = await repository.own(name, owner, leaseSeconds)
    this.#renewAt = state ? Date.now() + heartbeatMs : 0
    return state
  }

  /** One batch. True: there may be more. False: nothing to do now. */
  async #turn(): Promise<boolean | 'failed'> {
    const { repository, spec } = this.options
    const state = await this.#owned()
    if (!state) {
      await this.#close()
      return false
    }
    const retried = await this.#retry()
    if (retried === 'failed') return 'failed'
    const slice = await repository.read(state.position, spec.kinds, spec.batch.records, spec.batch.bytes)
    if (slice.upTo === state.position) return retried
    if (slice.events.length === 0) return this.#advanced(slice.upTo, 0, [])
    if (waits(slice, spec.batch.waitSeconds)) return retried
    const { shaped, broken } = this.#shape(slice.events)
    const outcome = await this.#deliver(shaped)
    // Only dead letters: either the records are bad, or the receiver refuses everything. Later events tell which.
    const proven = outcome.failure !== undefined || outcome.accepted > 0 || outcome.rejected.every((one) => one.certain)
    if (!proven) return this.#withWitnesses(slice, outcome, broken)
    return this.#settle(shaped, slice.upTo, outcome, broken, state.failingSince !== null)
  }

  async #settle(shaped: readonly ShapedRecord[], upTo: bigint, outcome: Outcome, broken: readonly Refused[], wasFailing: boolean): Promise<boolean | 'failed'> {
    const { failure, settled } = outcome
    if (settled > 0 || !failure) {
      const position = failure ? (shaped[settled - 1]?.position ?? 0n) : upTo
      const refused = [...outcome.rejected.map(({ record, code, reason }) => ({ position: record.position, code, reason })), ...broken.filter((one) => one.position <= position)]
      // A failure within a halved batch may leave only refusals in front of it: they aren't proven yet, and come again.
      const proven = outcome.accepted > 0 || outcome.rejected.every((one) => one.certain)
      if (proven && !(await this.#advanced(position, outcome.accepted, refused))) return false
    }
    if (failure) return this.#failed(failure)
    if (wasFailing) await this.#recovered()
    return true
  }

  /** Sends what comes next as well: if any of that is taken, the receiver works, and the batch before is to blame. */
  async #withWitnesses(slice: Slice, outcome: Outcome, broken: readonly Refused[]): Promise<boolean | 'failed'> {
    const { repository, spec } = this.options
    const next = await repository.read(slice.upTo, spec.kinds, witnesses, spec.batch.bytes)
    const further = this.#shape(next.events)
    const second = await this.#deliver(further.shaped)
    if (second.accepted === 0) {
      const [first] = outcome.rejected
      return this.#failed(second.failure ?? new DeliveryError('unavailable', first?.code ?? 'REJECTED', `the receiver refuses every event (${first?.reason ?? ''}); none is given up for that`))
    }
    const reached = second.failure ? (further.shaped[second.settled - 1]?.position ?? slice.upTo) : next.upTo
    const refused = [...outcome.rejected, ...second.rejected].map(({ record, code, reason }) => ({ position: record.position, code, reason }))
    await this.#advanced(reached, second.accepted, [...refused, ...broken, ...further.broken.filter((one) => one.position <= reached)])
    if (second.failure) return this.#failed(second.failure)
    await this.#recovered()
    return true
  }

  /** Dead letters that somebody asked to try again, one by one. Gone from the chain: gone. */
  async #retry(): Promise<boolean | 'failed'> {
    const { name, owner, repository } = this.options
    const positions = await repository.lettersToRetry(name, retriesAtOnce)
    if (positions.length === 0) return false
    const events = new Map((await repository.at(positions)).map((event) => [event.position, event]))
    for (const position of positions) {
      const event = events.get(position)
      const { shaped, broken } = this.#shape(event ? [event] : [])
      const outcome = await this.#deliver(shaped)
      if (outcome.failure) return this.#failed(outcome.failure)
      const [rejected] = outcome.rejected
      const refused = rejected ? { code: rejected.code, reason: rejected.reason } : broken[0]
      if (!refused) await repository.removeLetter(name, position)
      // The cursor is ahead of it and stays there.
      if (!(await repository.advance(name, owner, 0n, outcome.accepted, refused ? [{ ...refused, position }] : []))) return false
      this.counts.sent += outcome.accepted
    }
    return true
  }

  #shape(events: readonly StoredEvent[]): { shaped: ShapedRecord[]; broken: Refused[] } {
    const { spec, keys } = this.options
    const shaped: ShapedRecord[] = []
    const broken: Refused[] = []
    for (const event of events) {
      try {
        shaped.push(shapeEvent(event, { shape: spec.shape, mask: spec.mask, keys }))
      } catch {
        broken.push({ position: event.position, code: 'NOT_AN_EVENT', reason: 'the stored text is not an event any more: run sallyport audit verify' })
      }
    }
    return { shaped, broken }
  }

  async #deliver(batch: readonly ShapedRecord[]): Promise<Outcome> {
    if (batch.length === 0) return { settled: 0, accepted: 0, rejected: [] }
    try {
      this.#sender ??= await this.options.open()
    } catch (error) {
      return { settled: 0, accepted: 0, rejected: [], failure: asDeliveryError(error) }
    }
    // Each request of a batch has the timeout. The lease is checked before each: another may have taken over.
    const sender = this.#sender
    const { name, owner, repository, spec } = this.options
    const timed: Sender = {
      send: async (part) => {
        if (!(await repository.own(name, owner, leaseSeconds))) throw new DeliveryError('unavailable', 'LEASE_LOST', 'another control plane sends to this sink')
        return sender.send(part, AbortSignal.any([this.#cut.signal, AbortSignal.timeout(spec.timeoutSeconds * 1000)]))
      },
      close: () => sender.close(),
    }
    const heartbeat = setInterval(() => void repository.own(name, owner, leaseSeconds).catch(() => undefined), heartbeatMs)
    try {
      return await deliver(batch, timed, this.#cut.signal)
    } finally {
      clearInterval(heartbeat)
    }
  }

  async #advanced(position: bigint, sent: number, refused: readonly Refused[]): Promise<boolean> {
    const { name, owner, repository, reports } = this.options
    const before = refused.length > 0 ? await repository.countLetters(name) : 0
    if (!(await repository.advance(name, owner, position, sent, refused))) return false
    this.counts.sent += sent
    this.counts.dead_letters += refused.length
    const [first] = refused
    if (first && before === 0 && (await this.#mayTell(first.position))) await reports.firstDeadLetter(first)
    return true
  }

  /** An event about sinks that a sink refuses is not told in yet another one. */
  async #mayTell(position: bigint): Promise<boolean> {
    const [event] = await this.options.repository.at([position])
    return event !== undefined && !(kindOf(event)?.startsWith('sink.') ?? false)
  }

  async #failed(failure: DeliveryError): Promise<'failed'> {
    const { name, owner, repository, spec, reports } = this.options
    this.counts.failed++
    this.#retryAfter = failure.retryAfterMs
    // Opened afresh, with its secrets: they may have been renewed.
    await this.#close()
    const state = await repository.failed(name, owner, `${failure.code}: ${failure.message}`)
    const since = state?.failingSince
    reports.log('a sink failed', { sink: name, code: failure.code, failures: state?.failures })
    if (since && !state.failingToldAt && Date.now() - since.getTime() >= spec.alertAfterSeconds * 1000) {
      await reports.failing(failure.code, failure.message, since)
      await repository.told(name)
    }
    return 'failed'
  }

  async #recovered(): Promise<void> {
    const { name, owner, repository, reports } = this.options
    const state = await repository.state(name)
    await repository.recovered(name, owner)
    if (state?.failingToldAt) await reports.recovered()
  }

  async #close(): Promise<void> {
    const sender = this.#sender
    this.#sender = undefined
    await sender?.close().catch(() => undefined)
  }
}

/** Whether a batch that isn't full may grow. */
function waits({ full, oldest }: Slice, seconds: number): boolean {
  return !full && oldest !== undefined && Date.now() - oldest.getTime() < seconds * 1000
}

function kindOf(event: StoredEvent): string | undefined {
  try {
    const body: unknown = JSON.parse(event.body)
    return typeof body === 'object' && body !== null && 'kind' in body ? textOf(body.kind) : undefined
  } catch {
    return undefined
  }
}
