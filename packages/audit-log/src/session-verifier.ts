import { verify } from 'node:crypto'
import { keyEvents, type AgentKeys } from './agent-keys.js'
import type { Tombstone } from './deletions.js'
import { chainOf, genesisOf, headOf, sealOf, type SessionHead } from './session-chain.js'
import { parsed } from './statement.js'

export interface BadRecord {
  readonly position: string
  /** What is wrong, starting with `changed`, `missing`, `reordered`, `truncated`, `forked` or `never closed`. */
  readonly problem: string
  /** The one session that it is about; the others are as whole as before. */
  readonly session?: string
  /** The one agent (`agent:<node id>`) whose records or signature it is about. */
  readonly source?: string
}

/** A stored record, as far as the session chains need it. */
export interface StoredRecord {
  readonly position: bigint
  /** `agent:<node id>` or `control-plane`. */
  readonly source: string
  readonly kind: string
  readonly session: string | null
  /** The source's own number of the record, without gaps from 1; null for what has none. */
  readonly seq: bigint | null
  /** What the source wrote, byte for byte. */
  readonly text: string
}

export interface SessionCounts {
  /** Whole, and their end is signed by their agent. */
  readonly signed: number
  /** Closed by the control plane: the agent's end is missing, because the agent was lost. */
  readonly lost: number
  /** Still open, or their agent has yet to send the end. */
  readonly open: number
  /** Something is wrong with them. */
  readonly broken: number
  /** Gap records: commands of best_effort sessions that went on, or may have, without being recorded. */
  readonly gaps: number
}

/** As the chain's own; of a deleted record it isn't known which one it named. */
interface Link {
  readonly n: number
  readonly prev: string | undefined
}

interface State {
  /** Empty until its agent's first record. */
  source: string
  records: number
  head: string
  position: bigint
  ended: boolean
  lost: boolean
  /** Milliseconds after which nothing of it can be outstanding; undefined when nothing says. */
  until: number | undefined
}

/** What an agent's key signs for its audit record is signed for nothing else. */
const signedFor = Buffer.from('sallyport-audit-v1\0')
/** Signed heads in one record. */
const maxHeads = 10_000
/** Sessions that ended whose state is kept. */
const maxLate = 50_000
/** Kinds of record that may stand behind their session's end. */
const closing: ReadonlySet<string> = new Set(['command.end', 'command.released', 'recording', 'gap'])

/**
 * Checks the chains that agents sign, over stored records in their order. What the control plane's own chain can't tell
 * (somebody who can write its database, and chain anew) shows here: each record names the one before it in its session,
 * and the agent's signature names the last.
 */
export class SessionVerifier {
  readonly #sessions = new Map<string, State>()
  /** Sessions of which something is wrong: said once, and nothing more is expected of them. */
  readonly #broken = new Set<string>()
  /** Sessions whose signed end has been met, the latest of them with their state: what was under way is closed a little later. */
  readonly #closed = new Map<string, State | undefined>()
  readonly #late: string[] = []
  readonly #lastSeq = new Map<string, bigint>()
  #gaps = 0

  /** @param scope what is given: the whole log, from its first record; a part of it; or one session of it */
  constructor(
    private readonly keys: Pick<AgentKeys, 'learn' | 'find'>,
    private readonly scope: { readonly part?: true; readonly session?: string } = {},
  ) {}

  /**
   * Returns what this record shows to be wrong; it may be about an earlier one. Go on with the next: one agent's or one
   * session's trouble is not the others'.
   */
  check(record: StoredRecord): BadRecord | undefined {
    const { source, kind, session } = record
    const gap = this.#counts(record)
    if (gap !== undefined) return { ...gap, source }
    if (source.startsWith('agent:')) {
      if (kind === 'session.signed') return this.#signature(record)
      if (kind === 'gap') this.#gaps += 1
      return session === null || kind === 'alert' || this.#broken.has(session) ? undefined : this.#inSession(session, this.#link(record, session, chainOf(record.text), undefined))
    }
    if (keyEvents.has(kind)) {
      const problem = this.keys.learn(record.text)
      return problem === undefined ? undefined : { position: String(record.position), problem }
    }
    if (session === null) return undefined
    if (kind === 'session.opened') this.#opened(record, session)
    else if (kind === 'session.lost') this.#lost(record, session)
    return undefined
  }

