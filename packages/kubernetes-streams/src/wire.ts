import type { Duplex } from 'node:stream'
import { asStreamsError, limitError, StreamsError } from './errors.js'
import { CLOSE_GRACE_MS, LAST_WORD_MS, MAX_ANSWER_BACKLOG, SEND_AHEAD } from './limits.js'

export interface WireReader {
  /** May throw {@link StreamsError}, which then goes to {@link broken}. */
  bytes(chunk: Buffer): void
  /** The peer sends no more. */
  end(): void
  /** The peer spoke wrongly or flooded; the reader says so to the peer, if it can, and aborts. */
  broken(error: StreamsError): void
  /** The connection is over; called once. */
  over(error: StreamsError | undefined): void
}

/** One connection: reads it as long as nobody holds it, and tells senders when it takes more. Owns and closes the duplex. */
export class Wire {
  #drained: (() => void)[] = []
  #answers = 0
  #over = false
  #ending = false
  #reason: StreamsError | undefined
  #grace: NodeJS.Timeout | undefined

  constructor(
    private readonly duplex: Duplex,
    private readonly reader: WireReader,
  ) {}

  /** Begins to read, with what HTTP's parser had already read beyond the head. */
  start(head: Buffer): void {
    const { duplex } = this
    duplex.on('error', (error) => this.#finish(asStreamsError(error)))
    duplex.on('close', () => this.#finish(undefined))
    duplex.on('end', () => {
      if (!this.#over) this.reader.end()
    })
    duplex.on('drain', () => this.#drain())
    if (duplex.destroyed) return this.#finish(undefined)
    if (head.length > 0) this.#take(head)
    duplex.on('data', (chunk: Buffer) => this.#take(chunk))
  }

  get over(): boolean {
    return this.#over
  }

  /** No more is written than may wait for the peer's side to take it. */
  get clear(): boolean {
    return this.duplex.writableLength < SEND_AHEAD
  }

  hold(held: boolean): void {
    if (this.#over || this.#ending) return
    if (held) this.duplex.pause()
    else this.duplex.resume()
  }

  /** Writes in one piece; `sent` is called when more may be written, not at all when the connection ends before. */
  send(head: Buffer, payload: Buffer | undefined, sent: () => void): void {
    if (this.#over || this.#ending) return
    this.#write(head, payload)
    if (this.clear) sent()
    else this.#drained.push(sent)
  }

  /** Writes what the peer's own frames ask for: bounded, for a peer that asks and never reads would fill the memory. */
  answer(bytes: Buffer): void {
    if (this.#over || this.#ending) return
    this.#write(bytes, undefined)
    if (!this.duplex.writableNeedDrain) {
      this.#answers = 0
      return
    }
    this.#answers += bytes.length
    if (this.#answers > MAX_ANSWER_BACKLOG) this.reader.broken(limitError('the peer asks for answers and reads none'))
  }

  /** Calls back when the peer takes more; at once if it does now. */
  whenClear(then: () => void): void {
    if (this.#over || this.#ending) return
    if (this.clear) then()
    else this.#drained.push(then)
  }

  /** Writes the last bytes. The grace begins when they have left, so that a slow reader loses nothing of what was sent before. */
  last(bytes: Buffer): void {
    if (this.#over || this.#ending) return
    this.duplex.resume()
    this.duplex.write(bytes, () => this.#expire())
  }

  /** Closes after what was written; a peer that then takes longer than the grace to close is cut off. */
  end(): void {
    if (this.#over || this.#ending) return
    this.#ending = true
    this.duplex.resume()
    this.duplex.end(() => this.#expire())
  }

  /** The connection is over for this side at once, for a reason or properly; what was written before, a last word among it, has a moment to leave. */
  cut(reason?: StreamsError): void {
    if (this.#over) return
    this.#reason ??= reason
    this.#finish(reason)
    const { duplex } = this
    duplex.resume()
    const timer = setTimeout(() => duplex.destroy(), LAST_WORD_MS).unref()
    duplex.once('close', () => clearTimeout(timer))
    duplex.end(() => duplex.destroy())
  }

  /** The peer is to close by itself within the grace. */
  #expire(): void {
    if (!this.#over) this.#grace ??= setTimeout(() => this.duplex.destroy(), CLOSE_GRACE_MS).unref()
  }

  #write(head: Buffer, payload: Buffer | undefined): void {
    if (payload === undefined) {
      this.duplex.write(head)
      return
    }
    this.duplex.cork()
    this.duplex.write(head)
    this.duplex.write(payload)
    this.duplex.uncork()
  }

  #take(chunk: Buffer): void {
    if (this.#over) return
    try {
      this.reader.bytes(chunk)
    } catch (error) {
      if (!(error instanceof StreamsError)) throw error
      this.reader.broken(error)
    }
  }

  #drain(): void {
    this.#answers = 0
    const waiting = this.#drained
    this.#drained = []
    for (const sent of waiting) sent()
  }

  #finish(error: StreamsError | undefined): void {
    if (this.#over) return
    this.#over = true
    clearTimeout(this.#grace)
    this.#drained = []
    this.reader.over(this.#reason ?? error)
  }
}
