/** A mark for every so much of the longest age: the age is told too long by at most this share. */
const marksPerLongest = 50

/** How long the oldest unacknowledged record has waited. By the monotonic clock: a wall clock that is set doesn't change it. */
export class BacklogAge {
  #marks: { readonly seq: number; readonly at: number }[] = []

  /**
   * @param now milliseconds, monotonic
   * @param longest milliseconds that are of interest
   */
  constructor(
    private readonly now: () => number,
    private readonly longest: number,
  ) {}

  /** @param waited milliseconds that the record had waited before this process began */
  appended(seq: number, waited = 0): void {
    const at = this.now() - waited
    const last = this.#marks.at(-1)
    if (last === undefined || at - last.at >= this.longest / marksPerLongest) this.#marks.push({ seq, at })
  }

  /** @param next the first record that isn't acknowledged; @param last the newest one */
  acknowledged(next: number, last: number): void {
    if (next > last) this.#marks = []
    while ((this.#marks[1]?.seq ?? Infinity) <= next) this.#marks.shift()
  }

  /** Milliseconds; 0 when nothing waits. */
  get milliseconds(): number {
    const [oldest] = this.#marks
    return oldest === undefined ? 0 : this.now() - oldest.at
  }

  get overdue(): boolean {
    return this.milliseconds > this.longest
  }
}
