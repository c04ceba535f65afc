import { inspect } from 'node:util'

/** A value that must not reach a log, an error or an event by accident: every way of printing it yields a placeholder. */
export class Secret<T> {
  readonly #value: T
  constructor(value: T) {
    this.#value = value
  }
  /** The one way to read the value; greppable on purpose. */
  expose(): T {
    return this.#value
  }
  toString(): string {
    return '[secret]'
  }
  toJSON(): string {
    return '[secret]'
  }
  [inspect.custom](): string {
    return '[secret]'
  }
}
