import fs from 'node:fs'
import path from 'node:path'
import type { AgentEventBody } from '../event.js'
import { BacklogAge } from './backlog-age.js'
import { ClosingRoom, shortened } from './closing-room.js'
import { frameRecord, headerBytes, maxRecordBytes, scanRecord } from './record-file.js'
import { joinRecord } from '../recording/payload.js'
import type { ChainLink } from '@sallyport/audit-log'
import { mintReceipt, type Receipt } from './receipt.js'
import { timestamp, wallClock } from './timestamp.js'
import { SessionChains, type ChainSigner } from './session-chains.js'
import { ReserveFile } from './reserve-file.js'
import { recover, segmentName, type Segment, type Unfinished } from './recovery.js'

export interface SpoolOptions {
  readonly directory: string
  /** Unacknowledged bytes that the spool holds before it refuses; default 256 MiB. */
  readonly maxBytes?: number
  readonly segmentBytes?: number
  /** Room for what closes commands and sessions: beyond `maxBytes`, and held on the disk by a file; default 16 MiB. */
  readonly reserveBytes?: number
  /** A record that is unacknowledged for longer makes the spool {@link Spool.overdue}; default five minutes. */
  readonly maxAgeMilliseconds?: number
  /** Written records are synced to disk within this time; default 25 ms (the design promises 50). */
  readonly syncMilliseconds?: number
  /** Without one nothing is signed: for tests alone. */
  readonly signer?: ChainSigner
  /** Wall clock in milliseconds, with fractions. */
  readonly now?: () => number
  /** Milliseconds that no setting of the clock changes. */
  readonly monotonic?: () => number
  /** Called once, when the spool begins to refuse everything: the disk failed, or its numbers can't be trusted. */
  readonly onFailure?: (error: SpoolError) => void
}

/** The spool refuses: what was to be recorded must not happen. */
export class SpoolError extends Error {
  override readonly name = 'SpoolError'
  constructor(
    readonly code: 'full' | 'unwritable' | 'too_large' | 'closed' | 'behind',
    message: string,
  ) {
    super(message)
  }
}

const defaults = { maxBytes: 256 * 1024 * 1024, segmentBytes: 16 * 1024 * 1024, reserveBytes: 16 * 1024 * 1024, maxAgeMilliseconds: 300_000, syncMilliseconds: 25 }
/** Room comes back by segments: the spool is so many of them at least. */
const segmentsPerSpool = 16
const leastSegmentBytes = 64 * 1024
/** Who waits for room looks again after this time, though nothing was acknowledged: the disk may have got some. */
const roomMilliseconds = 500
const ackedMilliseconds = 1000
const closingMilliseconds = 5
/** How long an open session's newest record may stay unsigned. */
const signMilliseconds = 60_000

/**
 * The agent's append-only record of events. `append` returns once the record is in the operating system's hands (it
 * survives `kill -9` of any process) and it is on disk within `syncMilliseconds`. Records are numbered without gaps and
 * kept until the control plane has acknowledged them.
 */
export class Spool {
  readonly #directory: string
  /** Unacknowledged bytes that it holds before it refuses. */
  readonly maxBytes: number
  readonly #segmentBytes: number
  readonly #reserveBytes: number
  readonly #syncMilliseconds: number
  readonly #now: () => number
  readonly #onFailure: ((error: SpoolError) => void) | undefined
  readonly #segments: Segment[]
  readonly #chains: SessionChains
  readonly #reserve: ReserveFile
  readonly #closing: ClosingRoom
  readonly #age: BacklogAge
  readonly #forRoom = new Set<() => void>()
  #signTimer: NodeJS.Timeout | undefined
  readonly #unfinished: readonly Unfinished[]
  #fd: number
  #nextSeq: number
  #acked = 0
  #totalBytes = 0
  #pending: Buffer[] = []
  #pendingBytes = 0
  #flushTimer: NodeJS.Timeout | undefined
  #syncTimer: NodeJS.Timeout | undefined
  #syncing: Promise<void> | undefined
  #ackedTimer: NodeJS.Timeout | undefined
  #failure: SpoolError | undefined
  #waiters: { seq: number; resolve: () => void; reject: (error: Error) => void }[] = []
  #cursor = { file: '', seq: 0, offset: 0 }
  #wake: (() => void) | undefined

