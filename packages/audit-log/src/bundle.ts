import { createHash, type JsonWebKey } from 'node:crypto'
import { AgentKeys } from './agent-keys.js'
import { chainHash, eventPart } from './log-chain.js'
import { hashBytes, leafHash, ProofError, rootFrom } from './merkle.js'
import { SessionVerifier, type BadRecord } from './session-verifier.js'
import { readNote, type Checkpoint } from './signed-note.js'
import { parsed, readStatement } from './statement.js'

export const bundleFormat = 'sallyport.dev/audit-bundle/v2'
/** `typ` of the statement: the control plane says what the bundle holds, and that it is all of it. */
export const statementType = 'audit-bundle+jwt'

/** What the control plane signs into a bundle. */
export type BundleStatement = BundleSubject & {
  /** Size of the log at the bundle's checkpoint. */
  readonly size: string
  /** {@link positionsDigest} of the records in the bundle. */
  readonly positions_sha256: string
  /** NumericDate. */
  readonly iat: number
}

export type BundleSubject =
  /** Everything about one session: its agent's records, the control plane's, and how the agent's key came into the log. */
  | { readonly of: 'session'; readonly session: string }
  /** Everything that the control plane received from `from` (included) to `to` (excluded), RFC 3339 UTC; and one record on either side, when there is one. */
  | { readonly of: 'range'; readonly from: string; readonly to: string }

export interface BundleVerification {
  readonly ok: boolean
  readonly subject?: BundleSubject
  /** The signed state of the log in which the records stand. */
  readonly checkpoint?: { readonly size: string; readonly root: string; readonly time: string }
  /** Records that are whole and in their place. */
  readonly records: number
  /** Of a session: who recorded it. */
  readonly agents: readonly string[]
  /** `position` is that of the record in the log; empty when it is about the file as a whole. */
  readonly first_bad?: BadRecord
}

/** Hex SHA-256 over the positions, in decimal, each with a newline behind it. */
export class PositionsDigest {
  readonly #hash = createHash('sha256')

  add(position: bigint): void {
    this.#hash.update(`${position}\n`)
  }

  hex(): string {
    return this.#hash.digest('hex')
  }
}

/** Longest line: a record of at most 8 MiB, escaped. */
const maxLine = 64 * 1024 * 1024

interface Head {
  readonly checkpoint: Checkpoint
  readonly statement: BundleStatement
  readonly proof: readonly Buffer[]
}

/**
 * Checks a bundle with nothing but the control plane's published keys: that its records stand in the log at their positions,
 * that the control plane says these are all, and what the agents themselves have signed.
 * @param lines of the file, without their newlines
 * @param keys Ed25519 public keys (JWK)
 */
export async function verifyBundle(lines: AsyncIterable<string>, keys: readonly JsonWebKey[]): Promise<BundleVerification> {
  const given = lines[Symbol.asyncIterator]()
  const head = await readHead(given, keys)
  if (typeof head === 'string') return { ok: false, records: 0, agents: [], first_bad: { position: '', problem: head } }
  return new BundleReader(head, keys).verify(given)
}

async function readHead(lines: AsyncIterator<string>, keys: readonly JsonWebKey[]): Promise<Head | string> {
  const first = await nextLine(lines)
  if (first === undefined) return 'truncated: the bundle is empty'
  if (first['format'] !== bundleFormat) return `changed: the file does not begin as a bundle (${bundleFormat})`
  const checkpoint = typeof first['checkpoint'] === 'string' ? readNote(first['checkpoint'], keys) : undefined
  if (checkpoint === undefined) return "changed: the checkpoint is not signed by one of the control plane's keys that were given"
  const statement = typeof first['statement'] === 'string' ? asStatement(readStatement(first['statement'], statementType, keys)) : undefined
  if (statement === undefined) return "changed: the statement is not signed by one of the control plane's keys that were given"
  if (statement.size !== String(checkpoint.size)) return 'changed: statement and checkpoint are not of the same log'
  const second = await nextLine(lines)
  const proof = readProof(second?.['proof'])
  return proof === undefined ? 'changed: the second line is not the proof' : { checkpoint, statement, proof }
}

