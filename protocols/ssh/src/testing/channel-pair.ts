import type { ByteChannel, ChannelError, ChannelReader } from '@sallyport/kit'

/** Two ends of a byte stream in memory, with windows like the tunnel's. For tests. */
export function channelPair(window = 256 * 1024): readonly [ByteChannel, ByteChannel] {
  const a = new MemoryChannel(window)
  const b = new MemoryChannel(window)
  a.peer = b
  b.peer = a
  return [a, b]
}

class MemoryChannel implements ByteChannel {
  peer: MemoryChannel | undefined
  #credit: number
  #reader: ChannelReader | undefined
  #early: ((reader: ChannelReader) => void)[] = []
  #waiting: (() => void)[] = []
  #closed = false

  constructor(window: number) {
    this.#credit = window
  }

  write(bytes: Uint8Array): boolean {
    this.#credit -= bytes.length
    const copy = Buffer.from(bytes)
    setImmediate(() => this.peer?.deliver((reader) => reader.onData(copy)))
    return this.#credit > 0
  }

  writable(): Promise<void> {
    if (this.#credit > 0 || this.#closed) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  start(reader: ChannelReader): void {
    this.#reader = reader
    const early = this.#early
    this.#early = []
    for (const run of early) run(reader)
  }

  consumed(bytes: number): void {
    this.peer?.credit(bytes)
  }

  end(): void {
    setImmediate(() => this.peer?.deliver((reader) => reader.onEnd()))
  }

  close(error?: ChannelError): void {
    if (this.#closed) return
    this.#closed = true
    setImmediate(() => {
      this.peer?.deliver((reader) => reader.onClose(error))
      this.peer?.shut()
    })
  }

  deliver(run: (reader: ChannelReader) => void): void {
    if (this.#closed) return
    if (this.#reader) run(this.#reader)
    else this.#early.push(run)
  }

  credit(bytes: number): void {
    this.#credit += bytes
    if (this.#credit <= 0) return
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }

  shut(): void {
    this.#closed = true
    for (const resolve of this.#waiting) resolve()
  }
}
