import { Injectable } from '@nestjs/common'
import { contentOf, decodeChunks, digestOf } from '@sallyport/kit'
import { KeyError, openPart, PartError, sealPart, StoreError, type Piece } from '@sallyport/recording'
import { z } from 'zod'
import { conflict, Problem } from '../problem/problem.js'
import { LeftoversRepository } from './leftovers.repository.js'
import { RecordingKeysService } from './recording-keys.service.js'
import { RecordingPartsRepository, type PartRow, type SealedPart } from './recording-parts.repository.js'
import { RecordingsConfig } from './recordings.config.js'

const place = { session: z.string(), seq: z.number() }
/** Stored events whose payload lies in a part. */
const bodySchema = z.union([
  z.looseObject({ ...place, event: z.looseObject({ kind: z.literal('recording'), command: z.number(), bytes: z.number(), sha256: z.string() }) }),
  z.looseObject({ ...place, event: z.looseObject({ kind: z.literal('command.end'), command: z.number(), result_bytes: z.number(), result_sha256: z.string() }) }),
])
type Header = z.infer<typeof bodySchema>

export interface SessionPiece extends Piece {
  readonly session: string
}

/** What is wrong with the payload of a recorded piece. */
export interface PieceProblem {
  /** First `missing`, `changed` or `unreadable`; then why. */
  readonly problem: string
}

/** Unpacked parts that a reader keeps. */
const maxKeptBytes = 32 * 1024 * 1024
/** Sessions whose parts are sealed at the same time. */
const atOnce = 8

/** Keeps what sessions showed apart from the events that name it: sealed, in the configured store. */
@Injectable()
export class RecordingPartsService {
  constructor(
    private readonly repository: RecordingPartsRepository,
    private readonly keys: RecordingKeysService,
    private readonly config: RecordingsConfig,
    private readonly leftovers: LeftoversRepository,
  ) {}

  /**
   * Seals the payloads of a batch, one part for each session, and writes them where they belong unless that is the
   * database: the caller does that together with the events. Safe to repeat.
   * @throws {KeyError | StoreError} nothing may be acknowledged then
   */
  async seal(pieces: readonly SessionPiece[]): Promise<SealedPart[]> {
    const sessions = Map.groupBy(pieces, (piece) => piece.session)
    const { store } = this.config
    const seal = async ([session, own]: [string, SessionPiece[]]): Promise<SealedPart> => {
      const place = { session, first: own[0]?.seq ?? 0n, last: own.at(-1)?.seq ?? 0n }
      const data = sealPart(await this.keys.forWriting(session), place, own)
      const name = { ...place, sha256: digestOf(data) }
      if (store !== undefined) {
        await this.leftovers.expect({ ...name, store: store.id })
        await store.put(name, data)
      }
      return { ...name, store: store?.id ?? 'postgres', data: store === undefined ? data : null, bytes: data.length }
    }
    const parts: SealedPart[] = []
    const waiting = [...sessions]
    // A few at a time: a store or a key service is asked for each.
    while (waiting.length > 0) parts.push(...(await Promise.all(waiting.splice(0, atOnce).map(seal))))
    return parts
  }

  /** One for each reading: it keeps what it has unpacked. */
  reader(): PieceReader {
    return new PieceReader(this.repository, this.keys, this.config)
  }
}

/** Reads payloads of recorded pieces, and believes none that isn't what the event names. */
export class PieceReader {
  /** By session. */
  readonly #kept = new Map<string, Map<bigint, Buffer>[]>()
  #keptBytes = 0

  constructor(
    private readonly repository: RecordingPartsRepository,
    private readonly keys: RecordingKeysService,
    private readonly config: RecordingsConfig,
  ) {}

  /**
   * The stored event with what it names in it (`chunks` of a recorded piece, `result` of a command's end); any other event as it is.
   * @throws {Problem} 409 when what is stored isn't what was recorded: it is not shown; 503 when it can't be read now
   */
  async whole(position: bigint, body: string): Promise<string> {
    const header = headerOf(body)
    if (header === undefined) return body
    const found = await this.#payload(header)
    if ('problem' in found) throw problemOf(found.problem, header, position)
    const shown = header.event.kind === 'recording' ? { chunks: decodeChunks(found.payload) } : { result: parsed(found.payload) }
    // What an agent wrote and nobody can read stays away; whoever shows the event says so.
    return JSON.stringify({ ...header, event: { ...header.event, ...shown } })
  }

