import { Recorder, StreamMask, type Guard, type Permit, type TerminalSize } from '@sallyport/kit'
import type { WireChannel } from '../../wire/wire.js'

export interface ScreenOptions {
  readonly wire: Pick<WireChannel, 'write' | 'drained'>
  readonly guard: Guard
  readonly permit: Permit
  readonly size: TerminalSize
  fatal(error: unknown): void
}

/** The terminal of a guarded shell: everything that it shows is recorded with the shell, whichever line it is of. */
export class Screen {
  readonly #wire: ScreenOptions['wire']
  readonly #recorder: Recorder
  readonly #typed: StreamMask | undefined
  #bytes = 0
  #lineBegins = true
  #afterReturn = false

  constructor({ wire, guard, permit, size, fatal }: ScreenOptions) {
    this.#wire = wire
    const recorder = new Recorder({ guard, permit, maxBytes: guard.recordTerminalBytes, onError: fatal })
    this.#recorder = recorder
    this.#typed = guard.recordInput ? new StreamMask({ emit: (bytes) => recorder.push('i', bytes), masks: () => guard.masks, terminal: true }) : undefined
    this.resize(size)
  }

  get bytes(): number {
    return this.#bytes
  }

  /** As it is. @returns false when the client takes no more for now */
  write(bytes: Buffer): boolean {
    if (bytes.length === 0) return true
    this.#bytes += bytes.length
    this.#lineBegins = bytes.at(-1) === 0x0a
    this.#afterReturn = bytes.at(-1) === 0x0d
    this.#recorder.push('o', bytes)
    return this.#wire.write(bytes)
  }

  text(text: string): boolean {
    return this.write(Buffer.from(text))
  }

  /** Output of what has no terminal: its line ends need the CR that a terminal's driver would add (POSIX ONLCR). */
  writeLines(bytes: Buffer): boolean {
    const pieces: Buffer[] = []
    let from = 0
    for (let at = bytes.indexOf(0x0a); at !== -1; at = bytes.indexOf(0x0a, at + 1)) {
      const returned = at === 0 ? this.#afterReturn : bytes[at - 1] === 0x0d
      if (returned) continue
      pieces.push(bytes.subarray(from, at), Buffer.from('\r'))
      from = at
    }
    pieces.push(bytes.subarray(from))
    return this.write(Buffer.concat(pieces))
  }

  /** To the beginning of a line, if the last output didn't end with one. */
  freshLine(): void {
    if (!this.#lineBegins) this.text('\r\n')
  }

  drained(): Promise<void> {
    return this.#wire.drained()
  }

  typed(bytes: Buffer): void {
    this.#typed?.push(bytes)
  }

  resize({ columns, rows }: TerminalSize): void {
    this.#recorder.resize(columns, rows)
  }

  end(): void {
    this.#typed?.end()
    this.#recorder.end()
  }
}
