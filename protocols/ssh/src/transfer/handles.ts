import { ContentHash, type WaitingBudget } from './content-hash.js'
import type { FileResult } from './file-authority.js'
import type { Opened } from './operations.js'

/** A file or directory that the client has open, with what was moved through it. */
export class OpenHandle {
  readonly #reads: ContentHash
  readonly #writes: ContentHash
  #acknowledged = 0
  /** Requests that the server hasn't answered. */
  #inFlight = 0
  #onSettled: (() => void) | undefined
  /** Where a READ met the end of the file. */
  #endAt: number | undefined
  #failure: string | undefined

  constructor(
    readonly opened: Opened,
    readonly finish: (result: FileResult) => void,
    budget: WaitingBudget,
  ) {
    this.#reads = new ContentHash(budget)
    this.#writes = new ContentHash(budget)
  }

  /** Nothing is kept waiting for a handle that is gone. */
  release(): void {
    this.#reads.spoil()
    this.#writes.spoil()
  }

  /** A request goes to the server. @returns what to call when it is answered, once */
  begin(): () => void {
    this.#inFlight++
    return () => {
      this.#inFlight--
      if (this.#inFlight === 0) this.#onSettled?.()
    }
  }

  /** Once every request that was begun is answered; servers may answer a CLOSE before an earlier READ. */
  whenSettled(then: () => void): void {
    this.#onSettled = then
  }

  wasRead(offset: number, data: Buffer): void {
    this.#reads.add(offset, data)
  }

  metEnd(offset: number): void {
    this.#endAt = Math.min(this.#endAt ?? offset, offset)
  }

  /**
   * Content on its way: hashed now, since it isn't kept until the server says whether it is written. A server appends in the order
   * of arrival, so pieces put in order by their offsets would give a hash of what is not in the file.
   */
  isWritten(offset: number, data: Buffer): void {
    if (this.opened.append && this.#writes.contiguous !== offset) this.#writes.spoil()
    this.#writes.add(offset, data)
  }

  wasWritten(count: number): void {
    this.#acknowledged += count
  }

  /** The server refused a part: what was hashed isn't what is in the file. */
  writeFailed(reason: string): void {
    this.#failure ??= reason
    this.#writes.spoil()
  }

  /** The file gets another length, or with `undefined` another writer: only a cut behind what was written leaves that as it is. */
  changedElsewhere(size: number | undefined): void {
    if (size === undefined || this.#writes.contiguous !== size) this.#writes.spoil()
  }

  /** Content that the server copied by itself was never seen here. */
  copied(side: 'read' | 'write'): void {
    if (side === 'read') this.#reads.spoil()
    else this.#writes.spoil()
  }

  /** @param size of the file when it was closed, where the server told */
  result(size: number | undefined): FileResult {
    if (this.opened.directory) return { status: 'ok' }
    const bytesRead = this.#reads.moved
    const counts = {
      ...(this.opened.read ? { bytesRead } : {}),
      ...(this.opened.write ? { bytesWritten: this.#acknowledged } : {}),
    }
    if (this.#failure !== undefined) return { ...counts, status: this.#failure }
    // Content of both directions has no one hash.
    const wrote = this.#writes.moved > 0 || (this.opened.write && bytesRead === 0)
    if (wrote && bytesRead > 0) return { ...counts, status: 'non-sequential' }
    const content = wrote ? this.#writes : this.#reads
    const length = content.contiguous
    if (length === undefined) return { ...counts, status: 'non-sequential' }
    const whole = length === size || (!wrote && length === this.#endAt)
    const sha256 = whole ? content.digest() : undefined
    return sha256 === undefined ? { ...counts, status: 'partial' } : { ...counts, sha256, status: 'complete' }
  }
}
