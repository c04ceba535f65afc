import type { Spool } from '@sallyport/kit'
import type { ControlLink } from './control-link.js'

const batchBytes = 512 * 1024
const ackMilliseconds = 10_000
/** Between two batches: lets records gather, and leaves the processor to the sessions. */
const paceMilliseconds = 40

/** Sends the spool's records to the control plane, in order, one batch at a time, again until acknowledged. */
export class Uploader {
  #stopped = false
  #acked: (() => void) | undefined
  /** A strict session waits: no pause between batches. */
  urgent = false

  constructor(
    readonly spool: Spool,
    readonly link: ControlLink,
  ) {}

  acknowledge(seq: number): void {
    this.spool.acknowledge(seq)
    this.#acked?.()
  }

  /** Runs until {@link stop}. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      await this.spool.newRecords(this.spool.acked)
      if (this.#stopped) return
      const before = this.spool.acked
      const sent = await this.#send()
      if (sent) await this.#acknowledged(before)
      await pause(this.urgent && this.spool.acked > before ? 0 : sent ? paceMilliseconds : 250)
    }
  }

  /** Sends what is left, for at most so long. */
  async flush(milliseconds: number): Promise<void> {
    const deadline = performance.now() + milliseconds
    while (this.spool.acked < this.spool.lastSeq && this.link.connected && performance.now() < deadline) await pause(20)
  }

  stop(): void {
    this.#stopped = true
    this.#acked?.()
  }

  async #send(): Promise<boolean> {
    if (!this.link.connected) return false
    const { firstSeq, records } = await this.spool.read(this.spool.acked + 1, batchBytes)
    return records.length > 0 && this.link.send({ events: { firstSeq, records } })
  }

  #acknowledged(before: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.#acked = undefined
        resolve()
      }
      const timer = setTimeout(done, ackMilliseconds)
      this.#acked = () => {
        if (this.spool.acked > before || this.#stopped) done()
      }
    })
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
