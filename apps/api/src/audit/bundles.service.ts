import { Injectable } from '@nestjs/common'
import { bundleFormat, chainHash, consistencyProof, leafHash, PositionsDigest, ProofError, proofOf, rootFrom, statementType, type BundleStatement, type BundleSubject } from '@sallyport/audit-log'
import { KeysService } from '../keys/keys.service.js'
import { badRequest, conflict, notFound, type Problem } from '../problem/problem.js'
import { RecordingPartsService } from '../recordings/recording-parts.service.js'
import { AuditRepository } from './audit.repository.js'
import { CheckpointsService, type SignedCheckpoint } from './checkpoints.service.js'
import { TreeError, TreeRepository } from './tree.repository.js'

const pageSize = 500
/** Records in one bundle of a range: a longer time is several bundles. */
const maxRecords = 1_000_000

/** Records for somebody who has nothing but the control plane's published keys. */
@Injectable()
export class BundlesService {
  constructor(
    private readonly repository: AuditRepository,
    private readonly tree: TreeRepository,
    private readonly checkpoints: CheckpointsService,
    private readonly keys: KeysService,
    private readonly parts: RecordingPartsService,
  ) {}

  /**
   * Lines of a session's bundle, each with its newline. What the session shows while it is read isn't part of it.
   * @throws {Problem} 409 when the log isn't what was signed: what was changed must not get a signature
   */
  async ofSession(session: string, agent: string): Promise<AsyncIterable<string>> {
    const checkpoint = await this.#checkpoint()
    if (await this.repository.isPartlyDeleted({ session })) throw partlyDeleted('session')
    const positions = (await this.repository.positionsOf(session, agent)).filter((position) => position <= checkpoint.size)
    return this.#bundle({ of: 'session', session }, checkpoint, positions)
  }

  /**
   * Lines of the bundle of everything that was received in a range of time, with one record on either side.
   * @param from RFC 3339, included
   * @param to RFC 3339, excluded
   * @throws {Problem} 404 when nothing was received; 400 when it is too much; 409 as {@link ofSession}
   */
  async ofRange(from: string, to: string): Promise<AsyncIterable<string>> {
    const checkpoint = await this.#checkpoint()
    const found = await this.repository.positionsBetween(from, to, checkpoint.size)
    if (found === undefined) throw notFound('record in this range of time')
    const count = Number(found.last - found.first) + 1
    if (count > maxRecords) throw badRequest('RANGE_TOO_LARGE', `The range holds ${count} records; a bundle takes ${maxRecords}. Take a shorter range.`)
    if (await this.repository.isPartlyDeleted(found)) throw partlyDeleted('range')
    return this.#bundle({ of: 'range', from, to }, checkpoint, Array.from({ length: count }, (_, index) => found.first + BigInt(index)))
  }

  /** The newest signed state of the log, as a signed note. */
  async latest(): Promise<SignedCheckpoint> {
    return this.#checkpoint()
  }

  /**
   * That the log of so many records is the beginning of the log at the newest checkpoint.
   * @throws {Problem} 400 for a size that the log doesn't have
   */
  async consistency(size: bigint): Promise<{ readonly proof: readonly Buffer[]; readonly checkpoint: SignedCheckpoint }> {
    const checkpoint = await this.#checkpoint()
    if (size < 1n || size > checkpoint.size) throw badRequest('NO_SUCH_SIZE', `The log has ${checkpoint.size} records.`)
    return { checkpoint, proof: await guarded(() => consistencyProof(size, checkpoint.size, this.tree.rangeHash)) }
  }

  async #checkpoint(): Promise<SignedCheckpoint> {
    await this.checkpoints.sign()
    if (this.checkpoints.refused) throw broken()
    const signed = await this.checkpoints.latest()
    if (signed === undefined) throw conflict('LOG_EMPTY', 'The audit log has no records yet.')
    return signed
  }

  async #bundle(subject: BundleSubject, checkpoint: SignedCheckpoint, positions: readonly bigint[]): Promise<AsyncIterable<string>> {
    const proof = await guarded(async () => {
      const parts: Buffer[] = []
      for await (const part of proofOf(checkpoint.size, positions.map((position) => position - 1n), this.tree.rangeHash)) parts.push(part)
      const root = await rootFrom(checkpoint.size, this.#leaves(positions), parts.values())
      if (!root.equals(checkpoint.root)) throw broken()
      return parts
    })
    const digest = new PositionsDigest()
    for (const position of positions) digest.add(position)
    const statement: BundleStatement = { ...subject, size: String(checkpoint.size), positions_sha256: digest.hex(), iat: Math.floor(Date.now() / 1000) }
    const signed = await this.keys.sign(statementType, statement)
    if (subject.of === 'session') await this.#checkPayloads(positions)
    return this.#lines({ format: bundleFormat, checkpoint: checkpoint.note, statement: signed }, proof, positions, subject.of === 'session')
  }

  /** Before the first line leaves: a bundle isn't given out in part. */
  async #checkPayloads(positions: readonly bigint[]): Promise<void> {
    const reader = this.parts.reader()
    for await (const { position, body } of this.#records(positions)) await reader.payload(position, body)
  }

  async *#leaves(positions: readonly bigint[]): AsyncGenerator<{ index: bigint; hash: Buffer }> {
    // From what goes into the bundle, not from the hash that is stored beside it.
    for await (const { position, prevHash, body } of this.#records(positions)) yield { index: position - 1n, hash: leafHash(chainHash(prevHash, position, body)) }
  }

  async *#lines(head: object, proof: readonly Buffer[], positions: readonly bigint[], payloads: boolean): AsyncIterable<string> {
    const reader = this.parts.reader()
    yield `${JSON.stringify(head)}\n`
    yield `${JSON.stringify({ proof: proof.map((part) => part.toString('base64url')) })}\n`
    for await (const { position, prevHash, body } of this.#records(positions)) {
      const payload = payloads ? await reader.payload(position, body) : undefined
      yield `${JSON.stringify({ position: String(position), prev: Buffer.from(prevHash).toString('base64url'), body, ...(payload === undefined ? {} : { payload: payload.toString('base64') }) })}\n`
    }
  }

  async *#records(positions: readonly bigint[]): AsyncGenerator<{ position: bigint; prevHash: Uint8Array; body: string }> {
    for (let at = 0; at < positions.length; at += pageSize) yield* await this.repository.at(positions.slice(at, at + pageSize))
  }
}

async function guarded<T>(make: () => Promise<T>): Promise<T> {
  try {
    return await make()
  } catch (error) {
    if (error instanceof TreeError || error instanceof ProofError) throw broken()
    throw error
  }
}

const broken = (): Problem => conflict('AUDIT_BROKEN', 'The audit log is not what was signed. Nothing of it is vouched for.', 'Run `sallyport audit verify`: it names the first bad record.')

const partlyDeleted = (what: string): Problem => conflict('PARTLY_DELETED', `Of this ${what} retention has deleted records: it can no longer be shown as whole.`, 'Hold what has to be shown later: sallyport audit hold.')