  /**
   * The payload that a stored event names; undefined when it names none.
   * @throws {Problem} as {@link whole}
   */
  async payload(position: bigint, body: string): Promise<Buffer | undefined> {
    const header = headerOf(body)
    if (header === undefined) return undefined
    const found = await this.#payload(header)
    if ('problem' in found) throw problemOf(found.problem, header, position)
    return found.payload
  }

  /** What is wrong with the payload that a stored event names; undefined when it is whole, or the event names none. */
  async check(body: string): Promise<string | undefined> {
    const header = headerOf(body)
    if (header === undefined) return undefined
    const found = await this.#payload(header)
    return 'problem' in found ? `${found.problem} (session ${header.session}, command ${header.event.command})` : undefined
  }

  async #payload({ session, seq, event }: Header): Promise<{ readonly payload: Buffer } | PieceProblem> {
    const number = BigInt(seq)
    const { bytes, sha256 } = event.kind === 'recording' ? event : { bytes: event.result_bytes, sha256: event.result_sha256 }
    const isIt = (payload: Buffer | undefined): payload is Buffer => payload?.length === bytes && digestOf(payload) === sha256
    for (const kept of this.#kept.get(session) ?? []) {
      const payload = kept.get(number)
      if (isIt(payload)) return { payload }
    }
    let problem = 'missing: the recorded piece is not in the storage of recordings'
    for (const part of await this.repository.covering(session, number)) {
      try {
        const payload = (await this.#open(part)).get(number)
        if (isIt(payload)) return { payload }
        if (payload !== undefined) problem = 'changed: the stored piece of the recording is not the one that was recorded'
      } catch (error) {
        problem = whyNot(error)
      }
    }
    return { problem }
  }

  async #open(part: PartRow): Promise<Map<bigint, Buffer>> {
    const bytes = part.store === 'postgres' ? await this.repository.data(part) : await this.config.storeOf(part.store).get(part)
    if (bytes === undefined) throw new MissingPartError()
    const pieces = openPart(await this.keys.forReading(part.session), part, bytes)
    this.#keptBytes += sizeOf(pieces)
    if (this.#keptBytes > maxKeptBytes) {
      this.#kept.clear()
      this.#keptBytes = sizeOf(pieces)
    }
    this.#kept.set(part.session, [...(this.#kept.get(part.session) ?? []), pieces])
    return pieces
  }
}

class MissingPartError extends Error {
  override readonly name = 'MissingPartError'
}

const sizeOf = (pieces: ReadonlyMap<bigint, Buffer>): number => [...pieces.values()].reduce((sum, piece) => sum + piece.length, 0)

function whyNot(error: unknown): string {
  if (error instanceof MissingPartError) return 'missing: the stored part of the recording is not there'
  if (error instanceof PartError) return `changed: the stored part of the recording can not be opened: ${error.message}`
  if (error instanceof KeyError || error instanceof StoreError) return `unreadable: ${error.message}`
  throw error
}

function problemOf(problem: string, { session, event }: Header, position: bigint): Problem {
  const where = `The recording of session ${session}, command ${event.command}, at position ${position} is not shown`
  if (problem.startsWith('unreadable')) return new Problem(503, 'RECORDING_UNREADABLE', `${where}. ${problem}`, { hint: 'See the storage and keys of recordings in docs/recordings.md.' })
  return conflict('RECORDING_BROKEN', `${where}. ${problem}`, 'Run `sallyport audit verify`.')
}

function headerOf(body: string): Header | undefined {
  // Cheap for all the others: bodies of commands may be large, and are not parsed here.
  if (!body.includes('"kind":"recording"') && !body.includes('"result_sha256":"')) return undefined
  try {
    return bodySchema.safeParse(JSON.parse(body)).data
  } catch {
    return undefined
  }
}

function parsed(payload: Buffer): unknown {
  try {
    return JSON.parse(contentOf(payload) ?? '')
  } catch {
    return undefined
  }
}
