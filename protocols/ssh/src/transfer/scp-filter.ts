import { createHash, type Hash } from 'node:crypto'
import { TransferProtocolError } from './codec/errors.js'
import { Drained } from './drained.js'
import type { FileAuthority, FileOperation, FileResult, FileVerdict, FilterSinks } from './file-authority.js'
import { RunningOperations } from './running.js'
import { baseOperation, isNameOf, locate, scpOperation, sinksInto, type ScpEntry, type ScpMode, type ScpPaths } from './scp-plan.js'
import { maxLineBytes, parseScpRecord } from './scp-records.js'
import { ScpStream } from './scp-stream.js'

/** What a side may send ahead of its turn. scp sends nothing ahead; this leaves room for one chunk. */
const maxAheadBytes = 256 * 1024
const maxDepth = 256

/**
 * `start`: the sink's first go-ahead. `record`: a line of the source. `wait`: a decision. `times_ack`, `record_ack`, `data_ack`: the
 * sink's answer. `data`: content. `trailer`: how the source ended the content.
 */
type Answering = 'start' | 'times_ack' | 'record_ack' | 'data_ack'
type State = Answering | 'record' | 'wait' | 'data' | 'trailer' | 'dead'

type Finish = (result: FileResult) => void

interface OpenEntry {
  readonly finish: Finish
  readonly entry: ScpEntry
  readonly path: string
}

/**
 * Stands between the two ends of a legacy scp (`scp -O`): the source sends files, the sink answers every line. `scp -f` runs the
 * source on the target, `scp -t` the sink. Every file and directory is decided before its line reaches the sink, so a sink on the
 * target creates nothing that wasn't decided, and a source on the target sends content only after the client's answer to that line.
 *
 * What stays open, as in the SFTP filter: scp on the target opens by the path in its command line, so somebody who may already
 * write there can swap a directory for a symbolic link between decision and opening.
 */
export class ScpFilter {
  readonly #mode: ScpMode
  readonly #authority: FileAuthority
  readonly #paths: ScpPaths
  readonly #sinks: FilterSinks
  readonly #source = new ScpStream()
  readonly #sink = new ScpStream()
  readonly #running = new RunningOperations()
  /** Canonical directories that the transfer is in. */
  readonly #inside: string[] = []
  #state: State = 'start'
  #into: boolean | undefined
  #anythingAllowed = false
  #times: { readonly mtime: number; readonly line: Buffer } | undefined
  /** Of an entry whose times are at the sink. */
  #line: Buffer = Buffer.alloc(0)
  #open: OpenEntry | undefined
  #left = 0
  #hash: Hash | undefined
  #moved = 0
  #sourceFailed = false
  readonly #drained = new Drained()

  constructor(mode: ScpMode, authority: FileAuthority, paths: ScpPaths, sinks: FilterSinks) {
    this.#mode = mode
    this.#authority = authority
    this.#paths = paths
    this.#sinks = sinks
  }

  /** Bytes taken in and not passed on. */
  get pendingBytes(): number {
    return this.#source.length + this.#sink.length
  }

  fromClient(bytes: Buffer): void {
    this.#take(this.#mode.direction === 'read' ? this.#sink : this.#source, bytes)
  }

  fromServer(bytes: Buffer): void {
    this.#take(this.#mode.direction === 'read' ? this.#source : this.#sink, bytes)
  }

  /** The client will send no more. Resolves when nothing waits for a decision: the server's input may end then. */
  async clientEnded(): Promise<void> {
    if (this.#state === 'wait') await this.#drained.wait()
  }

  /**
   * The server will send no more. Resolves when the client has got its last words, of which an error may wait for a decision;
   * every operation has its result then.
   */
  async serverEnded(): Promise<void> {
    await this.clientEnded()
    this.close()
  }

  /** The whole channel has ended: every operation gets its result. */
  close(): void {
    if (this.#state === 'dead') return
    if (!this.#end()) this.#sinks.fail('the result of a file operation could not be recorded')
    this.#drained.resolve()
  }

  #take(stream: ScpStream, bytes: Buffer): void {
    this.#guarded(() => {
      stream.push(bytes)
      this.#pump()
      if (stream.length > maxAheadBytes) throw new TransferProtocolError('scp does not wait for its answer')
    })
  }

