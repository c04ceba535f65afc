import type { Socket } from 'node:net'
import { FrameReader, MessageCursor, maxAuthMessageBytes } from '../codec/index.js'

/** The client went away. */
export class ClosedError extends Error {}

/** More than the largest handshake message is never buffered. */
const maxBuffered = maxAuthMessageBytes + 16

/** Reads handshake messages one at a time; holds back the socket beyond what a message needs. */
export class HandshakeInput {
  #bytes: Buffer = Buffer.alloc(0)
  #wake: (() => void) | undefined
  #closed = false

  constructor(readonly socket: Socket) {
    socket.on('data', this.#onData)
    socket.on('close', this.#onClose)
    socket.on('end', this.#onClose)
  }

  get buffered(): number {
    return this.#bytes.length
  }

  /** The next byte, without taking it. */
  async peek(): Promise<number> {
    while (this.#bytes.length === 0) await this.#more()
    return this.#bytes[0] ?? 0
  }

  /** Waits until `read` finds a whole packet and takes it. */
  async take<T>(read: (bytes: Buffer) => { readonly packet: T; readonly length: number } | undefined): Promise<T> {
    for (;;) {
      const result = read(this.#bytes)
      if (result) {
        this.#bytes = this.#bytes.subarray(result.length)
        return result.packet
      }
      await this.#more()
    }
  }

  /** Waits for one typed message; bytes behind it stay. */
  async takeFrame(reader: FrameReader): Promise<MessageCursor> {
    for (;;) {
      const chunk = this.#bytes
      this.#bytes = Buffer.alloc(0)
      reader.push(chunk)
      if (reader.next()) {
        const rest = reader.buffered
        this.#bytes = rest > 0 ? Buffer.from(reader.buffer.subarray(reader.end, reader.end + rest)) : this.#bytes
        return new MessageCursor(reader.buffer, reader.start, reader.end)
      }
      await this.#more()
    }
  }

  /** What was read beyond the handshake. */
  rest(): Buffer {
    const rest = this.#bytes
    this.#bytes = Buffer.alloc(0)
    return rest
  }

  /** Lets go of the socket, paused. */
  release(): Socket {
    this.socket.pause()
    this.socket.off('data', this.#onData)
    this.socket.off('close', this.#onClose)
    this.socket.off('end', this.#onClose)
    return this.socket
  }

  #onData = (chunk: Buffer): void => {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk])
    if (this.#bytes.length > maxBuffered) this.socket.pause()
    this.#wake?.()
  }

  #onClose = (): void => {
    this.#closed = true
    this.#wake?.()
  }

  async #more(): Promise<void> {
    if (this.#closed) throw new ClosedError()
    this.socket.resume()
    const before = this.#bytes.length
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    this.#wake = undefined
    if (this.#closed && this.#bytes.length === before) throw new ClosedError()
  }
}
