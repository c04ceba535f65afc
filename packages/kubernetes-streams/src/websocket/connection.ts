import type { Duplex } from 'node:stream'
import { StreamProtocolError } from '../errors.js'
import { encodeWebSocketFrame, opcodes, WebSocketFrameReader, type WebSocketFrame } from './frames.js'

export interface WebSocketHandlers {
  /** Bytes of a message as they come: `first` begins one, `last` ends it. */
  onMessage(bytes: Buffer, first: boolean, last: boolean): void
  /** Over, for whatever reason; once. */
  onClose(error: Error | undefined): void
}

/** A WebSocket (RFC 6455) over a connection whose handshake is done. Binary messages only, no extensions. */
export class WebSocketConnection {
  readonly #reader: WebSocketFrameReader
  #inMessage = false
  #over = false
  #closing = false

  constructor(
    private readonly duplex: Duplex,
    private readonly role: 'client' | 'server',
    private readonly handlers: WebSocketHandlers,
  ) {
    this.#reader = new WebSocketFrameReader(role === 'server', (frame) => this.#frame(frame))
    duplex.on('data', (bytes: Buffer) => this.#data(bytes))
    duplex.on('error', (error: Error) => this.#finish(error))
    duplex.once('end', () => this.#finish(this.#closing ? undefined : new StreamProtocolError('the connection ended without a close frame')))
    duplex.once('close', () => this.#finish(this.#closing ? undefined : new StreamProtocolError('the connection was broken off')))
  }

  /** Sends one binary message; false when the peer takes no more until {@link drained}. */
  send(payload: Uint8Array, prefix?: number): boolean {
    if (this.#over || this.#closing) return true
    return this.duplex.write(encodeWebSocketFrame(opcodes.binary, payload, this.role === 'client', prefix))
  }

  drained(): Promise<void> {
    const { duplex } = this
    if (this.#over || !duplex.writableNeedDrain) return Promise.resolve()
    return new Promise((resolve) => {
      const done = (): void => {
        duplex.off('drain', done).off('close', done)
        resolve()
      }
      duplex.on('drain', done).on('close', done)
    })
  }

  pause(): void {
    this.duplex.pause()
  }

  resume(): void {
    this.duplex.resume()
  }

  /** Sends a close frame and ends the connection. */
  close(code = 1000): void {
    if (this.#closing || this.#over) return
    this.#closing = true
    const payload = Buffer.allocUnsafe(2)
    payload.writeUInt16BE(code)
    this.duplex.end(encodeWebSocketFrame(opcodes.close, payload, this.role === 'client'))
  }

  destroy(): void {
    this.duplex.destroy()
  }

  #data(bytes: Buffer): void {
    if (this.#over) return
    try {
      this.#reader.push(bytes)
    } catch (error) {
      this.close(1002)
      this.#finish(error instanceof Error ? error : new StreamProtocolError('unreadable'))
      this.duplex.destroy()
    }
  }

  #frame({ fin, opcode, payload }: WebSocketFrame): void {
    switch (opcode) {
      case opcodes.text:
        throw new StreamProtocolError('a WebSocket message is text')
      case opcodes.binary:
        if (this.#inMessage) throw new StreamProtocolError('a WebSocket message begins in the middle of another')
        this.#inMessage = !fin
        this.handlers.onMessage(payload, true, fin)
        return
      case opcodes.continuation:
        if (!this.#inMessage) throw new StreamProtocolError('a WebSocket message goes on that has not begun')
        this.#inMessage = !fin
        this.handlers.onMessage(payload, false, fin)
        return
      case opcodes.ping:
        if (!this.#closing) this.duplex.write(encodeWebSocketFrame(opcodes.pong, payload, this.role === 'client'))
        return
      case opcodes.close:
        this.close()
        this.#finish(undefined)
    }
  }

  #finish(error: Error | undefined): void {
    if (this.#over) return
    this.#over = true
    this.handlers.onClose(error)
  }
}
