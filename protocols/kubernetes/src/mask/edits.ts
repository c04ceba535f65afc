/** Replacements of single spans in bytes: everything between them stays as it was. */
export class Edits {
  readonly #starts: number[] = []
  readonly #ends: number[] = []
  readonly #texts: Buffer[] = []

  get count(): number {
    return this.#starts.length
  }

  /** Spans are given in any order and never overlap. */
  replace(start: number, end: number, text: string): void {
    this.#starts.push(start)
    this.#ends.push(end)
    this.#texts.push(Buffer.from(text, 'utf8'))
  }

  /** The bytes with every replacement made; undefined when there is none. */
  apply(bytes: Buffer): Buffer | undefined {
    if (this.#starts.length === 0) return undefined
    const order = [...this.#starts.keys()].sort((a, b) => (this.#starts[a] ?? 0) - (this.#starts[b] ?? 0))
    const parts: Buffer[] = []
    let from = 0
    for (const index of order) {
      parts.push(bytes.subarray(from, this.#starts[index]), this.#texts[index] ?? Buffer.alloc(0))
      from = this.#ends[index] ?? bytes.length
    }
    parts.push(bytes.subarray(from))
    return Buffer.concat(parts)
  }
}
