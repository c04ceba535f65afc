import { genesisOf, headOf, sealed, type ChainLink, type SessionHead } from '@sallyport/audit-log'
import type { SessionSignedEvent } from '../event.js'
import type { RecoveredHead } from './recovery.js'

/** By which the agent vouches for what it recorded. */
export interface ChainSigner {
  /** base64url SHA-256 of the public key (SPKI). */
  readonly key: string
  sign(text: Uint8Array): Uint8Array
}

/** Records of one session between two signatures. */
const signEvery = 256
/** Heads in one signature. */
const maxHeads = 500
/** Sessions that ended, whose late records still find their place. */
const maxEnded = 10_000

/** The chains of the sessions that are open, and what of them is not signed yet. */
export class SessionChains {
  readonly #heads = new Map<string, { records: number; head: string }>()
  readonly #moved = new Set<string>()
  /** Ended, the latest of them: what was under way at the end is closed a little later, and goes on in the chain. */
  readonly #ended = new Map<string, { records: number; head: string }>()
  #closed: SessionHead[]

  /** @param recovered what the spool still held at the start */
  constructor(
    private readonly signer: ChainSigner | undefined,
    recovered: readonly RecoveredHead[],
  ) {
    for (const { session, records, head, closed, signed } of recovered) {
      if (closed) this.#end(session, { records, head })
      else this.#heads.set(session, { records, head })
      if (!closed && !signed) this.#moved.add(session)
    }
    this.#closed = recovered.flatMap(({ signed, ...head }) => (head.closed && !signed ? [head] : []))
  }

  /** Where the next record of the session stands. */
  next(session: string): ChainLink {
    const last = this.#heads.get(session) ?? this.#ended.get(session)
    return last === undefined ? { n: 1, prev: genesisOf(session) } : { n: last.records + 1, prev: last.head }
  }

  /** The record that {@link next} was asked for is written. True when what moved should be signed now. */
  written(session: string, { n }: ChainLink, record: Uint8Array, isEnd: boolean): boolean {
    const head = headOf(record)
    if (isEnd || this.#ended.has(session)) {
      this.#heads.delete(session)
      this.#moved.delete(session)
      this.#end(session, { records: n, head })
      this.#closed = [...this.#closed.filter((one) => one.session !== session), { session, records: n, head, closed: true }]
      return true
    }
    this.#heads.set(session, { records: n, head })
    this.#moved.add(session)
    return n % signEvery === 0
  }

  get unsigned(): boolean {
    return this.signer !== undefined && (this.#closed.length > 0 || this.#moved.size > 0)
  }

  /** The signature is written. */
  signed({ heads }: SessionSignedEvent): void {
    const closed = new Set(heads.flatMap((head) => (head.closed ? [head.session] : [])))
    this.#closed = this.#closed.filter(({ session }) => !closed.has(session))
    for (const { session } of heads) this.#moved.delete(session)
  }

  /** Ends first; of open sessions those that moved. Undefined when nothing waits, or nobody signs. */
  sign(): SessionSignedEvent | undefined {
    if (this.signer === undefined || !this.unsigned) return undefined
    const heads = this.#closed.slice(0, maxHeads)
    for (const session of this.#moved) {
      if (heads.length >= maxHeads) break
      const head = this.#heads.get(session)
      if (head !== undefined) heads.push({ session, ...head, closed: false })
    }
    return { kind: 'session.signed', heads, key: this.signer.key }
  }

  /** The record of a signature, with it: over everything else that the record says, its number and time among it. */
  seal(record: string): string {
    if (this.signer === undefined) throw new Error('nobody signs')
    return sealed(record, this.signer.sign)
  }

  #end(session: string, head: { records: number; head: string }): void {
    this.#ended.set(session, head)
    for (const [oldest] of this.#ended) {
      if (this.#ended.size <= maxEnded) break
      this.#ended.delete(oldest)
    }
  }
}
