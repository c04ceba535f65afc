import { Injectable, Logger } from '@nestjs/common'
import { ModuleRef } from '@nestjs/core'
import { eventPart } from '@sallyport/audit-log'
import { personOf, personsOfEvent, type IdentityFacts, type PersonNamed } from '../privacy/identifiers.js'
import { PseudonymsService } from '../privacy/pseudonyms.service.js'
import type { SealedPart } from '../recordings/recording-parts.repository.js'
import { RecordingPartsService } from '../recordings/recording-parts.service.js'
import { SessionsService } from '../sessions/sessions.service.js'
import { AuditRepository, type Transaction } from './audit.repository.js'
import { AuditUnavailableError, ChainWriter } from './chain-writer.js'
import type { PreparedEvent } from './body.js'
import type { ControlPlaneEventBody } from './events.js'
import { isSessionId, prepareControlEvent, prepareForked, prepareRecord, readRecord, timestamp, type PreparedRecord, type SessionEnded, type SessionFacts } from './prepare.js'

const sessionCacheSize = 10_000

export type SessionEndListener = (session: string, reason: string) => Promise<void>

/** The audit trail's entrance: the control plane's own events and the agents' spools. */
@Injectable()
export class EventsService {
  readonly #log = new Logger(EventsService.name)
  readonly #sessions = new Map<string, SessionFacts>()
  readonly #endListeners = new Set<SessionEndListener>()

  constructor(
    private readonly repository: AuditRepository,
    private readonly writer: ChainWriter,
    private readonly parts: RecordingPartsService,
    private readonly pseudonyms: PseudonymsService,
    private readonly modules: ModuleRef,
  ) {
    pseudonyms.onForgotten(() => this.#sessions.clear())
  }

  /**
   * Records an event of the control plane itself. Resolves once it is durable.
   * @throws {AuditUnavailableError} the caller must then not do what it wanted to record
   */
  async append(event: ControlPlaneEventBody): Promise<void> {
    await this.writer.submit({ events: [await this.#prepared(event, timestamp())] })
    if (event.kind === 'session.killed' || event.kind === 'session.lost') await this.#tellEnded(event.session, event.reason)
  }

  /** Records events in the caller's transaction: what they tell and the telling are committed together. Do it last. */
  async appendWithin(tx: Transaction, events: readonly ControlPlaneEventBody[]): Promise<void> {
    const now = timestamp()
    const prepared = []
    for (const event of events) prepared.push(await this.#prepared(event, now, tx))
    await this.writer.appendWithin(tx, prepared)
  }

  /**
   * Stores records of an agent's spool. Idempotent: what is durable already is skipped. A gap stores nothing.
   * @param firstSeq seq of records[0]; each next one is +1
   * @param records the spooled records, byte for byte
   * @returns the highest seq that is durable
   * @throws {AuditUnavailableError}
   */
  async ingest(agentId: string, firstSeq: bigint, records: readonly Uint8Array[]): Promise<bigint> {
    if (firstSeq < 1n || firstSeq + BigInt(records.length) > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new RangeError('firstSeq is not a sequence number')
    }
    if (records.length === 0) return (await this.repository.acked(agentId)) ?? 0n
    const read = records.map((record, i) => readRecord(record, firstSeq + BigInt(i)))
    const facts = await this.#facts(read.flatMap((record) => (record.ok && record.session !== undefined ? [record.session] : [])))
    const now = timestamp()
    const pseudonyms = await this.pseudonyms.of({ persons: personsOf(facts), perhaps: [] })
    const events = read.map((record, i) => prepareRecord(agentId, firstSeq + BigInt(i), record, facts, now, pseudonyms))
    const parts = await this.#sealed(agentId, firstSeq, events)
    const result = await this.writer.submit({ events, spool: { node: agentId, firstSeq }, parts })
    for (const ended of result.ended) await this.#sessionEnded(ended)
    const last = firstSeq + BigInt(records.length) - 1n
    const repeated = result.acked < last ? result.acked : last
    if (result.stored < records.length && result.acked >= firstSeq) await this.#keepForked(agentId, firstSeq, repeated, events, now)
    // More than the agent has itself tells it that its spool was lost or restored from an older copy: it runs nothing then.
    return result.acked
  }

  /** What the records' sessions showed, kept before anything is acknowledged; not what is durable already, nor what lies behind a gap. */
  async #sealed(agentId: string, firstSeq: bigint, events: readonly PreparedRecord[]): Promise<SealedPart[]> {
    const pieces = events.flatMap(({ piece }) => (piece === undefined ? [] : [piece]))
    if (pieces.length === 0) return []
    const durable = await this.repository.acked(agentId)
    try {
      return durable === undefined || firstSeq > durable + 1n ? [] : await this.parts.seal(pieces.filter(({ seq }) => seq > durable))
    } catch (error) {
      throw new AuditUnavailableError('recordings could not be stored', { cause: error })
    }
  }

  /**
   * Of records that were durable before, those that differ from what was stored: the spool is a copy, or was restored
   * from a backup, and counts on from an older place. They are kept as alerts, because they tell what was run.
   */
  async #keepForked(agentId: string, firstSeq: bigint, lastSeq: bigint, events: readonly PreparedEvent[], now: string): Promise<void> {
    const stored = await this.repository.bodies(`agent:${agentId}`, firstSeq, lastSeq)
    const forked = events.flatMap((event, i) => {
      const before = stored.get(firstSeq + BigInt(i))
      return before !== undefined && eventPart(before) !== eventPart(event.body) ? [prepareForked(agentId, firstSeq + BigInt(i), eventPart(event.body), now)] : []
    })
    if (forked.length > 0) await this.writer.submit({ events: forked })
  }

  /** A reason that an agent is to write into a session's record: with pseudonyms for whoever the session is of. */
  async recordedReason(session: IdentityFacts, reason: string): Promise<string> {
    const person = personOf(session)
    return this.pseudonyms.inText(reason, person ? [person] : [])
  }

  /** Called when a session is over, by its agent's word, a kill or a loss. */
  onSessionEnded(listener: SessionEndListener): void {
    this.#endListeners.add(listener)
  }

  async #sessionEnded(ended: SessionEnded): Promise<void> {
    this.#sessions.delete(ended.session)
    try {
      await this.modules.get(SessionsService, { strict: false }).markEnded(ended.session, ended.reason, ended.commands)
    } catch (error) {
      // The row was closed in the ingest transaction; this is about what sessions keeps in memory.
      this.#log.warn({ message: 'session end was not taken over', session_id: ended.session, error: error instanceof Error ? error.name : '' })
    }
    await this.#tellEnded(ended.session, ended.reason)
  }

  async #tellEnded(session: string, reason: string): Promise<void> {
    for (const listener of this.#endListeners) {
      try {
        await listener(session, reason)
      } catch (error) {
        this.#log.warn({ message: 'a listener for session ends failed', session_id: session, error: error instanceof Error ? error.name : '' })
      }
    }
  }

  async #prepared(event: ControlPlaneEventBody, now: string, tx?: Transaction): Promise<PreparedEvent> {
    const facts = await this.#factsOf(event, tx)
    const { persons, perhaps } = personsOfEvent(event)
    const own = facts && personOf(facts)
    return prepareControlEvent(event, facts, now, await this.pseudonyms.of({ persons: own ? [...persons, own] : persons, perhaps }))
  }

