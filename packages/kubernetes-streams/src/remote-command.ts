import { StreamsError, asStreamsError, limitError, protocolError } from './errors.js'
import type { RemoteCommandClient, RemoteCommandServer, RequestedStreams, TerminalSize } from './faces.js'
import { InboundStream, OutboundStream, type Gate, type Lane } from './inbox.js'
import { MAX_STATUS } from './limits.js'
import { encodeResize, ResizeStream } from './resize.js'
import { decodeStatus, encodeStatus, failureStatus, type Status } from './status.js'

export type StreamName = 'stdin' | 'stdout' | 'stderr' | 'error' | 'resize'

/** What carries the streams: WebSocket channels or SPDY streams. */
export interface Carrier {
  readonly gate: Gate
  lane(name: StreamName): Lane
  /** Ends the connection properly after what was sent. */
  close(): void
  abort(reason: StreamsError): void
}

/** What a carrier tells. */
export interface CarrierSink {
  /** Throws {@link StreamsError} for a stream that the peer may not send on. */
  received(name: StreamName, bytes: Buffer): void
  /** The peer ended the stream, or gave it up (`reset`). */
  ended(name: StreamName, reset: boolean): void
  /** The connection is over. */
  over(error: StreamsError | undefined): void
}

function aborted(): StreamsError {
  return new StreamsError('ABORTED', 'the session was ended')
}

class Session {
  readonly closed: Promise<StreamsError | undefined>
  readonly #settle: (reason: StreamsError | undefined) => void

  constructor(
    readonly requested: RequestedStreams,
    protected readonly carrier: Carrier,
  ) {
    const { promise, resolve } = Promise.withResolvers<StreamsError | undefined>()
    this.closed = promise
    this.#settle = resolve
  }

  abort(reason = aborted()): void {
    this.carrier.abort(reason)
  }

  protected settle(reason: StreamsError | undefined): void {
    this.#settle(reason)
  }
}

/** The server's end over any carrier. */
export class ServerSession extends Session implements RemoteCommandServer, CarrierSink {
  readonly role = 'server'
  readonly stdin: InboundStream | undefined
  readonly stdout: OutboundStream | undefined
  readonly stderr: OutboundStream | undefined
  readonly resizes: ResizeStream | undefined
  #stdinEnded = false
  #finished: Promise<void> | undefined
  #statusSent = false

  constructor(requested: RequestedStreams, carrier: Carrier) {
    super(requested, carrier)
    if (requested.stdin) this.stdin = new InboundStream(carrier.gate)
    if (requested.stdout) this.stdout = new OutboundStream(carrier.lane('stdout'))
    if (requested.stderr) this.stderr = new OutboundStream(carrier.lane('stderr'))
    if (requested.tty) this.resizes = new ResizeStream()
  }

  /** The reason goes out as a status, if it still can: kubectl over SPDY takes an end without one for success. */
  override abort(reason = aborted()): void {
    if (!this.#statusSent) {
      this.carrier.lane('error').send(encodeStatus(failureStatus(reason.message)), () => undefined)
      this.carrier.lane('error').finish()
    }
    super.abort(reason)
  }

  finish(status: Status): Promise<void> {
    this.#finished ??= this.#finish(encodeStatus(status))
    return this.#finished
  }

  async #finish(status: Buffer): Promise<void> {
    const outputs = [this.stdout, this.stderr].filter((stream) => stream !== undefined)
    await Promise.race([this.closed, Promise.all(outputs.map(flushed))])
    const error = this.carrier.lane('error')
    this.#statusSent = true
    error.send(status, () => undefined)
    error.finish()
    if (this.requested.stdin) this.carrier.lane('stdin').finish()
    if (this.requested.tty) this.carrier.lane('resize').finish()
    this.carrier.close()
    // Nothing may keep the connection unread now, or the client's close is never seen.
    this.stdin?.destroy()
    this.resizes?.destroy()
    await this.closed
  }

  received(name: StreamName, bytes: Buffer): void {
    if (name === 'stdin' && this.stdin) {
      if (this.#stdinEnded) throw protocolError('stdin goes on after its end')
      this.stdin.deliver(bytes)
    } else if (name === 'resize' && this.resizes) {
      this.resizes.deliver(bytes)
    } else {
      throw protocolError(`data on ${name}, which the client may not send`)
    }
  }

  ended(name: StreamName, reset: boolean): void {
    if (name === 'stdin') {
      this.#stdinEnded = true
      if (reset) this.stdin?.destroy(new StreamsError('RESET', 'the client gave stdin up'))
      else this.stdin?.endOfStream()
    } else if (name === 'resize') {
      this.resizes?.endOfStream()
    } else if (reset) {
      const output = name === 'stdout' ? this.stdout : name === 'stderr' ? this.stderr : undefined
      output?.destroy(new StreamsError('RESET', `the client gave ${name} up`))
    }
  }

  over(error: StreamsError | undefined): void {
    const reason = error ?? (this.#statusSent ? undefined : new StreamsError('PEER_GONE', 'the client closed before the command ended'))
    for (const stream of [this.stdin, this.stdout, this.stderr, this.resizes]) stream?.destroy(reason)
    this.settle(reason)
  }
}

/** Ends an output stream; resolves when its bytes were taken or it is gone. */
function flushed(stream: OutboundStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || stream.writableFinished) return resolve()
    stream.once('finish', resolve)
    stream.once('close', resolve)
    stream.end()
  })
}