  #guarded(work: () => void): void {
    if (this.#state === 'dead') return
    try {
      work()
    } catch (error) {
      this.#end()
      this.#sinks.fail(error instanceof TransferProtocolError ? error.message : 'the scp filter failed')
    }
    if (this.#state !== 'wait') this.#drained.resolve()
  }

  #end(): boolean {
    this.#state = 'dead'
    return this.#running.end()
  }

  #pump(): void {
    while (this.#step());
  }

  /** @returns whether there may be more to do */
  #step(): boolean {
    switch (this.#state) {
      case 'wait':
      case 'dead':
        return false
      case 'start':
      case 'times_ack':
      case 'record_ack':
      case 'data_ack':
        return this.#answer(this.#state)
      case 'record':
        return this.#record()
      case 'data':
        return this.#data()
      case 'trailer':
        return this.#trailer()
    }
  }

  #answer(state: Answering): boolean {
    const { first } = this.#sink
    if (first === undefined) return false
    if (first === 0 && state === 'times_ack') {
      // The source has had its answer to the times already.
      this.#sink.take(1)
      return this.#forward(this.#line)
    }
    if (first === 0 && state === 'start' && this.#mode.direction === 'write') {
      this.#wait(this.#begin(this.#sink.take(1)))
      return false
    }
    if (first === 0) {
      // An end stands in the record before the client hears of it.
      const goAhead = this.#sink.take(1)
      this.#answered(state, true)
      this.#toSource(goAhead)
      return true
    }
    if (first !== 1 && first !== 2) throw new TransferProtocolError('invalid scp answer')
    const line = this.#sink.line(maxLineBytes)
    if (line === undefined) return false
    if (state === 'start' && this.#mode.direction === 'write') return this.#screened(line, (shown) => this.#toSource(shown))
    this.#answered(state, false)
    this.#toSource(line)
    return true
  }

  /** The go-ahead is kept back meanwhile: what the client does after it comes too late to change the answer. */
  async #begin(goAhead: Buffer): Promise<void> {
    this.#into = await sinksInto(this.#mode, this.#paths)
    if (this.#running.ended) return
    this.#toSource(goAhead)
    this.#answered('start', true)
  }

  #answered(state: Answering, accepted: boolean): void {
    const open = this.#open
    this.#state = 'record'
    if (state === 'start' || open === undefined) return
    if (state === 'record_ack' && accepted && open.entry.kind === 'file') return this.#beginData(open.entry.size)
    this.#open = undefined
    if (state === 'data_ack') open.finish(this.#content(accepted))
    else if (open.entry.kind === 'file') open.finish({ status: 'refused' })
    else {
      if (accepted) this.#inside.push(open.path)
      open.finish({ status: accepted ? 'ok' : 'refused' })
    }
  }

  #record(): boolean {
    const line = this.#source.line(maxLineBytes)
    if (line === undefined) return false
    const record = parseScpRecord(line.subarray(0, -1))
    switch (record.kind) {
      case 'error':
        // No answer follows an error between files.
        if (this.#mode.direction === 'read' && !this.#anythingAllowed) return this.#screened(line, (shown) => this.#toSink(shown))
        this.#toSink(line)
        return true
      case 'times':
        // Times of a file that may be denied: they go on with its line.
        this.#times = { mtime: record.mtime, line }
        this.#toSource(Buffer.of(0))
        return true
      case 'end':
        if (this.#inside.pop() === undefined) throw new TransferProtocolError('scp leaves a directory that it did not enter')
        return this.#forward(line)
      case 'file':
      case 'directory':
        this.#wait(this.#entry(record, line))
        return false
    }
  }

  #forward(line: Buffer): boolean {
    this.#toSink(line)
    this.#state = 'record_ack'
    return true
  }

  async #entry(entry: ScpEntry, line: Buffer): Promise<void> {
    const top = this.#inside.length === 0
    if (entry.kind === 'directory' && (!this.#mode.recursive || this.#inside.length >= maxDepth)) {
      throw new TransferProtocolError('scp sends a directory that was not asked for')
    }
    if (top && this.#mode.direction === 'read' && !isNameOf(this.#mode, entry.name)) {
      throw new TransferProtocolError('scp sends another file than was asked for')
    }
    this.#moved = 0
    const place = { inside: this.#inside.at(-1), into: this.#into }
    const times = this.#times
    this.#times = undefined
    const at = await locate(this.#mode, entry, place, this.#paths)
    const operation = scpOperation(this.#mode, entry, at.path, times?.mtime)
    const verdict = await this.#decide(operation)
    if (!verdict.allowed) return this.#refuse(verdict.message)
    const finish = this.#running.start(verdict, () => ({ ...this.#counted(), status: 'interrupted' }))
    // Anybody on the target may have moved a link while the decision was held.
    const now = await locate(this.#mode, entry, place, this.#paths)
    if (this.#running.ended) return
    if (now.missing || now.path !== at.path) {
      finish({ status: now.missing ? 'no_such_file' : 'changed' })
      return this.#refuse(now.missing ? 'No such file or directory' : 'the path leads elsewhere than when it was decided')
    }
    this.#anythingAllowed = true
    this.#open = { finish, entry, path: at.path }
    if (times === undefined) this.#forward(line)
    else {
      this.#toSink(times.line)
      this.#line = line
      this.#state = 'times_ack'
    }
  }

  async #decide(operation: FileOperation): Promise<FileVerdict> {
    try {
      return await this.#authority.decide(operation)
    } catch {
      return { allowed: false, message: 'the decision failed' }
    }
  }

  /** The source goes on with the next file, as after any error of a sink; a client that is the sink is told, too. */
  #refuse(message: string): void {
    // The decision may come after the channel's end.
    if (this.#running.ended) return
    const line = Buffer.from(`\x01scp: ${message.replace(/\p{Cc}/gu, ' ')}\n`)
    this.#toSource(line)
    if (this.#mode.direction === 'read') this.#toSink(line)
    this.#state = 'record'
  }

  /** An error of the target that may tell whether the path exists. */
  #screened(line: Buffer, show: (line: Buffer) => void): boolean {
    this.#wait(this.#screen(line, show))
    return false
  }

  async #screen(line: Buffer, show: (line: Buffer) => void): Promise<void> {
    const { path } = await locate({ ...this.#mode, direction: 'read' }, { name: '' }, { inside: undefined, into: undefined }, this.#paths)
    const verdict = await this.#decide(baseOperation(path))
    if (verdict.allowed) this.#running.start(verdict, () => ({ status: 'interrupted' }))({ status: 'failure' })
    if (this.#running.ended) return
    show(verdict.allowed ? line : Buffer.concat([line.subarray(0, 1), Buffer.from(`scp: ${verdict.message.replace(/\p{Cc}/gu, ' ')}\n`)]))
    this.#state = 'record'
  }

  #wait(work: Promise<void>): void {
    this.#state = 'wait'
    const ended = (failure?: unknown) => {
      this.#guarded(() => {
        if (failure !== undefined) throw failure instanceof Error ? failure : new Error('no error')
        this.#pump()
      })
    }
    work.then(() => ended(), ended)
  }

  #beginData(size: number): void {
    this.#left = size
    this.#hash = createHash('sha256')
    this.#sourceFailed = false
    this.#state = size === 0 ? 'trailer' : 'data'
  }

  #data(): boolean {
    if (this.#source.length === 0) return false
    const bytes = this.#source.take(this.#left)
    this.#left -= bytes.length
    this.#moved += bytes.length
    this.#hash?.update(bytes)
    this.#toSink(bytes)
    if (this.#left === 0) this.#state = 'trailer'
    return true
  }

  #trailer(): boolean {
    const { first } = this.#source
    if (first === undefined) return false
    if (first !== 0 && first !== 1 && first !== 2) throw new TransferProtocolError('invalid end of an scp file')
    const end = first === 0 ? this.#source.take(1) : this.#source.line(maxLineBytes)
    if (end === undefined) return false
    this.#sourceFailed = first !== 0
    this.#toSink(end)
    this.#state = 'data_ack'
    return true
  }

  /** @param accepted whether the sink has it all */
  #content(accepted: boolean): FileResult {
    const sha256 = this.#hash?.digest('hex')
    this.#hash = undefined
    const whole = accepted && !this.#sourceFailed && sha256 !== undefined
    return { ...this.#counted(), ...(whole ? { sha256, status: 'complete' } : { status: 'partial' }) }
  }

  #counted(): FileResult {
    return this.#mode.direction === 'read' ? { bytesRead: this.#moved } : { bytesWritten: this.#moved }
  }

  #toSource(bytes: Buffer): void {
    if (this.#mode.direction === 'read') this.#sinks.toServer(bytes)
    else this.#sinks.toClient(bytes)
  }

  #toSink(bytes: Buffer): void {
    if (this.#mode.direction === 'read') this.#sinks.toClient(bytes)
    else this.#sinks.toServer(bytes)
  }
}