  async #factsOf(event: ControlPlaneEventBody, tx?: Transaction): Promise<SessionFacts | undefined> {
    if (!('session' in event) || event.session === undefined || !isSessionId(event.session)) return undefined
    // session.opened is written before the session's row may be visible, and says everything itself.
    if (event.kind === 'session.opened') return undefined
    return (await this.#facts([event.session], tx)).get(event.session)
  }

  /** Sessions by id from a bounded cache. A session's identity, agent and target never change, so nothing goes stale. */
  async #facts(ids: readonly string[], tx?: Transaction): Promise<ReadonlyMap<string, SessionFacts>> {
    const found = new Map<string, SessionFacts>()
    const missing = new Set<string>()
    for (const id of ids) {
      const cached = this.#sessions.get(id)
      if (cached) found.set(id, cached)
      else missing.add(id)
    }
    if (missing.size > 0) {
      for (const [id, facts] of await this.repository.sessionFacts([...missing], tx)) {
        found.set(id, facts)
        this.#sessions.set(id, facts)
      }
      for (const id of this.#sessions.keys()) {
        if (this.#sessions.size <= sessionCacheSize) break
        this.#sessions.delete(id)
      }
    }
    return found
  }
}

function personsOf(sessions: ReadonlyMap<string, SessionFacts>): PersonNamed[] {
  return [...sessions.values()].flatMap((facts) => personOf(facts) ?? [])
}

export { AuditUnavailableError }
