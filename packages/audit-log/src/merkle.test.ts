import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { consistencyProof, emptyRoot, Frontier, isConsistent, leafHash, nodeHash, proofOf, rootFrom, splitOf, type RangeHash } from './merkle.js'

const leaves = Array.from({ length: 70 }, (_, index) => leafHash(Buffer.from(`record ${index}`)))

/** RFC 9162, 2.1.1, word for word. */
function treeHash(from: number, to: number): Buffer {
  if (from === to) return emptyRoot
  if (to - from === 1) return leaves[from] ?? Buffer.alloc(0)
  const middle = from + Number(splitOf(BigInt(to - from)))
  return nodeHash(treeHash(from, middle), treeHash(middle, to))
}

const hash: RangeHash = (from, to) => Promise.resolve(treeHash(Number(from), Number(to)))

async function collect(proof: AsyncGenerator<Buffer>): Promise<Buffer[]> {
  const all: Buffer[] = []
  for await (const part of proof) all.push(part)
  return all
}

async function* chosen(indices: readonly bigint[]): AsyncGenerator<{ index: bigint; hash: Buffer }> {
  for (const index of indices) yield { index, hash: leaves[Number(index)] ?? Buffer.alloc(0) }
}

test('known answers of RFC 6962 test vectors', () => {
  expect(emptyRoot.toString('hex')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  expect(leafHash(Buffer.alloc(0)).toString('hex')).toBe('6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d')
  expect(leafHash(Buffer.from('L123456')).toString('hex')).toBe('395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56')
  expect(nodeHash(Buffer.from('N123'), Buffer.from('N456')).toString('hex')).toBe('aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb')
})

test('the edge gives the root at every size, also read back, and tells each subtree once', () => {
  let frontier = Frontier.empty()
  expect(frontier.root()).toEqual(emptyRoot)
  const told: string[] = []
  for (const [index, leaf] of leaves.entries()) {
    frontier.append(leaf, ({ level, index: at, hash: whole }) => {
      told.push(`${level}/${at}`)
      expect(whole).toEqual(treeHash(Number(at) << level, (Number(at) + 1) << level))
    })
    expect(frontier.root()).toEqual(treeHash(0, index + 1))
    frontier = Frontier.read(frontier.size, frontier.bytes())
  }
  expect(told.length).toBe(35 + 17 + 8 + 4 + 2 + 1)
  expect(() => Frontier.read(3n, Buffer.alloc(32))).toThrow('has 2 hashes')
})

describe('proofs', () => {
  const sizeAndSet = fc.integer({ min: 1, max: 70 }).chain((size) => fc.tuple(fc.constant(size), fc.uniqueArray(fc.integer({ min: 0, max: size - 1 }))))

  test('of any set of records', async () => {
    await fc.assert(
      fc.asyncProperty(sizeAndSet, async ([size, set]) => {
        const indices = set.toSorted((a, b) => a - b).map(BigInt)
        const proof = await collect(proofOf(BigInt(size), indices, hash))
        expect(await rootFrom(BigInt(size), chosen(indices), proof.values())).toEqual(treeHash(0, size))
      }),
    )
  })

  test('fail for another record, one less, one more, another order', async () => {
    await fc.assert(
      fc.asyncProperty(sizeAndSet, fc.nat(), fc.constantFrom('other', 'less', 'more', 'swap'), async ([size, set], pick, how) => {
        let indices = set.toSorted((a, b) => a - b).map(BigInt)
        const proof = await collect(proofOf(BigInt(size), indices, hash))
        const at = indices.length === 0 ? 0 : pick % indices.length
        if (how === 'more') indices = [...indices, BigInt(size)]
        else if (indices.length === 0) return
        else if (how === 'less') indices = indices.toSpliced(at, 1)
        else if (how === 'swap') {
          if (indices.length < 2) return
          indices = [...indices.slice(1), ...indices.slice(0, 1)]
        }
        async function* given(): AsyncGenerator<{ index: bigint; hash: Buffer }> {
          for await (const [index, leaf] of entries(chosen(indices))) yield how === 'other' && index === at ? { ...leaf, hash: createHash('sha256').update('x').digest() } : leaf
        }
        const root = await rootFrom(BigInt(size), given(), proof.values()).catch(() => undefined)
        expect(root === undefined || !root.equals(treeHash(0, size))).toBe(true)
      }),
    )
  })

  test('of consistency, at all sizes, and of nothing else', async () => {
    for (let first = 0; first <= 33; first++) {
      for (let second = first; second <= 34; second++) {
        const proof = await consistencyProof(BigInt(first), BigInt(second), hash)
        const [a, b] = [{ size: BigInt(first), root: treeHash(0, first) }, { size: BigInt(second), root: treeHash(0, second) }]
        expect(isConsistent(a, b, proof), `${first} ${second}`).toBe(true)
        if (first === second || first === 0) continue
        expect(isConsistent({ ...a, root: leafHash(a.root) }, b, proof)).toBe(false)
        expect(isConsistent(a, { ...b, root: leafHash(b.root) }, proof)).toBe(false)
        expect(isConsistent(a, b, proof.slice(1))).toBe(false)
        expect(isConsistent(a, b, [...proof, emptyRoot])).toBe(false)
        expect(isConsistent(a, b, proof.map((part, at) => (at === 0 ? leafHash(part) : part)))).toBe(false)
      }
    }
  })
})

async function* entries<T>(values: AsyncIterable<T>): AsyncGenerator<[number, T]> {
  let index = 0
  for await (const value of values) yield [index++, value]
}
