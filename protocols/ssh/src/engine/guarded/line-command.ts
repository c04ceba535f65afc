import type { Permit } from '@sallyport/kit'
import type { ClientChannel } from 'ssh2'
import type { RequestOf } from '../../wire/messages.js'
import { RunningCommand, type ChannelContext, type CommandClient } from '../running.js'
import { lineForTarget, type Carried } from './line-text.js'
import type { Screen } from './screen-output.js'

/** How long what runs has to end by itself after Ctrl-C, before it is told in stronger words. */
const graceMilliseconds = 2000

export interface LineOptions {
  readonly permit: Permit
  readonly carried: Carried
  /** What the client's channel itself had set. */
  readonly environment: Readonly<Record<string, string>>
  /** Present when the line may be typed into. */
  readonly terminal: RequestOf<'pty'> | undefined
  readonly context: ChannelContext
  readonly screen: Screen
  /** What the client typed has left for the target. */
  consumed(bytes: number): void
}

/** One line that runs at the target, as a command of its own. */
export class LineCommand {
  readonly #options: LineOptions
  #running: RunningCommand | undefined
  #exit: RequestOf<'exit-status'> | RequestOf<'exit-signal'> | undefined
  #timers: NodeJS.Timeout[] = []
  #interrupted = false
  #abandoned = false
  #settle: (status: number) => void = () => undefined
  /** The exit status, once the end is recorded: 128 and the signal's number as shells have it, 255 when it never began. */
  readonly ended: Promise<number>

  constructor(options: LineOptions) {
    this.#options = options
    this.ended = new Promise((resolve) => {
      this.#settle = resolve
    })
  }

  get interactive(): boolean {
    return this.#options.terminal !== undefined
  }

  /** The permit's own text goes to the target, and nothing else does. */
  start(): void {
    const { permit, carried, environment, terminal, context } = this.#options
    permit.consume()
    const env = { ...environment }
    const pty = terminal && { term: terminal.term, cols: terminal.columns, rows: terminal.rows, width: terminal.width, height: terminal.height, modes: terminal.modes }
    try {
      context.upstream.exec(lineForTarget(permit.command.text, carried), pty ? { env, pty } : { env }, (error, stream) => {
        if (error === undefined) this.#began(stream)
        else this.#refused()
      })
    } catch {
      this.#refused()
    }
  }

  input(bytes: Buffer): void {
    if (this.#running) this.#running.input(bytes)
    else this.#options.consumed(bytes.length)
  }

  resize(size: RequestOf<'window-change'>): void {
    if (this.interactive) this.#running?.resize(size)
  }

  signal(name: string): void {
    this.#running?.signal(name)
  }

  /** Ctrl-C. A second one doesn't wait. */
  interrupt(): void {
    if (this.#interrupted) return this.abandon()
    this.#interrupted = true
    this.#running?.signal('INT')
    this.#timers = [
      setTimeout(() => this.#running?.signal('TERM'), graceMilliseconds).unref(),
      setTimeout(() => this.abandon(), 2 * graceMilliseconds).unref(),
    ]
  }

  abandon(): void {
    this.#abandoned = true
    this.#running?.abandon()
  }

  #began(stream: ClientChannel): void {
    const { permit, terminal, context } = this.#options
    this.#running = new RunningCommand(stream, permit, this.#client(), context, { terminal, masked: true })
    // A program that asks gets the end of its input, not what is typed for the prompt.
    if (terminal === undefined) this.#running.inputEnded()
    if (this.#abandoned) this.#running.abandon()
    else if (this.#interrupted) this.#running.signal('INT')
  }

  #client(): CommandClient {
    const { screen, terminal } = this.#options
    return {
      write: (bytes) => (terminal ? screen.write(bytes) : screen.writeLines(bytes)),
      drained: () => screen.drained(),
      consumed: (bytes) => this.#options.consumed(bytes),
      notify: (exit) => {
        this.#exit = exit
      },
      eof: () => undefined,
      close: () => this.#over(this.#interrupted && this.#exit?.type !== 'exit-status' ? 130 : statusOf(this.#exit)),
    }
  }

  #refused(): void {
    const { context, permit, screen } = this.#options
    void context.guard.finish(permit, { status: 'error', rows: 0, bytes: 0, masked: 0, error_code: 'TARGET_REFUSED' })
    screen.text('Sallyport: the target refused to start it\r\n')
    this.#over(255)
  }

  #over(status: number): void {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#settle(status)
  }
}

const numbers: Readonly<Record<string, number>> = { HUP: 1, INT: 2, QUIT: 3, ILL: 4, ABRT: 6, FPE: 8, KILL: 9, SEGV: 11, PIPE: 13, ALRM: 14, TERM: 15 }

function statusOf(exit: RequestOf<'exit-status'> | RequestOf<'exit-signal'> | undefined): number {
  if (exit === undefined) return 255
  return exit.type === 'exit-status' ? exit.status : 128 + (numbers[exit.name] ?? 0)
}
