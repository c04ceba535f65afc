import type { BadRecord } from '@sallyport/audit-log'
import type { EventRow } from './audit.repository.js'
import { chainHash, deriveColumns, genesis, type EventColumns } from './body.js'

/** Checks rows in order. Pure: rows in, the first problem out. */
export class ChainVerifier {
  #previousPosition = 0n
  #previousHash: Uint8Array = genesis
  #checked = 0

  get checked(): number {
    return this.#checked
  }
  get head(): { position: bigint; hash: Uint8Array } {
    return { position: this.#previousPosition, hash: this.#previousHash }
  }

  /** Returns the first problem, or undefined when the row continues the chain. */
  check(row: EventRow): BadRecord | undefined {
    const expected = this.#previousPosition + 1n
    if (row.position !== expected) {
      const last = row.position - 1n
      return { position: String(expected), problem: expected === last ? 'missing: the record is not there' : `missing: the records ${expected} to ${last} are not there` }
    }
    const linked = same(row.prevHash, this.#previousHash)
    const sealed = same(chainHash(row.prevHash, row.position, row.body), row.hash)
    if (!sealed || !linked) return { position: String(row.position), problem: describe(row, sealed) }
    const column = differentColumn(row)
    if (column) return { position: String(row.position), problem: `changed: the column ${column} does not agree with the record's body` }
    this.#previousPosition = row.position
    this.#previousHash = row.hash
    this.#checked++
    return undefined
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
    'id', 'time', 'receivedAt', 'source', 'sourceSeq', 'kind', 'sessionId', 'command', 'identity', 'target', 'actions', 'objects', 'decision', 'rule',
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