  constructor(options: SpoolOptions) {
    this.#directory = options.directory
    this.maxBytes = options.maxBytes ?? defaults.maxBytes
    this.#segmentBytes = options.segmentBytes ?? Math.min(defaults.segmentBytes, Math.max(leastSegmentBytes, Math.floor(this.maxBytes / segmentsPerSpool)))
    this.#reserveBytes = options.reserveBytes ?? defaults.reserveBytes
    this.#syncMilliseconds = options.syncMilliseconds ?? defaults.syncMilliseconds
    this.#now = options.now ?? wallClock()
    this.#onFailure = options.onFailure
    fs.mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
    this.#acked = this.#readAcked()
    const recovered = recover(this.#directory, this.#acked + 1)
    this.#segments = recovered.segments
    this.#unfinished = recovered.unfinished
    this.#chains = new SessionChains(options.signer, recovered.heads)
    const last = this.#segments.at(-1)
    this.#nextSeq = Math.max(last ? last.lastSeq + 1 : 1, this.#acked + 1)
    this.#totalBytes = this.#segments.reduce((sum, segment) => sum + segment.bytes, 0)
    this.#fd = last && last.lastSeq + 1 === this.#nextSeq ? fs.openSync(last.file, 'a', 0o600) : this.#openSegment()
    this.#closing = new ClosingRoom(recovered.unfinished)
    this.#reserve = new ReserveFile(this.#directory, this.#reserveBytes)
    this.#age = new BacklogAge(options.monotonic ?? (() => performance.now()), options.maxAgeMilliseconds ?? defaults.maxAgeMilliseconds)
    // A clock that was set back between two runs makes the age too short, until this process has waited for so long itself.
    if (this.lastSeq > this.#acked) this.#age.appended(this.#acked + 1, Math.max(0, this.#now() - Date.parse(recovered.time ?? '')) || 0)
    if (this.#chains.unsigned) this.#signLater()
  }

  /** Sessions that a crash left open. */
  get unfinished(): readonly Unfinished[] {
    return this.#unfinished
  }

  /** Highest record that was acknowledged. */
  get acked(): number {
    return this.#acked
  }

  /** Highest record that was appended. */
  get lastSeq(): number {
    return this.#nextSeq - 1
  }

  /** Why it refuses everything from now on; undefined while it takes records. Only a new start on a sound disk mends it. */
  get failure(): SpoolError | undefined {
    return this.#failure
  }

  /** Takes nothing but what closes something: it holds as much as it may, or the disk has no room. */
  get full(): boolean {
    return this.#totalBytes + this.#pendingBytes > this.maxBytes || !this.#reserve.take()
  }

  /** The oldest unacknowledged record has waited for longer than it may: nothing new should count on being sent soon. */
  get overdue(): boolean {
    return this.#age.overdue
  }

  /** Milliseconds since which the oldest unacknowledged record waits; 0 when none does. */
  get backlogMilliseconds(): number {
    return this.#age.milliseconds
  }

  /** Somebody waits for a record to be durable. */
  get awaited(): boolean {
    return this.#waiters.length > 0 || this.#forRoom.size > 0
  }

  /** Bytes on disk that wait for an acknowledgement. */
  get bytes(): number {
    return this.#totalBytes
  }

  /**
   * Records an event before what it speaks of happens.
   * @param payload stands behind the event in its record; the event has to name its digest, which alone the chain binds
   * @throws {SpoolError} when it can't be recorded; the caller must then not go on.
   */
  append(event: AgentEventBody, payload?: Buffer): Receipt {
    const receipt = this.#stage(event, false, payload)
    this.#flush()
    return receipt
  }

  /** Records an event after the fact: it is written with the next one, or within a few milliseconds. */
  appendClosing(event: AgentEventBody, payload?: Buffer): Receipt {
    const receipt = this.#stage(event, true, payload)
    this.#flushTimer ??= setTimeout(() => {
      this.#flushTimer = undefined
      try {
        this.#flush()
      } catch {
        // #flush has stored the failure: every later append throws it.
      }
    }, closingMilliseconds)
    return receipt
  }

  /** Resolves when the control plane has the record in its database. Rejects when the spool closes before. */
  durable(receipt: Receipt): Promise<void> {
    if (receipt.seq <= this.#acked) return Promise.resolve()
    // Somebody waits: it must not lie here for the sake of being written with the next one.
    try {
      this.#flush()
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error(String(error)))
    }
    return new Promise((resolve, reject) => this.#waiters.push({ seq: receipt.seq, resolve, reject }))
  }

  /** Resolves when it is worth trying again after a refusal for want of room: something was acknowledged, or a moment has passed. */
  room(): Promise<void> {
    return new Promise((resolve) => {
      const again = (): void => {
        clearTimeout(timer)
        this.#forRoom.delete(again)
        resolve()
      }
      const timer = setTimeout(again, roomMilliseconds)
      this.#forRoom.add(again)
    })
  }

  /** Takes the control plane's acknowledgement: everything up to `seq` may be forgotten here. */
  acknowledge(seq: number): void {
    if (seq >= this.#nextSeq) {
      // Numbers given out again would be taken for repeats there, and what they name would be lost without a trace.
      this.#fail(new SpoolError('behind', 'the control plane holds later records of this agent than its spool: the spool was lost or an older copy was restored; revoke this agent and enrol it again'))
      return
    }
    if (!Number.isSafeInteger(seq) || seq <= this.#acked) return
    this.#acked = seq
    while (this.#segments.length > 1 && (this.#segments[0]?.lastSeq ?? Infinity) <= seq) {
      const gone = this.#segments.shift()
      if (!gone) break
      this.#totalBytes -= gone.bytes
      fs.rmSync(gone.file, { force: true })
    }
    this.#age.acknowledged(seq + 1, this.lastSeq)
    for (const again of [...this.#forRoom]) again()
    this.#ackedTimer ??= setTimeout(() => this.#writeAcked(), ackedMilliseconds).unref()
    const due = this.#waiters.filter((waiter) => waiter.seq <= seq)
    this.#waiters = this.#waiters.filter((waiter) => waiter.seq > seq)
    for (const waiter of due) waiter.resolve()
  }

  /** Records from `fromSeq` on, whole, up to about `maxBytes`; empty when there is nothing new. */
  async read(fromSeq: number, maxBytes: number): Promise<{ firstSeq: number; records: Buffer[] }> {
    const segment = this.#segments.find((candidate) => fromSeq >= candidate.firstSeq && fromSeq <= candidate.lastSeq)
    if (!segment) return { firstSeq: fromSeq, records: [] }
    if (this.#cursor.file !== segment.file || this.#cursor.seq > fromSeq) this.#cursor = { file: segment.file, seq: segment.firstSeq, offset: 0 }
    const length = Math.min(segment.bytes - this.#cursor.offset, Math.max(maxBytes, maxRecordBytes + headerBytes))
    const bytes = Buffer.allocUnsafe(length)
    const handle = await fs.promises.open(segment.file, 'r')
    try {
      const { bytesRead } = await handle.read(bytes, 0, length, this.#cursor.offset)
      return this.#collect(bytes.subarray(0, bytesRead), segment, fromSeq, maxBytes)
    } finally {
      await handle.close()
    }
  }

  /** Resolves when there is a record above `seq`, or at once when there already is. */
  newRecords(seq: number): Promise<void> {
    // What is only staged can't be read yet.
    if (this.lastSeq - this.#pending.length > seq || this.#failure) return Promise.resolve()
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  /** Syncs everything to disk and closes. */
  async close(): Promise<void> {
    if (this.#failure?.code === 'closed') return
    if (!this.#failure) {
      this.#signNow()
      this.#flush()
    }
    clearTimeout(this.#syncTimer)
    clearTimeout(this.#flushTimer)
    clearTimeout(this.#signTimer)
    if (this.#ackedTimer) this.#writeAcked()
    await this.#syncing
    if (!this.#failure) fs.fdatasyncSync(this.#fd)
    this.#fail(new SpoolError('closed', 'the spool is closed'))
    fs.closeSync(this.#fd)
  }

  #stage(event: AgentEventBody, closing: boolean, payload?: Buffer): Receipt {
    if (this.#failure) throw this.#failure
    const seq = this.#nextSeq
    const session = 'session' in event ? event.session : undefined
    const link = session === undefined ? undefined : this.#chains.next(session)
    const used = this.#totalBytes + this.#pendingBytes
    let record = this.#encode(event, link, payload)
    if (closing && (used + record.bytes.length > this.maxBytes || record.bytes.length > maxRecordBytes || !this.#reserve.held)) {
      // A shortened end names no result any more.
      record = this.#encode(shortened(event), link, event.kind === 'command.end' ? undefined : payload)
    }
    const { header, bytes } = record
    if (bytes.length > maxRecordBytes) throw new SpoolError('too_large', 'the event is larger than an audit record may be')
    if (used + bytes.length > this.maxBytes + (closing ? this.#reserveBytes : 0)) throw new SpoolError('full', 'the audit spool is full: the control plane has not acknowledged for too long')
    if (!closing) this.#admit(event)
    const framed = frameRecord(bytes)
    this.#pending.push(framed)
    this.#pendingBytes += framed.length
    this.#nextSeq = seq + 1
    this.#age.appended(seq)
    this.#closing.follow(event)
    if (session !== undefined && link !== undefined) {
      if (this.#chains.written(session, link, header, event.kind === 'session.end') && !(this.full && event.kind !== 'session.end')) this.#signNow()
      else this.#signLater()
    }
    return mintReceipt(seq)
  }

  /** The chain is over the header alone. */
  #encode(event: AgentEventBody, link: ChainLink | undefined, payload: Buffer | undefined): { readonly header: Buffer; readonly bytes: Buffer } {
    const chain = link === undefined ? '' : `"chain":{"n":${link.n},"prev":"${link.prev}"},`
    const text = `{"v":1,"seq":${this.#nextSeq},"time":"${timestamp(this.#now())}",${chain}${JSON.stringify(event).slice(1)}`
    const header = Buffer.from(event.kind === 'session.signed' ? this.#chains.seal(text) : text, 'utf8')
    return { header, bytes: payload === undefined ? header : joinRecord(header, payload) }
  }

  /** Nothing is begun for whose end there might be no room. */
  #admit({ kind }: AgentEventBody): void {
    if (!this.#reserve.take()) throw new SpoolError('full', 'the disk of the audit spool is full')
    if ((kind === 'command' || kind === 'session.start') && this.#closing.bytes > this.#reserveBytes) {
      throw new SpoolError('full', 'more is under way than the audit spool has room to close')
    }
  }

  /** Vouches for what is staged by now. Leaves with it. */
  #sign(): void {
    clearTimeout(this.#signTimer)
    this.#signTimer = undefined
    for (let event = this.#chains.sign(); event !== undefined; event = this.#chains.sign()) {
      this.#stage(event, true)
      this.#chains.signed(event)
    }
  }

  /** A record is written whether it can be vouched for yet or not. */
  #signNow(): void {
    try {
      this.#sign()
    } catch {
      this.#signLater()
    }
  }

  #signLater(): void {
    this.#signTimer ??= setTimeout(() => {
      this.#signTimer = undefined
      try {
        this.#sign()
        this.#flush()
      } catch {
        // Full, for now: tried again. One that has failed says so at the next append.
        if (this.#failure === undefined) this.#signLater()
      }
    }, signMilliseconds).unref()
  }

  #flush(): void {
    if (this.#pending.length === 0) return
    if (this.#failure) throw this.#failure
    const bytes = this.#pending.length === 1 ? this.#pending[0] : Buffer.concat(this.#pending, this.#pendingBytes)
    const count = this.#pending.length
    this.#pending = []
    this.#pendingBytes = 0
    if (!bytes) return
    const segment = this.#write(bytes, this.#nextSeq - count)
    segment.bytes += bytes.length
    segment.lastSeq += count
    this.#totalBytes += bytes.length
    this.#syncTimer ??= setTimeout(() => this.#sync(), this.#syncMilliseconds)
    this.#wake?.()
    this.#wake = undefined
  }

  /** What is already numbered and chained has to get to the disk: into the room that is held there, if need be. */
  #write(bytes: Buffer, firstSeq: number): Segment {
    let written = 0
    for (;;) {
      try {
        let segment = this.#segments.at(-1)
        if (segment === undefined || (written === 0 && segment.bytes > 0 && segment.bytes + bytes.length > this.#segmentBytes)) segment = this.#roll(firstSeq)
        while (written < bytes.length) written += fs.writeSync(this.#fd, bytes, written, bytes.length - written)
        return segment
      } catch (error) {
        const code = errorCode(error)
        if ((code !== 'ENOSPC' && code !== 'EDQUOT') || !this.#reserve.release()) throw this.#fail(new SpoolError('unwritable', `the audit spool can't be written (${code})`))
      }
    }
  }

  #sync(): void {
    this.#syncTimer = undefined
    const before = this.#syncing
    const syncing = new Promise<void>((resolve) => {
      fs.fdatasync(this.#fd, (error) => {
        // After a failed sync the kernel may have dropped the pages: nothing that was written can be trusted any more.
        if (error && this.#failure?.code !== 'closed') this.#fail(new SpoolError('unwritable', `the audit spool can't be synced (${errorCode(error)})`))
        resolve()
      })
    })
      .then(() => before)
      .then(() => {
        if (this.#syncing === syncing) this.#syncing = undefined
      })
    this.#syncing = syncing
  }

  #roll(firstSeq: number): Segment {
    const full = this.#fd
    this.#fd = this.#openSegment(firstSeq)
    fs.fdatasyncSync(full)
    // Not under a sync that another thread is still to do: it would meet a closed file, or by then another one of the same number.
    if (this.#syncing === undefined) fs.closeSync(full)
    else void this.#syncing.then(() => fs.close(full, () => undefined))
    const segment = this.#segments.at(-1)
    if (segment === undefined) throw new Error('the segment was opened just now')
    return segment
  }

  #openSegment(firstSeq = this.#nextSeq): number {
    const file = path.join(this.#directory, segmentName(firstSeq))
    const fd = fs.openSync(file, 'a', 0o600)
    syncDirectory(this.#directory)
    this.#segments.push({ file, firstSeq, lastSeq: firstSeq - 1, bytes: 0 })
    return fd
  }

  #collect(bytes: Buffer, segment: Segment, fromSeq: number, maxBytes: number): { firstSeq: number; records: Buffer[] } {
    const records: Buffer[] = []
    let offset = 0
    let seq = this.#cursor.seq
    let size = 0
    while (seq <= segment.lastSeq && size < maxBytes) {
      const scanned = scanRecord(bytes, offset)
      if (scanned.kind !== 'record') break
      if (seq >= fromSeq) {
        records.push(scanned.payload)
        size += scanned.payload.length
      }
      offset = scanned.next
      seq += 1
    }
    this.#cursor = { file: segment.file, seq, offset: this.#cursor.offset + offset }
    return { firstSeq: fromSeq, records }
  }

  #fail(error: SpoolError): SpoolError {
    const first = this.#failure === undefined
    this.#failure ??= error
    if (first && error.code !== 'closed') this.#onFailure?.(error)
    for (const waiter of this.#waiters) waiter.reject(error)
    this.#waiters = []
    for (const again of [...this.#forRoom]) again()
    this.#wake?.()
    return error
  }

  #readAcked(): number {
    try {
      const value = Number(fs.readFileSync(path.join(this.#directory, 'acked'), 'utf8'))
      return Number.isSafeInteger(value) && value >= 0 ? value : 0
    } catch {
      return 0
    }
  }

  #writeAcked(): void {
    // Losing this file, or a second of it, only means sending again; the control plane ignores what it has.
    clearTimeout(this.#ackedTimer)
    this.#ackedTimer = undefined
    const file = path.join(this.#directory, 'acked')
    try {
      fs.writeFileSync(`${file}.new`, String(this.#acked), { mode: 0o600 })
      fs.renameSync(`${file}.new`, file)
    } catch {
      // A full disk must not end the process from a timer: the next append meets it, and is refused.
    }
  }
}

function syncDirectory(directory: string): void {
  const fd = fs.openSync(directory, 'r')
  try {
    fs.fsyncSync(fd)
  } finally {
    fs.closeSync(fd)
  }
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
}