class BundleReader {
  readonly #digest = new PositionsDigest()
  readonly #agents = new Set<string>()
  readonly #sessions: SessionVerifier
  #records = 0
  #first: bigint | undefined
  #last: { readonly position: bigint; readonly hash: Buffer } | undefined
  /** When the first and the last record were received. */
  #times: { first: string; last: string } | undefined

  constructor(
    private readonly head: Head,
    keys: readonly JsonWebKey[],
  ) {
    const { statement } = head
    this.#sessions = new SessionVerifier(new AgentKeys(keys), statement.of === 'session' ? { session: statement.session } : { part: true })
  }

  async verify(lines: AsyncIterator<string>): Promise<BundleVerification> {
    const { checkpoint, proof, statement } = this.head
    try {
      const root = await rootFrom(checkpoint.size, this.#leaves(lines), proof.values())
      if (!root.equals(checkpoint.root)) return this.#report({ position: '', problem: 'changed: the records are not those of the log that the checkpoint names' })
    } catch (error) {
      if (error instanceof BadBundle) return this.#report(error.bad)
      if (error instanceof ProofError) return this.#report({ position: String(this.#last?.position ?? ''), problem: `missing: ${error.message}` })
      throw error
    }
    if (this.#digest.hex() !== statement.positions_sha256) return this.#report({ position: '', problem: 'missing: the control plane signed another set of records' })
    return this.#report(this.#finish())
  }

  #finish(): BadRecord | undefined {
    const { statement } = this.head
    if (statement.of === 'session') {
      return this.#sessions.finish(0).counts.signed === 1 ? undefined : { position: '', problem: "truncated: the bundle does not hold the session's end with its agent's signature" }
    }
    // Records beyond either end show that nothing was left out there; without them the log begins or ends here.
    const { first = '', last = '' } = this.#times ?? {}
    if (this.#records === 0) return undefined
    const begins = first < statement.from || this.#first === 1n
    const ends = last >= statement.to || this.#last?.position === this.head.checkpoint.size
    return begins && ends ? undefined : { position: '', problem: 'truncated: the records do not reach over the whole range' }
  }

  async *#leaves(lines: AsyncIterator<string>): AsyncGenerator<{ index: bigint; hash: Buffer }> {
    for (let line = await nextLine(lines); line !== undefined; line = await nextLine(lines)) {
      const { position: place, prev, body, payload } = line
      if (typeof place !== 'string' || !/^[1-9]\d{0,18}$/.test(place) || typeof prev !== 'string' || typeof body !== 'string') throw new BadBundle({ position: String(this.#last?.position ?? ''), problem: 'changed: the line behind this record is none of a bundle' })
      const position = BigInt(place)
      const before = Buffer.from(prev, 'base64url')
      if (before.length !== hashBytes || before.toString('base64url') !== prev) throw new BadBundle({ position: place, problem: 'changed: the record does not name the one before it' })
      const hash = chainHash(before, position, body)
      const follows = this.#last?.position === position - 1n
      if (follows && !this.#last?.hash.equals(before)) throw new BadBundle({ position: place, problem: 'changed: this record, or the one before it, is not the one of the log' })
      if (this.head.statement.of === 'range' && this.#last !== undefined && !follows) throw new BadBundle({ position: place, problem: `missing: records before this one, behind ${this.#last.position}` })
      this.#first ??= position
      this.#last = { position, hash }
      this.#digest.add(position)
      this.#content(position, body)
      this.#payload(position, body, payload)
      this.#records += 1
      yield { index: position - 1n, hash: leafHash(hash) }
    }
  }

  #content(position: bigint, body: string): void {
    const at = String(position)
    const fields = parsed(body)
    const { source, kind, session, seq, received_at: received } = fields ?? {}
    if (typeof source !== 'string' || typeof kind !== 'string' || typeof received !== 'string') throw new BadBundle({ position: at, problem: 'changed: the line holds no record' })
    const { statement } = this.head
    const own = typeof session === 'string' ? session : null
    if (statement.of === 'session') {
      if (own === null ? kind !== 'session.signed' && !kind.startsWith('node.') : own !== statement.session) throw new BadBundle({ position: at, problem: 'forked: a record of another session' })
    }
    this.#times = { first: this.#times?.first ?? received, last: received }
    if (source.startsWith('agent:') && kind !== 'session.signed') this.#agents.add(source)
    const bad = this.#sessions.check({ position, source, kind, session: own, seq: statement.of === 'range' && typeof seq === 'number' ? BigInt(seq) : null, text: eventPart(body) })
    // In a part of the log, the key with which an agent enrolled may stand before it.
    if (bad !== undefined && !(statement.of === 'range' && bad.problem.startsWith('changed: signed by a key'))) throw new BadBundle(bad)
  }

  /** What the record names by its digest has to be in a session's bundle, and may be in no other form. */
  #payload(position: bigint, body: string, payload: unknown): void {
    const problem = (text: string): BadBundle => new BadBundle({ position: String(position), problem: text })
    const named = payloadOf(eventPart(body))
    if (payload === undefined) {
      if (named !== undefined && this.head.statement.of === 'session') throw problem('missing: what the session showed here')
    } else if (typeof payload !== 'string' || named === undefined) throw problem('changed: the record names nothing that the session showed')
    else if (createHash('sha256').update(Buffer.from(payload, 'base64')).digest('hex') !== named) throw problem('changed: what the session showed is not what the record names')
  }

  #report(bad?: BadRecord): BundleVerification {
    const { checkpoint, statement } = this.head
    return {
      ok: bad === undefined,
      subject: statement.of === 'session' ? { of: 'session', session: statement.session } : { of: 'range', from: statement.from, to: statement.to },
      checkpoint: { size: String(checkpoint.size), root: checkpoint.root.toString('hex'), time: checkpoint.time },
      records: this.#records,
      agents: [...this.#agents],
      ...(bad === undefined ? {} : { first_bad: bad }),
    }
  }
}

class BadBundle extends Error {
  override readonly name = 'BadBundle'
  constructor(readonly bad: BadRecord) {
    super(bad.problem)
  }
}

/** undefined at the end; a line that is no object counts as one without fields. */
async function nextLine(lines: AsyncIterator<string>): Promise<{ readonly [name: string]: unknown } | undefined> {
  const { done, value } = await lines.next()
  if (done === true) return undefined
  return (value.length > maxLine ? undefined : parsed(value)) ?? {}
}

function readProof(value: unknown): Buffer[] | undefined {
  if (!Array.isArray(value)) return undefined
  const proof = value.flatMap((part) => {
    if (typeof part !== 'string') return []
    const hash = Buffer.from(part, 'base64url')
    return hash.length === hashBytes && hash.toString('base64url') === part ? [hash] : []
  })
  return proof.length === value.length ? proof : undefined
}

function asStatement(claims: { readonly [name: string]: unknown } | undefined): BundleStatement | undefined {
  const { of, session, from, to, size, positions_sha256: digest, iat } = claims ?? {}
  if (typeof size !== 'string' || typeof digest !== 'string' || typeof iat !== 'number') return undefined
  const rest = { size, positions_sha256: digest, iat }
  if (of === 'session' && typeof session === 'string') return { of, session, ...rest }
  if (of === 'range' && typeof from === 'string' && typeof to === 'string') return { of, from, to, ...rest }
  return undefined
}

/** Digest of the payload that an agent's event names (docs/recordings.md). */
function payloadOf(event: string): string | undefined {
  const fields = parsed(event)
  const named = fields?.['kind'] === 'recording' ? fields['sha256'] : fields?.['kind'] === 'command.end' ? fields['result_sha256'] : undefined
  return typeof named === 'string' ? named : undefined
}
