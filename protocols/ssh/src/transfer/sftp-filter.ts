import { Batch } from './batch.js'
import { CanonicalPaths } from './canonical-paths.js'
import { DecidedOperations } from './decided-operations.js'
import { Drained } from './drained.js'
import type { FileAuthority, FilterSinks } from './file-authority.js'
import { HandleOperations, handlesOf, isCovered } from './handle-operations.js'
import { Planner, type DecidedRequest } from './operations.js'
import { RunningOperations } from './running.js'
import { LinkEndedError, ServerLink } from './server-link.js'
import { SftpFrames, TransferProtocolError, encodeInit, filterVersion, parseInit, parseRequest, type Request } from './sftp-codec.js'

export interface SftpFilterOptions {
  /** Files and directories open at once. */
  readonly maxHandles?: number
  /** Requests at the server at once; more wait. */
  readonly maxOutstanding?: number
  /** Bytes of a client that wait to be read before the channel is ended; whoever feeds the filter stops long before. */
  readonly maxPendingBytes?: number
}

const defaults = { maxHandles: 128, maxOutstanding: 256, maxPendingBytes: 8 * 1024 * 1024 }

interface Waiting {
  readonly frame: Buffer
  readonly request: Request
}

/** What is being resolved or decided. */
interface Step {
  /** Undefined until they are known. */
  paths: readonly string[] | undefined
}

/**
 * Stands between an SFTP client and the target's sftp-server, and lets through only what an authority allowed, on the canonical
 * path that it was asked about. Pure: bytes in, bytes out.
 *
 * Order: requests run in the order in which they came. While one is being decided, requests on handles go on, up to the first
 * that names a path or a handle to what is being decided; the rest waits and counts in `pendingBytes`.
 *
 * What stays open: between REALPATH and the operation, somebody who may already write on the target can swap a directory for a
 * symbolic link. A held operation is resolved again after its decision, so the window is a round trip, not the hold.
 */
export class SftpFilter {
  readonly #sinks: FilterSinks
  readonly #limits: Required<SftpFilterOptions>
  readonly #toServer: Batch
  readonly #toClient: Batch
  readonly #link: ServerLink
  readonly #paths: CanonicalPaths
  readonly #handles: HandleOperations
  readonly #decided: DecidedOperations
  readonly #running = new RunningOperations()
  readonly #fromClient = new SftpFrames()
  readonly #fromServer = new SftpFrames()
  #phase: 'init' | 'version' | 'open' | 'dead' = 'init'
  /** The next request, when it can't run yet. */
  #stalled: Waiting | undefined
  #step: Step | undefined
  readonly #drained = new Drained()

