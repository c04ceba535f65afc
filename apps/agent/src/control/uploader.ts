import type { Spool } from '@sallyport/kit'
import type { ControlLink } from './control-link.js'

const batchBytes = 512 * 1024
/** A batch is sent again when it isn't acknowledged within this time, or so many times what the last one took; longer with every failure … */
const ackMilliseconds = 1500
const ackFactor = 4
/** … up to this: a database that is slow must not be given the same again and again. */
const longestAckMilliseconds = 10_000
/** Shortest pause between two batches: lets records gather. */
const paceMilliseconds = 40
/** While commands run, a batch is followed by a pause of so many times what it took: sessions come first … */
const yieldFactor = 6
/** … until this share of the spool is used; from then on the record comes first. */
const yieldUntil = 0.25
const busyMilliseconds = 250

/** Sends the spool's records to the control plane, in order, one batch at a time, again until acknowledged. */
export class Uploader {
  #stopped = false
  #seen = { seq: 0, at: -Infinity }
  #acked: (() => void) | undefined
  #patience = ackMilliseconds
  /** A strict session waits: no pause between batches. */
  urgent = false

  /** Resolves with the first acknowledgement: by then it is known that spool and control plane agree on the numbers. */
  readonly agreed: Promise<void>
  #agree: () => void = () => undefined

  constructor(
    readonly spool: Spool,
    readonly link: ControlLink,
  ) {
    this.agreed = new Promise((resolve) => {
      this.#agree = resolve
    })
  }

  acknowledge(seq: number): void {
    this.spool.acknowledge(seq)
    this.#agree()
    this.#acked?.()
  }

  /** Runs until {@link stop}. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      await this.spool.newRecords(this.spool.acked)
      if (this.#stopped) return
      const before = this.spool.acked
      const begun = performance.now()
      const sent = await this.#send()
      if (sent) await this.#acknowledged(before)
      await pause(sent ? this.#pace(performance.now() - begun) : 250)
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

  /** How long to wait after a batch that took so many milliseconds until it was acknowledged. */
  #pace(took: number): number {
    if (this.urgent) return 0
    const now = performance.now()
    const busy = this.spool.lastSeq !== this.#seen.seq
    if (busy) this.#seen = { seq: this.spool.lastSeq, at: now }
    if (now - this.#seen.at > busyMilliseconds || this.spool.bytes > this.spool.maxBytes * yieldUntil) return busy ? paceMilliseconds : 0
    return Math.max(paceMilliseconds, Math.min(took * yieldFactor, 2000))
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
      const timer = setTimeout(() => {
        // Withheld on the way, or the control plane is in trouble: by another gateway next time.
        this.#patience = Math.min(this.#patience * 2, longestAckMilliseconds)
        this.link.rotate()
        done()
      }, this.#patience)
      const begun = performance.now()
      this.#acked = () => {
        if (this.spool.acked <= before && !this.#stopped) return
        this.#patience = Math.min(Math.max(ackMilliseconds, (performance.now() - begun) * ackFactor), longestAckMilliseconds)
        done()
      }
    })
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
