import type { FileResult, FileVerdict } from './file-authority.js'

type Allowed = Extract<FileVerdict, { allowed: true }>

/** Operations that were allowed and aren't finished. Each is told its result exactly once, the end of the channel included. */
export class RunningOperations {
  readonly #open = new Set<() => void>()
  #ended = false

  get ended(): boolean {
    return this.#ended
  }

  /**
   * @param atEnd what is known of the operation when the channel ends before it does
   * @returns how to finish it; what comes after the first call is left out
   */
  start(verdict: Allowed, atEnd: () => FileResult): (result: FileResult) => void {
    const end = () => finish(atEnd())
    const finish = (result: FileResult) => {
      if (this.#open.delete(end)) verdict.finish(result)
    }
    this.#open.add(end)
    if (this.#ended) end()
    return finish
  }

  /** @returns false when a result could not be told */
  end(): boolean {
    this.#ended = true
    let told = true
    for (const end of [...this.#open]) {
      try {
        end()
      } catch {
        // The others have results, too.
        told = false
      }
    }
    return told
  }
}