  constructor(authority: FileAuthority, sinks: FilterSinks, options: SftpFilterOptions = {}) {
    this.#sinks = sinks
    this.#limits = { ...defaults, ...options }
    this.#toServer = new Batch((bytes) => sinks.toServer(bytes))
    this.#toClient = new Batch((bytes) => sinks.toClient(bytes))
    this.#link = new ServerLink(this.#toServer)
    this.#paths = new CanonicalPaths(this.#link)
    this.#handles = new HandleOperations(this.#link, this.#toClient, this.#limits.maxHandles)
    this.#decided = new DecidedOperations({
      authority,
      planner: new Planner(this.#paths, this.#link),
      link: this.#link,
      handles: this.#handles,
      running: this.#running,
      toClient: this.#toClient,
    })
  }

  /** Bytes taken in and not passed on: whoever feeds the filter pauses its source above some limit of its own. */
  get pendingBytes(): number {
    return this.#fromClient.buffered + this.#fromServer.buffered + (this.#stalled?.frame.length ?? 0)
  }

  fromClient(bytes: Buffer): void {
    this.#guarded(() => {
      this.#fromClient.push(bytes)
      this.#pump()
      if (this.#fromClient.buffered > this.#limits.maxPendingBytes) throw new TransferProtocolError('the SFTP client does not wait')
    })
  }

  fromServer(bytes: Buffer): void {
    this.#guarded(() => {
      this.#fromServer.push(bytes)
      for (let frame = this.#fromServer.next(); frame !== undefined; frame = this.#fromServer.next()) this.#answered(frame)
      this.#pump()
    })
  }

  /** The client will send no more. Resolves when all that it had asked was sent on or refused: the server's input may end then. */
  async clientEnded(): Promise<void> {
    if (!this.#idle) await this.#drained.wait()
  }

  /** The server will send no more: nothing runs any longer, and every operation gets its result. */
  serverEnded(): void {
    this.close()
  }

  /** The whole channel has ended. What is still being decided won't run, whatever the decision. */
  close(): void {
    if (this.#phase !== 'dead' && !this.#end()) this.#sinks.fail('the result of a file operation could not be recorded')
  }

  get #idle(): boolean {
    return this.#phase === 'dead' || (this.#step === undefined && this.#stalled === undefined)
  }

  #guarded(work: () => void): void {
    if (this.#phase === 'dead') return
    try {
      work()
      this.#toServer.flush()
      this.#toClient.flush()
    } catch (error) {
      this.#end()
      this.#sinks.fail(error instanceof TransferProtocolError ? error.message : 'the SFTP filter failed')
    }
    if (this.#idle) this.#drained.resolve()
  }

  #end(): boolean {
    this.#phase = 'dead'
    this.#stalled = undefined
    this.#link.end()
    const told = this.#running.end()
    this.#handles.release()
    this.#drained.resolve()
    return told
  }

  #pump(): void {
    while (this.#phase !== 'dead' && this.#link.size < this.#limits.maxOutstanding) {
      const next = this.#stalled ?? this.#next()
      if (next === undefined) return
      const { request, frame } = next
      this.#stalled = this.#mayRun(request) ? undefined : next
      if (this.#stalled !== undefined) return
      if (isCovered(request)) this.#handles.run({ frame, request })
      else this.#decide(request)
    }
  }

  #next(): Waiting | undefined {
    if (this.#phase === 'version') return undefined
    const frame = this.#fromClient.next()
    if (frame === undefined) return undefined
    if (this.#phase === 'open') return { frame, request: parseRequest(frame) }
    parseInit(frame)
    this.#phase = 'version'
    this.#toServer.add(encodeInit())
    return undefined
  }

  /** Requests keep their order wherever it could matter: see the class. */
  #mayRun(request: Request): boolean {
    if (this.#step === undefined) return true
    const { paths } = this.#step
    if (paths === undefined || !isCovered(request)) return false
    return handlesOf(request).every((handle) => {
      const path = this.#handles.pathOf(handle)
      return path === undefined || !paths.some((other) => other === path || other === '/' || path.startsWith(`${other}/`))
    })
  }

  #answered(frame: Buffer): void {
    if (this.#phase === 'init') throw new TransferProtocolError('the SFTP server spoke first')
    if (this.#phase === 'open' || this.#step !== undefined) return this.#link.receive(frame)
    const version = filterVersion(frame)
    this.#start(async () => {
      // Relative paths need their start before the first request is read.
      await this.#paths.findHome()
      if (this.#phase === 'version') this.#phase = 'open'
      this.#toClient.add(version.packet)
    })
  }

  #decide(request: DecidedRequest): void {
    this.#start(async (step) => {
      await this.#decided.run(request, (paths) => {
        step.paths = paths
        this.#guarded(() => this.#pump())
      })
    })
  }

  /** Requests that could overtake `work` wait until it ends. Its failure ends the channel. */
  #start(work: (step: Step) => Promise<void>): void {
    const step: Step = { paths: undefined }
    this.#step = step
    const ended = (failure?: unknown) => {
      this.#guarded(() => {
        if (failure !== undefined && !(failure instanceof LinkEndedError)) throw failure instanceof Error ? failure : new Error('no error')
        this.#step = undefined
        this.#pump()
      })
    }
    work(step).then(() => ended(), ended)
  }
}
