import type { Run } from './expected.js'
import type { CopyMask } from './masking/copy-mask.js'

/** Where output goes: as it stands in the target's buffer, or made anew. */
export interface Output {
  pass(buffer: Buffer, start: number, end: number): void
  emit(bytes: Buffer): void
}

/** The data of COPY … TO STDOUT on its way to the client. */
export class CopyOut {
  readonly #output: Output
  /** CopyData messages seen one behind the other and not handled yet: [from, to) of `buffer`. */
  #buffer: Buffer = Buffer.alloc(0)
  #from = -1
  #to = 0
  #run: Run | undefined

  constructor(output: Output) {
    this.#output = output
  }

  /** Gathers messages of whole rows in which only contents could be masked: one look for many of them. False: not such a one. */
  gather(run: Run | undefined, buffer: Buffer, start: number, end: number): boolean {
    if (!run?.copyMask?.plain(buffer, start + 5, end)) return false
    if (this.#from < 0) {
      this.#buffer = buffer
      this.#from = start
      this.#run = run
    }
    this.#to = end
    return true
  }

  /** Handles what was gathered. */
  flush(): void {
    const run = this.#run
    if (this.#from < 0 || !run?.copyMask) return
    const buffer = this.#buffer
    const from = this.#from
    const to = this.#to
    this.#from = -1
    if (!run.preview?.open && !run.copyMask.mayDetect(buffer, from, to)) {
      run.bytes += to - from
      this.#output.pass(buffer, from, to)
      return
    }
    for (let offset = from; offset < to; ) {
      const next = offset + 1 + buffer.readInt32BE(offset + 1)
      this.data(run, run.copyMask, buffer, offset, next)
      offset = next
    }
  }

  /** One CopyData message. */
  data(run: Run, mask: CopyMask, buffer: Buffer, start: number, end: number): void {
    run.bytes += end - start - 5
    const parts = mask.push(buffer, start, end, run)
    if (parts === undefined) this.#output.pass(buffer, start, end)
    else for (const part of parts) this.#output.emit(part)
  }
}