/** The client's end over any carrier. */
export class ClientSession extends Session implements RemoteCommandClient, CarrierSink {
  readonly role = 'client'
  readonly stdin: OutboundStream | undefined
  readonly stdout: InboundStream | undefined
  readonly stderr: InboundStream | undefined
  readonly status: Promise<Status>
  readonly #resize: Lane | undefined
  readonly #statusKnown: PromiseWithResolvers<Status>
  readonly #open = new Set<StreamName>(['error'])
  #statusBytes: Buffer[] = []
  #statusSize = 0
  #good = false

  constructor(requested: RequestedStreams, carrier: Carrier) {
    super(requested, carrier)
    if (requested.stdin) this.stdin = new OutboundStream(carrier.lane('stdin'))
    if (requested.stdout) this.stdout = new InboundStream(carrier.gate)
    if (requested.stderr) this.stderr = new InboundStream(carrier.gate)
    if (requested.tty) this.#resize = carrier.lane('resize')
    if (this.stdout) this.#open.add('stdout')
    if (this.stderr) this.#open.add('stderr')
    this.#statusKnown = Promise.withResolvers<Status>()
    this.status = this.#statusKnown.promise
    // Whoever doesn't ask for the status must not have the process end for it.
    this.status.catch(() => undefined)
  }

  resize(size: TerminalSize): void {
    this.#resize?.send(encodeResize(size), () => undefined)
  }

  received(name: StreamName, bytes: Buffer): void {
    const stream = name === 'stdout' ? this.stdout : name === 'stderr' ? this.stderr : undefined
    if (stream) {
      if (!this.#open.has(name)) throw protocolError(`${name} goes on after its end`)
      stream.deliver(bytes)
      return
    }
    if (name !== 'error') {
      // A kubelet opens its side with an empty message on a stream of its choice; bytes are another thing.
      if (bytes.length > 0) throw protocolError(`data on ${name}, which the server may not send`)
      return
    }
    this.#statusSize += bytes.length
    if (this.#statusSize > MAX_STATUS) throw limitError(`a status is at most ${MAX_STATUS} bytes`)
    this.#statusBytes.push(Buffer.from(bytes))
  }

  ended(name: StreamName, reset: boolean): void {
    if (!this.#open.delete(name)) return
    const stream = name === 'stdout' ? this.stdout : name === 'stderr' ? this.stderr : undefined
    if (name === 'error') this.#readStatus()
    // A kubelet resets its streams when it has closed: with a status that's their end, without one a cut; see over().
    else if (!reset) stream?.endOfStream()
    if (this.#open.size === 0 && this.#good) this.carrier.close()
  }

  over(error: StreamsError | undefined): void {
    this.#readStatus()
    const reason = this.#good ? undefined : (error ?? new StreamsError('PEER_GONE', 'the server closed without a status'))
    this.#statusKnown.reject(reason ?? new StreamsError('PEER_GONE', 'the server closed without a status'))
    this.stdin?.destroy(reason)
    for (const stream of [this.stdout, this.stderr]) {
      if (reason) stream?.destroy(reason)
      else stream?.endOfStream()
    }
    this.settle(reason)
  }

  #readStatus(): void {
    if (this.#good || this.#statusSize === 0) return
    try {
      const status = decodeStatus(Buffer.concat(this.#statusBytes))
      this.#statusBytes = []
      this.#good = true
      this.#statusKnown.resolve(status)
    } catch (error) {
      this.#statusSize = 0
      this.#statusBytes = []
      this.carrier.abort(asStreamsError(error))
    }
  }
}
