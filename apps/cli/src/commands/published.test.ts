import { generateKeyPairSync, sign, type JsonWebKey } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { checkpointText, consistencyProof, Frontier, leafHash, nodeHash, noteOf, originOf, splitOf } from '@sallyport/audit-log'
import { createApi } from '@sallyport/api-client'
import { afterAll, describe, expect, test } from 'vitest'
import type { ControlPlane } from '../http/control-plane.js'
import { comparePublished, notesIn } from './published.js'

const folder = mkdtempSync(path.join(tmpdir(), 'sallyport-published-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const key: JsonWebKey = publicKey.export({ format: 'jwk' })

class Log {
  readonly #leaves: Buffer[]
  constructor(entries: readonly string[]) {
    this.#leaves = entries.map((entry) => leafHash(Buffer.from(entry)))
  }

  note(size = this.#leaves.length): string {
    const edge = Frontier.empty()
    for (const leaf of this.#leaves.slice(0, size)) edge.append(leaf)
    const checkpoint = { origin: originOf(key), size: edge.size, root: edge.root(), time: '2026-01-02T03:04:05Z' }
    return noteOf(checkpoint, key, sign(null, Buffer.from(checkpointText(checkpoint)), privateKey))
  }

  readonly #hash = (from: bigint, to: bigint): Promise<Buffer> => {
    if (to - from === 1n) return Promise.resolve(this.#leaves[Number(from)] ?? Buffer.alloc(0))
    const middle = from + splitOf(to - from)
    return Promise.all([this.#hash(from, middle), this.#hash(middle, to)]).then(([left, right]) => nodeHash(left, right))
  }

  /** A control plane that holds this log. */
  api(): Pick<ControlPlane, 'rest'> {
    const answer = async (url: URL): Promise<object> => {
      if (url.pathname.endsWith('checkpoint')) return { note: this.note() }
      const proof = await consistencyProof(BigInt(url.searchParams.get('size') ?? ''), BigInt(this.#leaves.length), this.#hash)
      return { note: this.note(), proof: proof.map((part) => part.toString('base64url')) }
    }
    return { rest: createApi({ baseUrl: 'http://log.example', fetch: async (request) => Response.json(await answer(new URL(request.url))) }) }
  }
}

const entries = Array.from({ length: 20 }, (_, index) => `record ${index}`)

describe('published checkpoints', () => {
  const log = new Log(entries)
  const notes = [log.note(3), log.note(8), log.note(20)]

  test('a log that grew holds all of them', async () => {
    expect(await comparePublished(new Log([...entries, 'one more']).api(), notes, [key])).toEqual({ ok: true, checked: 3, size: '21' })
  })

  test('a log that was rewritten behind one of them, however it was signed', async () => {
    const rewritten = new Log([...entries.slice(0, 5), 'another', ...entries.slice(6), 'one more'])
    expect(await comparePublished(rewritten.api(), notes, [key])).toMatchObject({ ok: false, checked: 1, problem: expect.stringContaining('its first 8 records are not those') })
    expect(await comparePublished(new Log(entries.slice(0, 10)).api(), notes, [key])).toMatchObject({ ok: false, problem: expect.stringContaining('it has 10 records, and had 20') })
  })

  test('keys and checkpoints of another control plane', async () => {
    const other = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' })
    expect(await comparePublished(log.api(), notes, [other])).toMatchObject({ ok: false, problem: expect.stringContaining('newest checkpoint is not signed') })
    expect(await comparePublished(log.api(), [notes[0]?.replace('\n3\n', '\n4\n') ?? ''], [key])).toMatchObject({ ok: false, problem: expect.stringContaining('checkpoint 1 of the file is not signed') })
  })

  test('are read from notes and from the events of a sink', () => {
    const file = path.join(folder, 'notes')
    writeFileSync(file, notes.join(''))
    expect(notesIn(file)).toEqual(notes)
    writeFileSync(file, notes.map((note) => JSON.stringify({ v: 1, kind: 'audit.checkpoint', event: { kind: 'audit.checkpoint', note } })).join('\n') + '\n{"kind":"command"}\nnot json\n')
    expect(notesIn(file)).toEqual(notes)
    writeFileSync(file, '')
    expect(() => notesIn(file)).toThrow('holds no checkpoint')
  })
})
