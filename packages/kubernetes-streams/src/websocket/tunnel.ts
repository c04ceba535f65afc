import { Duplex } from 'node:stream'
import { WebSocketConnection } from './connection.js'

/** A byte stream inside the binary messages of a WebSocket: how SPDY is tunnelled (Kubernetes KEP-4006). */
export class WebSocketTunnel extends Duplex {
  readonly #socket: WebSocketConnection

  constructor(duplex: Duplex, role: 'client' | 'server') {
    super({ allowHalfOpen: false })
    this.#socket = new WebSocketConnection(duplex, role, {
      onMessage: (bytes) => {
        if (bytes.length > 0 && !this.push(bytes)) this.#socket.pause()
      },
      onClose: (error) => {
        if (error === undefined) this.push(null)
        else this.destroy(error)
      },
    })
  }

  override _read(): void {
    this.#socket.resume()
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#socket.send(bytes)) done()
    else void this.#socket.drained().then(() => done())
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.close()
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy()
    done(error)
  }
}
