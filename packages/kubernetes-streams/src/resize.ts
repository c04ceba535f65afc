import { Readable } from 'node:stream'
import { limitError, protocolError } from './errors.js'
import type { TerminalSize } from './faces.js'
import { ignore } from './inbox.js'
import { MAX_RESIZE, MAX_WAITING_RESIZES } from './limits.js'

/** A terminal size as client-go's encoder writes it. */
export function encodeResize(size: TerminalSize): Buffer {
  return Buffer.from(`${JSON.stringify({ Width: size.width, Height: size.height })}\n`)
}

/** The sizes that a client announced, from a stream of flat JSON objects. A slow reader loses all but the last ones. */
export class ResizeStream extends Readable {
  #text = ''
  readonly #waiting: TerminalSize[] = []
  #wanted = false
  #ended = false

  constructor() {
    super({ objectMode: true, highWaterMark: 1 })
    this.on('error', ignore)
  }

  /** Throws {@link StreamsError}. */
  deliver(bytes: Buffer): void {
    this.#text += bytes.toString('latin1')
    for (let end = this.#text.indexOf('}'); end >= 0; end = this.#text.indexOf('}')) {
      const piece = this.#text.slice(0, end + 1)
      this.#text = this.#text.slice(end + 1)
      this.#add(decodeResize(piece))
    }
    if (this.#text.length > MAX_RESIZE) throw limitError(`a terminal size is at most ${MAX_RESIZE} bytes`)
  }

  endOfStream(): void {
    this.#ended = true
    if (this.#wanted) this._read()
  }

  override _read(): void {
    const next = this.#waiting.shift()
    this.#wanted = next === undefined && !this.#ended
    if (next !== undefined) this.push(next)
    else if (this.#ended) this.push(null)
  }

  #add(size: TerminalSize): void {
    if (this.#ended || this.destroyed) return
    if (this.#waiting.length >= MAX_WAITING_RESIZES) this.#waiting.shift()
    this.#waiting.push(size)
    if (this.#wanted) this._read()
  }
}

function decodeResize(piece: string): TerminalSize {
  const match = /^\s*\{\s*"Width"\s*:\s*(\d{1,5})\s*,\s*"Height"\s*:\s*(\d{1,5})\s*\}$/.exec(piece)
  const width = Number(match?.[1])
  const height = Number(match?.[2])
  // uint16 each, as client-go's TerminalSize.
  if (!(width <= 65_535 && height <= 65_535)) throw protocolError('not a terminal size')
  return { width, height }
}
