/** Things to close, in reverse order of opening; also when opening them all never came to its end. */
export class Resources {
  readonly #closers: (() => Promise<void> | void)[] = []
  #closing: Promise<void> | undefined

  /** Throws once closing began, so that nothing new is started behind its back. */
  ensureOpen(): void {
    if (this.#closing !== undefined) throw new Error('stopping')
  }

  defer(closer: () => Promise<void> | void): void {
    this.#closers.push(closer)
  }

  /** Idempotent. One closer's failure doesn't keep the others from running. */
  close(): Promise<void> {
    this.#closing ??= this.#closeAll()
    return this.#closing
  }

  async #closeAll(): Promise<void> {
    for (let closer = this.#closers.pop(); closer !== undefined; closer = this.#closers.pop()) {
      try {
        await closer()
      } catch (error) {
        process.stderr.write(`while stopping: ${error instanceof Error ? error.message : String(error)}\n`)
      }
    }
  }
}
