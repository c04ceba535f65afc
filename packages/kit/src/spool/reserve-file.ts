import { randomFillSync } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'

const blockBytes = 1024 * 1024
/** How often it is tried to get the room back. */
const retryMilliseconds = 500

/**
 * Room on the disk itself, held by a file: given up when the disk is full, so that what was begun can be closed, and taken
 * again when there is room.
 */
export class ReserveFile {
  readonly #file: string
  #held = false
  #triedAt = -Infinity

  constructor(
    directory: string,
    private readonly bytes: number,
  ) {
    this.#file = path.join(directory, 'reserve')
    this.take()
  }

  get held(): boolean {
    return this.#held
  }

  /** Returns whether the room is held. A disk that is full is not asked at every call. */
  take(): boolean {
    if (this.#held) return true
    const now = performance.now()
    if (now - this.#triedAt < retryMilliseconds) return false
    this.#triedAt = now
    try {
      this.#write()
      this.#held = true
    } catch {
      fs.rmSync(this.#file, { force: true })
    }
    return this.#held
  }

  /** Gives the room to the spool. False when there was none to give. */
  release(): boolean {
    if (!this.#held) return false
    this.#held = false
    this.#triedAt = performance.now()
    try {
      fs.rmSync(this.#file)
      return true
    } catch {
      return false
    }
  }

  #write(): void {
    if ((fs.statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0) === this.bytes) return
    const fd = fs.openSync(this.#file, 'w', 0o600)
    try {
      // Zeros take no room on file systems that compress.
      const block = randomFillSync(Buffer.allocUnsafe(Math.min(blockBytes, this.bytes)))
      for (let at = 0; at < this.bytes; ) at += fs.writeSync(fd, block, 0, Math.min(block.length, this.bytes - at))
    } finally {
      fs.closeSync(fd)
    }
  }
}
