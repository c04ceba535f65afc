import { createHash } from 'node:crypto'

/** Hash tree of RFC 9162, section 2.1: SHA-256, with a byte in front that tells leaves from nodes. */
export const hashBytes = 32

/** RFC 9162, 2.1.1: what stands for an entry in the tree. */
export function leafHash(entry: Uint8Array): Buffer {
  return createHash('sha256').update(leafPrefix).update(entry).digest()
}

export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  return createHash('sha256').update(nodePrefix).update(left).update(right).digest()
}

/** Root of a tree without entries. */
export const emptyRoot = createHash('sha256').digest()

const leafPrefix = Buffer.from([0])
const nodePrefix = Buffer.from([1])

/** A subtree over the leaves `index · 2^level` to `(index + 1) · 2^level`. */
export interface Subtree {
  readonly level: number
  readonly index: bigint
  readonly hash: Buffer
}

/**
 * The right edge of a growing tree: the roots of its whole subtrees, from the largest (left) to the smallest. All that an
 * append needs; at most one hash for each bit of the size.
 */
export class Frontier {
  readonly #hashes: Buffer[]

  private constructor(
    public size: bigint,
    hashes: Buffer[],
  ) {
    this.#hashes = hashes
  }

  static empty(): Frontier {
    return new Frontier(0n, [])
  }

  /**
   * @param hashes as {@link bytes} gave them
   * @throws when they are not as many as a tree of this size has
   */
  static read(size: bigint, hashes: Uint8Array): Frontier {
    const count = bitsOf(size)
    if (hashes.length !== count * hashBytes) throw new Error(`the edge of a tree of ${size} records has ${count} hashes, not ${hashes.length / hashBytes}`)
    return new Frontier(size, Array.from({ length: count }, (_, at) => Buffer.from(hashes.subarray(at * hashBytes, (at + 1) * hashBytes))))
  }

  /**
   * Adds a leaf.
   * @param completed is told each subtree that the leaf completes, itself (level 0) excluded, from the smallest up
   */
  append(leaf: Buffer, completed?: (subtree: Subtree) => void): void {
    let hash = leaf
    let index = this.size
    for (let level = 1; index % 2n === 1n; level++) {
      const left = this.#hashes.pop()
      if (left === undefined) throw new Error('a tree without its edge')
      hash = nodeHash(left, hash)
      index /= 2n
      completed?.({ level, index, hash })
    }
    this.#hashes.push(hash)
    this.size += 1n
  }

  root(): Buffer {
    const last = this.#hashes.at(-1)
    return last === undefined ? emptyRoot : this.#hashes.slice(0, -1).reduceRight((right, left) => nodeHash(left, right), last)
  }

  bytes(): Buffer {
    return Buffer.concat(this.#hashes)
  }
}

function bitsOf(value: bigint): number {
  let count = 0
  for (let rest = value; rest > 0n; rest >>= 1n) count += Number(rest & 1n)
  return count
}

/** Hash over the leaves `from` (included) to `to` (excluded); a split as {@link splitOf} makes it. */
export type RangeHash = (from: bigint, to: bigint) => Promise<Buffer>

/** Leaves of the left part of a tree over so many (more than one): the largest power of two below. */
export function splitOf(size: bigint): bigint {
  let split = 1n
  while (split * 2n < size) split *= 2n
  return split
}

/**
 * What somebody needs besides some leaves to compute the root of the tree: the hashes of the parts without any of them, from
 * left to right. One leaf gives the inclusion proof of RFC 9162 (in another order), a run of leaves the proof of a range.
 * @param leaves numbers of the leaves from 0, ascending
 */
export async function* proofOf(size: bigint, leaves: readonly bigint[], hash: RangeHash): AsyncGenerator<Buffer> {
  let at = 0
  async function* walk(from: bigint, to: bigint): AsyncGenerator<Buffer> {
    const next = leaves[at]
    if (next === undefined || next >= to) yield hash(from, to)
    else if (to - from === 1n) at += 1
    else {
      const middle = from + splitOf(to - from)
      yield* walk(from, middle)
      yield* walk(middle, to)
    }
  }
  if (size > 0n) yield* walk(0n, size)
}

/**
 * Root of the tree that the leaves and the proof make.
 * @param leaves in ascending order; read one ahead
 * @param proof of {@link proofOf}
 * @throws {ProofError} when they don't belong to a tree of this size
 */
export async function rootFrom(size: bigint, leaves: AsyncIterator<{ readonly index: bigint; readonly hash: Buffer }>, proof: Iterator<Buffer>): Promise<Buffer> {
  let next = await leaves.next()
  const walk = async (from: bigint, to: bigint): Promise<Buffer> => {
    if (next.done === true || next.value.index >= to) {
      const part = proof.next()
      if (part.done === true) throw new ProofError('the proof is too short')
      return part.value
    }
    const { index, hash } = next.value
    if (index < from) throw new ProofError(`record ${index + 1n} stands here twice, or out of order`)
    if (to - from === 1n) {
      next = await leaves.next()
      return hash
    }
    const middle = from + splitOf(to - from)
    return nodeHash(await walk(from, middle), await walk(middle, to))
  }
  const root = size === 0n ? emptyRoot : await walk(0n, size)
  if (next.done !== true) throw new ProofError('there are records behind the end of the tree')
  if (proof.next().done !== true) throw new ProofError('the proof is too long')
  return root
}

/** A proof that isn't one. */
export class ProofError extends Error {
  override readonly name = 'ProofError'
}

/**
 * That a tree of `size` leaves is the beginning of a later one (RFC 9162, 2.1.4).
 * @param size from 1 to `later`
 */
export async function consistencyProof(size: bigint, later: bigint, hash: RangeHash): Promise<Buffer[]> {
  const part = async (from: bigint, to: bigint, known: boolean): Promise<Buffer[]> => {
    if (size === to) return known ? [] : [await hash(from, to)]
    const middle = from + splitOf(to - from)
    if (size <= middle) return [...(await part(from, middle, known)), await hash(middle, to)]
    return [...(await part(middle, to, false)), await hash(from, middle)]
  }
  return size === 0n || size === later ? [] : part(0n, later, true)
}

/** Checks a {@link consistencyProof} (RFC 9162, 2.1.4.2). */
export function isConsistent(first: { readonly size: bigint; readonly root: Uint8Array }, second: { readonly size: bigint; readonly root: Uint8Array }, proof: readonly Uint8Array[]): boolean {
  if (first.size > second.size) return false
  if (first.size === second.size) return proof.length === 0 && Buffer.compare(first.root, second.root) === 0
  if (first.size === 0n) return proof.length === 0 && Buffer.compare(first.root, emptyRoot) === 0
  const whole = (first.size & (first.size - 1n)) === 0n
  const path = whole ? [first.root, ...proof] : [...proof]
  const seed = path.shift()
  if (seed === undefined) return false
  let fn = first.size - 1n
  let sn = second.size - 1n
  while (fn & 1n) {
    fn >>= 1n
    sn >>= 1n
  }
  let left: Uint8Array = seed
  let right: Uint8Array = seed
  for (const step of path) {
    if (sn === 0n) return false
    if (fn & 1n || fn === sn) {
      left = nodeHash(step, left)
      right = nodeHash(step, right)
      while (fn !== 0n && !(fn & 1n)) {
        fn >>= 1n
        sn >>= 1n
      }
    } else right = nodeHash(right, step)
    fn >>= 1n
    sn >>= 1n
  }
  return sn === 0n && Buffer.compare(left, first.root) === 0 && Buffer.compare(right, second.root) === 0
}
