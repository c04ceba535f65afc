import { createHash, type Hash, type JsonWebKey } from 'node:crypto'
import type { BadRecord } from './session-verifier.js'
import { parsed, readStatement } from './statement.js'

/** What stays of a deleted record. */
export interface Tombstone {
  readonly position: bigint
  /** Of the record, in the log's chain. */
  readonly hash: Uint8Array
  readonly source: string
  readonly seq: bigint | null
  readonly kind: string
  readonly session: string | null
  /** Its number in its session's chain, and what the next record names; null where it had no place in one. */
  readonly link: number | null
  readonly head: string | null
  readonly run: string
}

/** `typ` of the control plane's statement about what it deleted. */
export const deletionType = 'audit-deletion+jwt'

/** What the control plane signs into the log with each deletion. */
export interface DeletionStatement {
  readonly run: string
  readonly count: number
  /** {@link DeletionDigest} over the tombstones, in order of position. */
  readonly digest: string
  /** NumericDate. */
  readonly iat: number
}

/** Hex SHA-256 over one line for each tombstone. */
export class DeletionDigest {
  readonly #hash: Hash = createHash('sha256')
  #count = 0

  get count(): number {
    return this.#count
  }

  add({ position, hash, source, seq, kind, session, link, head }: Tombstone): void {
    this.#hash.update(`${position} ${Buffer.from(hash).toString('hex')} ${source} ${seq ?? '-'} ${kind} ${session ?? '-'} ${link ?? '-'} ${head ?? '-'}\n`)
    this.#count += 1
  }

  hex(): string {
    return this.#hash.digest('hex')
  }
}

/** Checks that everything that is gone was deleted by the control plane, and nothing beside it. */
export class Deletions {
  readonly #runs = new Map<string, { readonly digest: DeletionDigest; readonly first: bigint }>()
  readonly #signed = new Map<string, DeletionStatement>()

  /** @param control the control plane's public keys (Ed25519, JWK) */
  constructor(private readonly control: readonly JsonWebKey[]) {}

  /** A tombstone, in order of position. */
  add(tombstone: Tombstone): void {
    const run = this.#runs.get(tombstone.run) ?? { digest: new DeletionDigest(), first: tombstone.position }
    this.#runs.set(tombstone.run, run)
    run.digest.add(tombstone)
  }

  /** An `audit.deleted` event of the control plane. Returns what is wrong with it. */
  learn(text: string): string | undefined {
    const jws = parsed(text)?.['statement']
    const { run, count, digest, iat } = (typeof jws === 'string' ? readStatement(jws, deletionType, this.control) : undefined) ?? {}
    if (typeof run !== 'string' || typeof count !== 'number' || typeof digest !== 'string' || typeof iat !== 'number') return 'changed: a deletion that the control plane did not sign'
    this.#signed.set(run, { run, count, digest, iat })
    return undefined
  }

  /** At the end of the log. */
  finish(): { readonly deleted: number; readonly bad: readonly BadRecord[] } {
    let deleted = 0
    const bad: BadRecord[] = []
    for (const [run, { digest, first }] of this.#runs) {
      deleted += digest.count
      const signed = this.#signed.get(run)
      if (signed === undefined) bad.push({ position: String(first), problem: 'missing: the record is not there, and the control plane signed no deletion of it' })
      else if (signed.count !== digest.count || signed.digest !== digest.hex()) bad.push({ position: String(first), problem: `missing: from here on records are not there, and the control plane signed the deletion of ${signed.count} others` })
    }
    return { deleted, bad }
  }
}
