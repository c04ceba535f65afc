import type { ConnectionRefused, GatewayUp } from '@sallyport/proto'

/** Anyone can cause them: what is told in a second is bounded, and the metrics count the rest. */
const MAX_PER_SECOND = 50

/** Tells the control plane of connections that were refused before anybody was authenticated by them. */
export class Refusals {
  #second = 0
  #told = 0

  constructor(
    private readonly send: (message: GatewayUp) => boolean,
    private readonly now: () => number = Date.now,
  ) {}

  tell(refusal: ConnectionRefused): void {
    const second = Math.floor(this.now() / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#told = 0
    }
    if (this.#told >= MAX_PER_SECOND) return
    this.#told += 1
    this.send({ connectionRefused: refusal })
  }
}
