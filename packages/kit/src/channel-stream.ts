import { Duplex } from 'node:stream'
import type { ByteChannel, ChannelError } from './channel.js'

/**
 * A session's byte channel as a Node stream, for libraries that want one. It takes the channel over as its one reader and
 * writer, and gives the peer room only as fast as the stream is read. Destroying it closes the channel; when the peer
 * closes it with an error, the stream ends, and {@link onClose} is told.
 */
export class ChannelStream extends Duplex {
  readonly #channel: ByteChannel
  readonly #onClose: (error: ChannelError | undefined) => void
  /** Bytes handed over, for which the peer has not been given room yet. */
  #taken = 0
  #over = false

  constructor(channel: ByteChannel, onClose: (error: ChannelError | undefined) => void) {
    super({ allowHalfOpen: true, emitClose: true })
    this.#channel = channel
    this.#onClose = onClose
    channel.start({
      onData: (bytes) => {
        this.#taken += bytes.length
        if (this.push(bytes)) this.#giveRoom()
      },
      onEnd: () => {
        this.push(null)
      },
      onClose: (error) => {
        this.#over = true
        this.#onClose(error)
        // What came before a clean end is still read.
        if (error !== undefined) this.destroy()
        else if (this.readableEnded) this.destroy()
        else {
          this.once('end', () => this.destroy())
          this.push(null)
        }
      },
    })
  }

  override _read(): void {
    this.#giveRoom()
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#over || this.#channel.write(bytes)) done()
    else void this.#channel.writable().then(() => done())
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    let free = true
    for (const { chunk } of chunks) if (!this.#over) free = this.#channel.write(chunk)
    if (this.#over || free) done()
    else void this.#channel.writable().then(() => done())
  }

  override _final(done: (error?: Error | null) => void): void {
    if (!this.#over) this.#channel.end()
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#over) {
      this.#over = true
      this.#channel.close()
    }
    done(error)
  }

  #giveRoom(): void {
    const bytes = this.#taken
    if (bytes === 0) return
    this.#taken = 0
    this.#channel.consumed(bytes)
  }
}
