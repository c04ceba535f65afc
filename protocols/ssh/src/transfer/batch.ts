/** Pieces up to this size are put together: a channel sends every write as a packet of its own. */
const groupBytes = 32 * 1024

/** Collects what one turn writes and hands it on in few, larger pieces. */
export class Batch {
  readonly #write: (bytes: Buffer) => void
  #pieces: Buffer[] = []
  #bytes = 0

  constructor(write: (bytes: Buffer) => void) {
    this.#write = write
  }

  add(bytes: Buffer): void {
    this.#pieces.push(bytes)
    this.#bytes += bytes.length
    if (this.#bytes >= groupBytes) this.flush()
  }

  flush(): void {
    const pieces = this.#pieces
    const [first] = pieces
    if (first === undefined) return
    this.#pieces = []
    this.#bytes = 0
    this.#write(pieces.length === 1 ? first : Buffer.concat(pieces))
  }
}