  /** As {@link check}, of a record that was deleted. */
  skip({ position, source, seq, kind, session, link, head }: Tombstone): BadRecord | undefined {
    const gap = this.#counts({ position, source, seq })
    if (gap !== undefined) return { ...gap, source }
    if (kind === 'gap') this.#gaps += 1
    if (session === null || this.#broken.has(session)) return undefined
    const record = { position, source, kind, session, seq, text: '' }
    if (kind === 'session.opened') this.#opened(record, session)
    else if (kind === 'session.lost') this.#lost(record, session)
    else if (source.startsWith('agent:') && link !== null && head !== null) return this.#inSession(session, this.#link(record, session, { n: link, prev: undefined }, head))
    return undefined
  }

  #inSession(session: string, bad: Omit<BadRecord, 'session'> | undefined): BadRecord | undefined {
    if (bad === undefined) return undefined
    this.#broken.add(session)
    this.#sessions.delete(session)
    return { ...bad, session }
  }

  /**
   * What is still open at the end of the log. A session whose grant ran out, and of which nobody has written an end, has
   * had its end taken away.
   * @param now milliseconds since the epoch
   */
  finish(now: number): { readonly counts: SessionCounts; readonly bad: BadRecord | undefined } {
    let open = 0
    let lost = 0
    let unclosed = 0
    let bad: BadRecord | undefined
    for (const [session, state] of this.#sessions) {
      if (state.lost) lost += 1
      else if (state.until !== undefined && state.until < now) {
        const missing = state.ended ? "its end is not signed by its agent" : 'neither its agent nor the control plane has written an end'
        bad ??= { position: String(state.position), problem: `never closed: session ${session} ends with this record; its grant has run out, and ${missing}`, session }
        unclosed += 1
      } else open += 1
    }
    return { counts: { signed: this.#closed.size, lost, open, broken: this.#broken.size + unclosed, gaps: this.#gaps }, bad }
  }

  /** Agents number their records without gaps: what was taken out of the log leaves a hole, however it was chained anew. */
  #counts({ position, source, seq }: Pick<StoredRecord, 'position' | 'source' | 'seq'>): BadRecord | undefined {
    if (seq === null) return undefined
    const last = this.#lastSeq.get(source) ?? (this.scope.part ? seq - 1n : 0n)
    if (seq > last) this.#lastSeq.set(source, seq)
    if (seq > last + 1n) return { position: String(position), problem: `missing: records ${last + 1n} to ${seq - 1n} of ${source} before this one` }
    if (seq <= last) return { position: String(position), problem: `reordered: record ${seq} of ${source} stands here twice, or after record ${last}` }
    return undefined
  }

  #opened({ source, position, text }: StoredRecord, session: string): void {
    if (this.#sessions.has(session) || this.#broken.has(session)) return
    this.#sessions.set(session, { source: '', records: 0, head: genesisOf(session), position, ended: false, lost: false, until: untilOf(text, source) })
  }

  #lost({ position }: StoredRecord, session: string): void {
    if (this.#closed.has(session) || this.#broken.has(session)) return
    const state = this.#sessions.get(session) ?? this.#begin('', session, position)
    state.lost = true
  }

  /** @param head of a record that was deleted, whose text is gone; which one it named, its own hash in the log tells */
  #link({ position, source, kind, text }: StoredRecord, session: string, link: Link | undefined, head: string | undefined): BadRecord | undefined {
    if (this.#closed.has(session) && !this.#reopen(session, kind)) return { position: String(position), problem: `forked: session ${session} goes on after the end that its agent signed` }
    if (link === undefined) return { position: String(position), problem: `changed: the record has no place in the chain of session ${session}` }
    const state = this.#sessions.get(session) ?? this.#begin(source, session, position, link)
    if (state.source !== '' && state.source !== source) return { position: String(position), problem: `forked: ${source} goes on with session ${session}, which ${state.source} began` }
    state.source = source
    if (state.ended && !closing.has(kind)) return { position: String(position), problem: `forked: session ${session} goes on after its end at position ${state.position}` }
    const bad = follows(link.n, link.prev, state, position, session)
    if (bad !== undefined) return bad
    state.records = link.n
    state.head = head ?? headOf(text)
    state.position = position
    if (kind === 'session.end') state.ended = true
    return undefined
  }

  #signature({ position, source, text }: StoredRecord): BadRecord | undefined {
    const at = String(position)
    const signed = readSignature(text)
    if (signed === undefined) return { position: at, problem: 'changed: the record of an agent\'s signature can not be read', source }
    const key = this.keys.find(source, signed.key)
    if (key === undefined) return { position: at, problem: `changed: signed by a key that is not the one with which ${source} enrolled`, source }
    const seal = sealOf(text)
    if (seal === undefined || !verify('sha256', Buffer.concat([signedFor, Buffer.from(seal.text)]), { key, dsaEncoding: 'ieee-p1363' }, seal.signature)) {
      return { position: at, problem: "changed: the agent's signature does not fit what it is said to sign", source }
    }
    let first: BadRecord | undefined
    for (const head of signed.heads) {
      if (this.#broken.has(head.session) || (this.scope.session !== undefined && head.session !== this.scope.session)) continue
      const bad = this.#inSession(head.session, this.#agrees(head, at, source))
      first ??= bad
    }
    return first
  }

  #agrees({ session, records, head, closed }: SessionHead, at: string, source: string): BadRecord | undefined {
    const state = this.#sessions.get(session)
    if (state === undefined && this.scope.part) return undefined
    if (state !== undefined && state.source !== '' && state.source !== source) return { position: at, problem: `forked: session ${session} is signed by ${source}, which did not record it` }
    if (state === undefined || state.records < records) {
      const last = state?.records ?? 0
      return { position: at, problem: `missing: records ${last + 1} to ${records} of session ${session}, which its agent signed at this position` }
    }
    if (state.records > records) return { position: String(state.position), problem: `forked: session ${session} has more records than its agent signed at position ${at}` }
    if (state.head !== head) return { position: String(state.position), problem: `changed: the record is not the one that its agent signed at position ${at}` }
    if (!closed) return undefined
    if (!state.ended) return { position: at, problem: `changed: the agent signed the end of session ${session}, which is not there` }
    this.#sessions.delete(session)
    this.#closed.set(session, state)
    this.#late.push(session)
    if (this.#late.length > maxLate) for (const oldest of this.#late.splice(0, maxLate / 2)) if (this.#closed.has(oldest)) this.#closed.set(oldest, undefined)
    return undefined
  }

  /** What closes something that was under way may come behind the end; it has to be signed anew. */
  #reopen(session: string, kind: string): boolean {
    const state = this.#closed.get(session)
    if (state === undefined || !closing.has(kind)) return false
    this.#closed.delete(session)
    this.#sessions.set(session, state)
    return true
  }

