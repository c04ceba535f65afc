import { Injectable } from '@nestjs/common'
import { AgentKeys, Deletions, eventPart, readNote, SessionVerifier, type BadRecord, type SessionCounts, type Tombstone } from '@sallyport/audit-log'
import { KeysService } from '../keys/keys.service.js'
import { RecordingPartsService } from '../recordings/recording-parts.service.js'
import { AuditRepository, type EventRow } from './audit.repository.js'
import { CheckpointsService, type SignedCheckpoint } from './checkpoints.service.js'
import { keptLevels, TreeError, TreeRepository } from './tree.repository.js'
import { ChainVerifier } from './verify.js'

export interface Verification {
  readonly ok: boolean
  readonly checked: number
  /** Records that retention deleted; tombstones stand for them. */
  readonly deleted: number
  /** Sessions by how their agent vouches for them. */
  readonly sessions: SessionCounts
  /** End of what was checked. Keep it: a later run must contain it. */
  readonly head: { readonly position: string; readonly hash: string }
  /** Checkpoints whose signature and root fit. */
  readonly checkpoints: number
  readonly first_bad?: BadRecord
  /** Everything that was found, the first at first; no more than a hundred. */
  readonly problems: readonly BadRecord[]
}

type ControlKeys = Parameters<typeof readNote>[1]

interface Place {
  readonly position: bigint
  readonly receivedAt: string
}

const start: Place = { position: 0n, receivedAt: '1970-01-01T00:00:00Z' }
const pageSize = 2000
const maxProblems = 100

/** Checks everything that is stored, from the first record on. */
@Injectable()
export class VerifyService {
  #running: Promise<Verification> | undefined

  constructor(
    private readonly repository: AuditRepository,
    private readonly tree: TreeRepository,
    private readonly checkpoints: CheckpointsService,
    private readonly keys: KeysService,
    private readonly parts: RecordingPartsService,
  ) {}

  /** Reads the whole log in order. Bounded memory; takes about as long as reading the table. Callers at the same time share one run. */
  verify(): Promise<Verification> {
    this.#running ??= this.#verify().finally(() => (this.#running = undefined))
    return this.#running
  }

  async #verify(): Promise<Verification> {
    // What this process has signed: whoever can delete records can delete the stored checkpoints of them, but not this.
    const signed = await this.checkpoints.latest()
    const ends = await this.repository.ends()
    const keys = await this.keys.publicKeys()
    const reader = this.parts.reader()
    const run = new Run(new SessionVerifier(new AgentKeys(keys)), new Deletions(keys), notesOf([...(await this.repository.checkpoints()), ...(signed === undefined ? [] : [{ position: signed.size, note: signed.note }])]))
    for (let after: Place = start; ; ) {
      const rows = await this.repository.page(after, pageSize)
      const end = rows.length < pageSize ? undefined : rows.at(-1)
      for await (const row of this.#withTombstones(rows, run.chain.position, end?.position)) {
        if (!('body' in row)) {
          run.skip(row, keys)
          continue
        }
        const bad = run.check(row, keys)
        if (bad !== undefined) run.found(await this.#explain(bad, row))
        const piece = row.kind === 'recording' || row.kind === 'command.end' ? await reader.check(row.body) : undefined
        if (piece !== undefined) run.found({ position: String(row.position), problem: piece })
        if (row.position === ends.head?.position && Buffer.compare(row.hash, ends.head.hash) !== 0) run.found({ position: String(row.position), problem: 'changed: the last record is not the one that the head names' })
        if (run.full) return run.report()
      }
      await this.#compareTree(run)
      if (end === undefined) break
      after = end
    }
    if (ends.head === undefined && run.chain.checked > 0) run.found({ position: String(run.chain.position), problem: 'truncated: the row that names the end of the chain is not there' })
    const cut = truncation(run.chain.position, ends, signed)
    if (cut !== undefined) run.found(cut)
    return run.report()
  }

  /** Rows and, between them, what stays of deleted ones, in order; the latter up to a position, or to their end. */
  async *#withTombstones(rows: readonly EventRow[], after: bigint, end: bigint | undefined): AsyncGenerator<EventRow | Tombstone> {
    let at = 0
    let tombstones: Tombstone[] = []
    let more = true
    for (let last = after; ; ) {
      if (tombstones.length === 0 && more) {
        tombstones = await this.repository.tombstones(last, pageSize)
        more = tombstones.length === pageSize
      }
      const next = tombstones[0]
      const row = rows[at]
      if (next !== undefined && (end === undefined || next.position < end) && (row === undefined || next.position < row.position)) {
        tombstones.shift()
        last = next.position
        yield next
      } else if (row === undefined) return
      else {
        at += 1
        yield row
      }
    }
  }

  /** Stored parts of the tree against those that the records make: proofs are made of them. */
  async #compareTree(run: Run): Promise<void> {
    for (const { level, index, hash } of run.takeSubtrees()) {
      const stored = await this.tree.subtrees(level, index, 1).catch((error: unknown) => {
        if (error instanceof TreeError) return []
        throw error
      })
      if (stored[0]?.equals(hash) !== true) run.found({ position: String(((index + 1n) << BigInt(level)) - 1n), problem: 'changed: the stored hash tree does not agree with the records up to this one' })
    }
  }

  /** A forked record may be one that was moved from far away. */
  async #explain(bad: BadRecord, row: { prevHash: Uint8Array }): Promise<BadRecord> {
    if (!bad.problem.startsWith('forked: the record is whole')) return bad
    const predecessor = await this.repository.positionOfHash(row.prevHash)
    if (predecessor === undefined) return bad
    return { ...bad, problem: `${bad.problem}; the record it does continue stands at ${predecessor}` }
  }
}

