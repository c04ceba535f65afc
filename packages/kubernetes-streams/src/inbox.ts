import { Duplex, Readable, Writable } from 'node:stream'
import { CHUNK_COST, CONNECTION_BUFFER, DATA_FRAME, SEND_AHEAD, STREAM_BUFFER } from './limits.js'

/** Small chunks are handed out together up to this size. */
const COALESCE = 16 * 1024

/**
 * Counts what waits for readers on one connection. Neither WebSocket nor the SPDY of Kubernetes (moby/spdystream sends no
 * WINDOW_UPDATE and obeys none) can stop a single stream, so when one reader falls behind the connection is no longer read.
 */
export class Gate {
  #waiting = 0
  #full = 0
  #held = false

  constructor(private readonly apply: (held: boolean) => void) {}

  change(cost: number, full: number): void {
    this.#waiting += cost
    this.#full += full
    const held = this.#full > 0 || this.#waiting > CONNECTION_BUFFER
    if (held === this.#held) return
    this.#held = held
    this.apply(held)
  }
}

/** The received bytes of one stream that its reader hasn't taken. Keeps its own queue, for a Readable counts bytes only. */
class Inbox {
  readonly #chunks: Buffer[] = []
  #cost = 0
  #wanted = false
  #ended = false
  #dropped = false

  constructor(
    private readonly gate: Gate,
    private readonly push: (chunk: Buffer | null) => void,
  ) {}

  deliver(chunk: Buffer): void {
    if (this.#dropped || this.#ended || chunk.length === 0) return
    this.#chunks.push(this.#wanted ? chunk : owned(chunk))
    this.#account(chunk.length + CHUNK_COST)
    if (this.#wanted) this.pull()
  }

  end(): void {
    if (this.#ended || this.#dropped) return
    this.#ended = true
    if (this.#wanted) this.pull()
  }

  pull(): void {
    const first = this.#chunks.shift()
    this.#wanted = first === undefined && !this.#ended
    if (first === undefined) {
      if (this.#ended) this.push(null)
      return
    }
    const taken = [first]
    let size = first.length
    for (let next = this.#chunks[0]; next !== undefined && size + next.length <= COALESCE; next = this.#chunks[0]) {
      this.#chunks.shift()
      taken.push(next)
      size += next.length
    }
    this.#account(-size - taken.length * CHUNK_COST)
    this.push(taken.length === 1 ? first : Buffer.concat(taken, size))
  }

  /** The reader is gone: what waits and what comes is dropped. */
  drop(): void {
    this.#dropped = true
    this.#chunks.length = 0
    this.#account(-this.#cost)
  }

  #account(cost: number): void {
    const was = this.#cost > STREAM_BUFFER
    this.#cost += cost
    const is = this.#cost > STREAM_BUFFER
    this.gate.change(cost, Number(is) - Number(was))
  }
}

/** A slice that waits must not keep the whole socket chunk (or pool) alive that it was cut from. */
function owned(chunk: Buffer): Buffer {
  if (chunk.buffer.byteLength <= 2 * chunk.length + CHUNK_COST) return chunk
  const copy = Buffer.allocUnsafeSlow(chunk.length)
  chunk.copy(copy)
  return copy
}

/** How a stream's bytes leave. */
export interface Lane {
  /** Sends at most DATA_FRAME bytes; `sent` is called when more may be sent, never after the connection is over. */
  send(bytes: Buffer, sent: () => void): void
  /** This side sends no more on the stream. */
  finish(): void
  /** Gives the stream up, both ways. */
  reset(): void
}

/** Has bytes come to it, for readers of this package and for users. Errors without a listener must not end the process. */
export class InboundStream extends Readable {
  readonly #inbox: Inbox

  constructor(gate: Gate) {
    super({ highWaterMark: 1 })
    this.#inbox = new Inbox(gate, (chunk) => this.push(chunk))
    this.on('error', ignore)
  }

  deliver(chunk: Buffer): void {
    this.#inbox.deliver(chunk)
  }

  endOfStream(): void {
    this.#inbox.end()
  }

  override _read(): void {
    this.#inbox.pull()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#inbox.drop()
    done(error)
  }
}

/** Sends what is written to it. */
export class OutboundStream extends Writable {
  constructor(private readonly lane: Lane) {
    super({ highWaterMark: SEND_AHEAD })
    this.on('error', ignore)
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    sendAll(this.lane, chunk, () => this.destroyed, done)
  }

  override _final(done: () => void): void {
    this.lane.finish()
    done()
  }
}

/** Both. Half-close each way; destroying it before both ends are reached resets the stream. */
export class LaneDuplex extends Duplex {
  readonly #inbox: Inbox

  constructor(
    gate: Gate,
    private readonly lane: Lane,
  ) {
    super({ readableHighWaterMark: 1, writableHighWaterMark: SEND_AHEAD, allowHalfOpen: true })
    this.#inbox = new Inbox(gate, (chunk) => this.push(chunk))
    this.on('error', ignore)
  }

  deliver(chunk: Buffer): void {
    this.#inbox.deliver(chunk)
  }

  endOfStream(): void {
    this.#inbox.end()
  }

  override _read(): void {
    this.#inbox.pull()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    sendAll(this.lane, chunk, () => this.destroyed, done)
  }

  override _final(done: () => void): void {
    this.lane.finish()
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#inbox.drop()
    this.lane.reset()
    done(error)
  }
}

/** Sends a chunk of any size in frames, each after the connection took the one before, so that other streams get their turn. */
function sendAll(lane: Lane, chunk: Buffer, gone: () => boolean, done: () => void): void {
  let offset = 0
  let looping = false
  let ready = true
  const step = (): void => {
    ready = true
    if (looping) return
    // A loop instead of recursion: a connection that takes everything at once calls back at once.
    looping = true
    while (ready && !gone()) {
      if (offset >= chunk.length) {
        looping = false
        return done()
      }
      const start = offset
      offset = Math.min(start + DATA_FRAME, chunk.length)
      ready = false
      lane.send(chunk.subarray(start, offset), step)
    }
    looping = false
  }
  step()
}

export function ignore(): void {}