  /** @param link of the first record that is given, when the log is given from its middle on */
  #begin(source: string, session: string, position: bigint, link?: Link): State {
    const before = this.scope.part && link !== undefined ? { records: link.n - 1, head: link.prev ?? '' } : { records: 0, head: genesisOf(session) }
    const state: State = { source, ...before, position, ended: false, lost: false, until: undefined }
    this.#sessions.set(session, state)
    return state
  }
}

function follows(n: number, prev: string | undefined, state: State, position: bigint, session: string): BadRecord | undefined {
  if (n > state.records + 1) return { position: String(position), problem: `missing: records ${state.records + 1} to ${n - 1} of session ${session} before this one` }
  if (n <= state.records) return { position: String(position), problem: `reordered: record ${n} of session ${session} stands here twice, or after record ${state.records}` }
  if (prev === undefined || prev === state.head) return undefined
  if (state.records === 0) return { position: String(position), problem: `changed: the first record of session ${session} does not begin its chain` }
  return { position: String(state.position), problem: `changed: the record is not the one that its agent wrote; its next one, at position ${position}, names another` }
}

function untilOf(text: string, source: string): number | undefined {
  if (source !== 'control-plane') return undefined
  const expires = parsed(text)?.['expires_at']
  const until = typeof expires === 'string' ? Date.parse(expires) : Number.NaN
  // The agent may still be sending what its spool holds.
  return Number.isNaN(until) ? undefined : until + graceMilliseconds
}

const graceMilliseconds = 10 * 60_000

function readSignature(text: string): { readonly key: string; readonly heads: readonly SessionHead[] } | undefined {
  const { key, heads } = parsed(text) ?? {}
  if (typeof key !== 'string' || !Array.isArray(heads) || heads.length > maxHeads) return undefined
  const read = heads.filter(isHead)
  return read.length === heads.length ? { key, heads: read } : undefined
}

function isHead(value: unknown): value is SessionHead {
  return (
    typeof value === 'object' && value !== null && 'session' in value && typeof value.session === 'string' && /^[0-9a-f-]{36}$/.test(value.session) && 'records' in value && Number.isSafeInteger(value.records) &&
    'head' in value && typeof value.head === 'string' && /^[\w-]{43}$/.test(value.head) && 'closed' in value && typeof value.closed === 'boolean'
  )
}
