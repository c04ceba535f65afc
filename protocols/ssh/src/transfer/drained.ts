/** Lets others wait until a filter has nothing left that waits. */
export class Drained {
  #waiting: (() => void)[] = []

  async wait(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve)
    })
  }

  resolve(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const each of waiting) each()
  }
}
