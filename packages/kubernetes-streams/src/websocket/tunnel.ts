import { Duplex } from 'node:stream'
import type { StreamsError } from '../errors.js'
import { ignore, InboundStream } from '../inbox.js'
import { DATA_FRAME } from '../limits.js'
import { WebSocketConnection, type ConnectionOptions, type MessageSink } from './connection.js'

/**
 * The bytes of binary messages as one stream, whatever the messages' borders: what `SPDY/3.1+portforward.k8s.io` runs in.
 * Ending it closes the WebSocket. Its `error` is a {@link StreamsError}.
 */
export class TunnelDuplex extends Duplex {
  readonly #connection: WebSocketConnection
  readonly #received: InboundStream
  #isOver = false

  constructor(duplex: Duplex, head: Buffer, options: ConnectionOptions) {
    super({ readableHighWaterMark: DATA_FRAME, writableHighWaterMark: DATA_FRAME, allowHalfOpen: true, emitClose: true })
    this.on('error', ignore)
    const sink: MessageSink = {
      messageStart: ignore,
      messageBytes: (bytes) => this.#received.deliver(bytes),
      messageEnd: ignore,
      peerClosed: () => this.#received.endOfStream(),
      over: (error) => this.#over(error),
    }
    this.#connection = new WebSocketConnection(duplex, options, sink)
    this.#received = new InboundStream(this.#connection.gate)
    this.#received.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) this.#received.pause()
    })
    this.#received.on('end', () => this.push(null))
    this.#connection.start(head)
  }

  override _read(): void {
    this.#received.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#connection.send(chunk, done)
  }

  /** A frame's head and its data go out in one message. */
  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: () => void): void {
    this.#connection.send(chunks.length === 1 && chunks[0] ? chunks[0].chunk : Buffer.concat(chunks.map(({ chunk }) => chunk)), done)
  }

  override _final(done: () => void): void {
    this.#connection.close()
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#received.destroy()
    this.#connection.close()
    done(error)
  }

  #over(error: StreamsError | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    if (error) this.destroy(error)
    else this.#received.endOfStream()
  }
}