/** One run over the log. */
class Run {
  readonly chain = new ChainVerifier()
  readonly #problems: BadRecord[] = []
  #agreed = 0
  #disagrees = false

  constructor(
    private readonly sessions: SessionVerifier,
    private readonly deletions: Deletions,
    private readonly notes: Map<bigint, Set<string>>,
  ) {}

  /** Enough was found. */
  get full(): boolean {
    return this.#problems.length >= maxProblems
  }

  found(bad: BadRecord): void {
    if (!this.full) this.#problems.push(bad)
  }

  check(row: EventRow, keys: ControlKeys): BadRecord | undefined {
    const broken = this.chain.check(row)
    const session = this.sessions.check({ position: row.position, source: row.source, kind: row.kind, session: row.sessionId, seq: row.sourceSeq, text: eventPart(row.body) })
    if (broken === undefined && session !== undefined) this.found(session)
    if (row.kind === 'audit.deleted' && row.source === 'control-plane') {
      const problem = this.deletions.learn(eventPart(row.body))
      if (problem !== undefined) this.found({ position: String(row.position), problem })
    }
    this.#compare(row.position, keys)
    return broken
  }

  /** A record that was deleted. */
  skip(tombstone: Tombstone, keys: ControlKeys): void {
    this.deletions.add(tombstone)
    const bad = this.chain.skip(tombstone) ?? this.sessions.skip(tombstone)
    if (bad !== undefined) this.found(bad)
    this.#compare(tombstone.position, keys)
  }

  #compare(position: bigint, keys: ControlKeys): void {
    for (const note of this.notes.get(position) ?? []) {
      const checkpoint = readNote(note, keys)
      if (checkpoint?.size === position && checkpoint.root.equals(this.chain.root())) this.#agreed += 1
      // Said once: every later one disagrees as well.
      else if (!this.#disagrees) {
        this.#disagrees = true
        this.found({ position: String(position), problem: checkpoint === undefined ? 'changed: the checkpoint of this position is not signed by the control plane' : 'changed: the control plane has signed another log up to this position; it was rewritten' })
      }
    }
  }

  takeSubtrees(): ReturnType<ChainVerifier['takeSubtrees']> {
    return this.chain.takeSubtrees(keptLevels)
  }

  report(): Verification {
    const { counts, bad } = this.sessions.finish(Date.now())
    const { deleted, bad: undue } = this.deletions.finish()
    for (const problem of [...undue, ...(bad === undefined ? [] : [bad])]) this.found(problem)
    const [first] = this.#problems
    return {
      ok: first === undefined,
      checked: this.chain.checked,
      deleted,
      sessions: counts,
      head: { position: String(this.chain.position), hash: Buffer.from(this.chain.hash).toString('hex') },
      checkpoints: this.#agreed,
      ...(first === undefined ? {} : { first_bad: first }),
      problems: this.#problems,
    }
  }
}

function notesOf(checkpoints: readonly { position: bigint; note: string }[]): Map<bigint, Set<string>> {
  const notes = new Map<bigint, Set<string>>()
  for (const { position, note } of checkpoints) notes.set(position, (notes.get(position) ?? new Set()).add(note))
  return notes
}

/** Records cut off at the end leave a chain that verifies: the head row, the checkpoints and the agents' counters remember them. */
export function truncation(
  last: bigint,
  ends: { head: { position: bigint } | undefined; sources: readonly { source: string; seq: bigint }[]; nodes: readonly { id: string; acked: bigint }[] },
  signed: Pick<SignedCheckpoint, 'size'> | undefined,
): BadRecord | undefined {
  const position = String(last + 1n)
  const head = ends.head?.position ?? 0n
  const promised = signed !== undefined && signed.size > head ? signed.size : head
  if (promised > last) return { position, problem: `truncated: the chain once reached position ${promised}` }
  const stored = new Map(ends.sources.map((s) => [s.source, s.seq]))
  for (const node of ends.nodes) {
    const seq = stored.get(`agent:${node.id}`) ?? 0n
    if (node.acked > seq) return { position, problem: `truncated: record ${node.acked} of agent ${node.id} was acknowledged and is not there` }
  }
  return undefined
}
