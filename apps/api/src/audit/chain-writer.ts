import { Injectable } from '@nestjs/common'
import { chainHash, Frontier, leafHash, type Subtree } from '@sallyport/audit-log'
import { AuditRepository, type ChainedEvent, type Transaction } from './audit.repository.js'
import { RecordingPartsRepository, type SealedPart } from '../recordings/recording-parts.repository.js'
import type { PreparedRecord, SessionEnded } from './prepare.js'
import { keptLevels, TreeRepository } from './tree.repository.js'

/** Events that become durable together. */
export interface ChainJob {
  readonly events: readonly PreparedRecord[]
  /** For records of an agent's spool: the seq of events[0]. */
  readonly spool?: { readonly node: string; readonly firstSeq: bigint }
  /** Sealed payloads of these records. */
  readonly parts?: readonly SealedPart[]
}

export interface ChainResult {
  /** Highest durable seq of the node; 0 for the control plane's own events. */
  readonly acked: bigint
  /** How many of the job's events were stored by it; the others were durable before, or lie behind a gap. */
  readonly stored: number
  /** Sessions whose end was stored by this job. */
  readonly ended: readonly SessionEnded[]
}

export class AuditUnavailableError extends Error {
  override readonly name = 'AuditUnavailableError'
}

interface Waiting {
  readonly job: ChainJob
  readonly bytes: number
  readonly resolve: (result: ChainResult) => void
  readonly reject: (error: Error) => void
}

const maxEventsPerTransaction = 2000
const maxBytesPerTransaction = 8 * 1024 * 1024
const maxWaitingBytes = 128 * 1024 * 1024

/**
 * The one writer of the chain in this process. Jobs that arrive while a transaction runs share the next one, so that
 * many strict sessions cost one commit together. Over replicas the head row's lock keeps the order.
 */
@Injectable()
export class ChainWriter {
  readonly #waiting: Waiting[] = []
  #waitingBytes = 0
  #running = false

  constructor(
    private readonly repository: AuditRepository,
    private readonly tree: TreeRepository,
    private readonly parts: RecordingPartsRepository,
  ) {}

  /**
   * Resolves when the events are committed. A gap in a spool stores nothing and resolves with what is durable.
   * @throws {AuditUnavailableError} when too much waits or the database refuses
   */
  submit(job: ChainJob): Promise<ChainResult> {
    const bytes = job.events.reduce((sum, event) => sum + event.body.length, 0) + (job.parts ?? []).reduce((sum, part) => sum + (part.data?.length ?? 0), 0)
    if (this.#waitingBytes + bytes > maxWaitingBytes) return Promise.reject(new AuditUnavailableError('the audit chain is overloaded'))
    this.#waitingBytes += bytes
    return new Promise((resolve, reject) => {
      this.#waiting.push({ job, bytes, resolve, reject })
      if (!this.#running) void this.#drain()
    })
  }

  async #drain(): Promise<void> {
    this.#running = true
    try {
      for (let batch = this.#take(); batch.length > 0; batch = this.#take()) await this.#settle(batch)
    } finally {
      this.#running = false
    }
  }

  #take(): Waiting[] {
    let events = 0
    let bytes = 0
    let count = 0
    for (const waiting of this.#waiting) {
      events += waiting.job.events.length
      bytes += waiting.bytes
      if (count > 0 && (events > maxEventsPerTransaction || bytes > maxBytesPerTransaction)) break
      count++
    }
    const batch = this.#waiting.splice(0, count)
    for (const waiting of batch) this.#waitingBytes -= waiting.bytes
    return batch
  }

  async #settle(batch: readonly Waiting[]): Promise<void> {
    try {
      const results = await this.repository.transaction((tx) => this.#write(tx, batch.map((waiting) => waiting.job)))
      batch.forEach((waiting, i) => waiting.resolve(results[i] ?? { acked: 0n, stored: 0, ended: [] }))
    } catch (error) {
      // One job that the database refuses must not take the others with it.
      if (batch.length > 1) for (const waiting of batch) await this.#settle([waiting])
      else for (const waiting of batch) waiting.reject(new AuditUnavailableError('the audit chain could not be written', { cause: error }))
    }
  }

  /**
   * Writes jobs in one transaction of the caller's, e.g. together with the documents that an event tells about.
   * Holds the head's lock until that transaction ends: append last.
   */
  async appendWithin(tx: Transaction, events: readonly PreparedRecord[]): Promise<void> {
    await this.#write(tx, [{ events }])
  }

  /** The head is locked last, after the rows of nodes and sessions: whoever appends within a transaction keeps that order, too. */
  async #write(tx: Transaction, jobs: readonly ChainJob[]): Promise<ChainResult[]> {
    const nodes = [...new Set(jobs.flatMap((job) => (job.spool ? [job.spool.node] : [])))]
    const before = nodes.length === 0 ? new Map<string, bigint>() : await this.repository.lockAcked(tx, nodes)
    const acked = new Map(before)
    const work = jobs.map((job) => ({ job, fresh: freshEvents(job, acked) }))
    const ended = work.flatMap(({ fresh }) => endsIn(fresh))
    if (ended.length > 0) await this.repository.endSessions(tx, ended)
    for (const { job, fresh } of work) if (fresh.length > 0 && job.parts !== undefined) await this.parts.insert(tx, job.parts)
    await this.#append(tx, work.flatMap(({ fresh }) => fresh))
    for (const [node, seq] of acked) if (seq !== before.get(node)) await this.repository.setAcked(tx, node, seq)
    return work.map(({ job, fresh }) => ({ acked: job.spool ? (acked.get(job.spool.node) ?? 0n) : 0n, stored: fresh.length, ended: endsIn(fresh) }))
  }

  async #append(tx: Transaction, events: readonly PreparedRecord[]): Promise<void> {
    if (events.length === 0) return
    const head = await this.repository.lockHead(tx)
    const edge = Frontier.read(head.position, head.edge)
    const subtrees: Subtree[] = []
    const chained: ChainedEvent[] = []
    let { position, hash } = head
    for (const { columns, body } of events) {
      position += 1n
      const prevHash = Buffer.from(hash)
      hash = chainHash(prevHash, position, body)
      chained.push({ columns, body, position, prevHash, hash: Buffer.from(hash) })
      edge.append(leafHash(hash), (subtree) => {
        if (subtree.level % keptLevels === 0) subtrees.push(subtree)
      })
    }
    await this.repository.insert(tx, chained)
    await this.tree.insert(tx, subtrees)
    await this.repository.setHead(tx, { position, hash, edge: edge.bytes() })
  }
}

const endsIn = (events: readonly PreparedRecord[]): SessionEnded[] => events.flatMap((event) => (event.ended ? [event.ended] : []))

/** What of a job isn't durable yet; moves `acked` on. A duplicate is skipped, a gap or an unknown node stores nothing. */
function freshEvents(job: ChainJob, acked: Map<string, bigint>): readonly PreparedRecord[] {
  if (!job.spool) return job.events
  const { node, firstSeq } = job.spool
  const durable = acked.get(node)
  if (durable === undefined || firstSeq > durable + 1n) return []
  const fresh = job.events.slice(Number(durable + 1n - firstSeq))
  if (fresh.length > 0) acked.set(node, durable + BigInt(fresh.length))
  return fresh
}
