import type { Frame } from '@sallyport/proto'
import type { FrameSink } from './frame-mux.js'

/**
 * A sink over a stream that tells by a callback when it has passed a message on (Writable's `write(message, done)`).
 * Counts bytes: an object-mode stream's own mark counts messages, and sixteen full batches would stand between a small
 * answer and the wire.
 */
export class StreamSink implements FrameSink {
  readonly #send: (batch: readonly Frame[], done: () => void) => void
  readonly #onDrain: () => void
  readonly #limit: number
  #inFlight = 0
  #full = false

  /** @param onDrain call the multiplexer's `drained` from it. @param limit bytes; default 256 KiB. */
  constructor(send: (batch: readonly Frame[], done: () => void) => void, onDrain: () => void, limit = 256 * 1024) {
    this.#send = send
    this.#onDrain = onDrain
    this.#limit = limit
  }

  write(batch: readonly Frame[]): boolean {
    const size = weigh(batch)
    this.#inFlight += size
    this.#send(batch, () => {
      this.#inFlight -= size
      if (!this.#full || this.#inFlight * 2 > this.#limit) return
      this.#full = false
      this.#onDrain()
    })
    this.#full = this.#inFlight >= this.#limit
    return !this.#full
  }
}

function weigh(batch: readonly Frame[]): number {
  let size = 0
  for (const frame of batch) size += 16 + (frame.data?.length ?? 0) + (frame.open?.grant?.length ?? 0)
  return size
}
