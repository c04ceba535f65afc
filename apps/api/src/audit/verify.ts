import { chainHash, Frontier, genesis, leafHash, type BadRecord, type Subtree, type Tombstone } from '@sallyport/audit-log'
import type { EventRow } from './audit.repository.js'
import { deriveColumns, type EventColumns } from './body.js'

/** Checks rows in order, and grows the hash tree over them. Pure: rows in, problems out. */
export class ChainVerifier {
  #previousHash: Uint8Array = genesis
  #position = 0n
  readonly #edge = Frontier.empty()
  #subtrees: Subtree[] = []
  #missing = false
  #checked = 0

  get checked(): number {
    return this.#checked
  }
  get position(): bigint {
    return this.#position
  }
  get hash(): Uint8Array {
    return this.#previousHash
  }

  /** Root of the tree up to here; of no tree when records are missing. */
  root(): Buffer {
    return this.#missing ? Buffer.alloc(0) : this.#edge.root()
  }

  /** Whole subtrees that came about since the last call, of levels that are multiples of this one. */
  takeSubtrees(levels: number): Subtree[] {
    const taken = this.#subtrees.filter(({ level }) => level % levels === 0)
    this.#subtrees = []
    return taken
  }

  /** Returns what is wrong with the row, or undefined when it continues the chain. What comes behind is checked against it as it stands. */
  check(row: EventRow): BadRecord | undefined {
    const bad = this.#problem(row)
    this.#position = row.position
    this.#previousHash = row.hash
    this.#checked++
    if (!this.#missing) this.#edge.append(leafHash(row.hash), (subtree) => this.#subtrees.push(subtree))
    return bad
  }

  /** As {@link check}, of a record that was deleted: its hash stands for it, and the next record names that. */
  skip({ position, hash }: Pick<Tombstone, 'position' | 'hash'>): BadRecord | undefined {
    const bad = this.#place(position)
    this.#position = position
    this.#previousHash = hash
    if (!this.#missing) this.#edge.append(leafHash(hash), (subtree) => this.#subtrees.push(subtree))
    return bad
  }

  #place(position: bigint): BadRecord | undefined {
    const expected = this.#position + 1n
    if (position === expected) return undefined
    this.#missing = true
    if (position < expected) return { position: String(position), problem: 'forked: two records stand at this position' }
    const last = position - 1n
    return { position: String(expected), problem: expected === last ? 'missing: the record is not there' : `missing: the records ${expected} to ${last} are not there` }
  }

  #problem(row: EventRow): BadRecord | undefined {
    const misplaced = this.#place(row.position)
    if (misplaced !== undefined) return misplaced
    const linked = same(row.prevHash, this.#previousHash)
    const sealed = same(chainHash(row.prevHash, row.position, row.body), row.hash)
    if (!sealed || !linked) return { position: String(row.position), problem: describe(row, sealed) }
    const column = differentColumn(row)
    return column === undefined ? undefined : { position: String(row.position), problem: `changed: the column ${column} does not agree with the record's body` }
  }
}

const window = 2000n

function describe(row: EventRow, sealed: boolean): string {
  // A record that was moved is still sealed for the place that it came from.
  for (let p = row.position > window ? row.position - window : 1n; !sealed && p <= row.position + window; p++) {
    if (p !== row.position && same(chainHash(row.prevHash, p, row.body), row.hash)) return `reordered: the record belongs at position ${p}`
  }
  if (sealed) return 'forked: the record is whole, but does not continue the one before it; that one was replaced, or this one was inserted'
  return 'changed: the hash does not agree with the record'
}

function differentColumn(row: EventRow): keyof EventColumns | undefined {
  let expected: EventColumns
  try {
    expected = deriveColumns(row.body)
  } catch {
    return 'kind'
  }
  const names: readonly (keyof EventColumns)[] = [
    'id', 'time', 'receivedAt', 'source', 'sourceSeq', 'kind', 'sessionId', 'command', 'identity', 'target', 'actions', 'objects', 'decision', 'rule', 'words',
  ]
  return names.find((name) => {
    const a = expected[name]
    const b = row[name]
    if (Array.isArray(a) && Array.isArray(b)) return a.length !== b.length || a.some((value, i) => value !== b[i])
    return a !== b
  })
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
