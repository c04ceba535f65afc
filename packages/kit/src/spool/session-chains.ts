import { genesisOf, headOf, headsText, type ChainLink, type SessionHead } from '@sallyport/audit-log'
import type { SessionSignedEvent } from '../event.js'

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

/** The chains of the sessions that are open, and what of them is not signed yet. */
export class SessionChains {
  readonly #heads = new Map<string, { records: number; head: string }>()
  readonly #moved = new Set<string>()
  #closed: SessionHead[]

  /** @param recovered what a crash left: heads of open sessions, and ends that are not signed */
  constructor(
    private readonly signer: ChainSigner | undefined,
    recovered: readonly SessionHead[],
  ) {
    for (const { session, records, head, closed } of recovered) if (!closed) this.#heads.set(session, { records, head })
    this.#closed = recovered.filter(({ closed }) => closed)
    for (const session of this.#heads.keys()) this.#moved.add(session)
  }

  /** Where the next record of the session stands. */
  next(session: string): ChainLink {
    const last = this.#heads.get(session)
    return last === undefined ? { n: 1, prev: genesisOf(session) } : { n: last.records + 1, prev: last.head }
  }

  /** The record that {@link next} was asked for is written. True when what moved should be signed now. */
  written(session: string, { n }: ChainLink, record: Uint8Array, isEnd: boolean): boolean {
    const head = headOf(record)
    if (isEnd) {
      this.#heads.delete(session)
      this.#moved.delete(session)
      this.#closed.push({ session, records: n, head, closed: true })
    } else {
      this.#heads.set(session, { records: n, head })
      this.#moved.add(session)
    }
    return isEnd || n % signEvery === 0
  }

  get unsigned(): boolean {
    return this.signer !== undefined && (this.#closed.length > 0 || this.#moved.size > 0)
  }

  /** Ends first; of open sessions those that moved. Undefined when nothing waits, or nobody signs. */
  sign(): SessionSignedEvent | undefined {
    if (this.signer === undefined || !this.unsigned) return undefined
    const heads = this.#closed.splice(0, maxHeads)
    for (const session of this.#moved) {
      if (heads.length >= maxHeads) break
      const head = this.#heads.get(session)
      if (head !== undefined) heads.push({ session, ...head, closed: false })
      this.#moved.delete(session)
    }
    return { kind: 'session.signed', heads, key: this.signer.key, signature: Buffer.from(this.signer.sign(Buffer.from(headsText(heads)))).toString('base64url') }
  }
}
