import { Output, type Guard, type Permit, type TerminalSize } from '@sallyport/kit'
import type { Client, ClientChannel } from 'ssh2'
import type { RequestOf } from '../wire/messages.js'

/** What the channels of one session share. */
export interface ChannelContext {
  readonly upstream: Client
  readonly guard: Guard
  readonly login: string
  /** The target's name. */
  readonly target: string
  /** An error that ends the session: the record could not be written. */
  fatal(error: unknown): void
}

/** What runs on a session channel once it is permitted. */
export interface RunningChannel {
  input(bytes: Buffer): void
  inputEnded(): void
  signal(name: string): void
  resize(size: RequestOf<'window-change'>): void
  /** The client is gone, or may not go on: what runs is told to end, and its channel closed. */
  abandon(): void
}

/** The client's side of a command: its channel, or the terminal of a guarded shell. */
export interface CommandClient {
  write(bytes: Buffer, stderr: boolean): boolean
  drained(): Promise<void>
  consumed(bytes: number): void
  notify(exit: RequestOf<'exit-status'> | RequestOf<'exit-signal'>): void
  eof(): void
  close(): void
}

const signals = new Set(['ABRT', 'ALRM', 'FPE', 'HUP', 'ILL', 'INT', 'KILL', 'PIPE', 'QUIT', 'SEGV', 'TERM', 'USR1', 'USR2'])

/** A command or shell that runs at the target: its stream on one side, the client's channel on the other. */
export class RunningCommand implements RunningChannel {
  readonly #stream: ClientChannel
  readonly #permit: Permit
  readonly #wire: CommandClient
  readonly #context: ChannelContext
  readonly #output: Output
  #exit: RequestOf<'exit-status'> | RequestOf<'exit-signal'> | undefined
  #abandoned = false
  #over = false

  constructor(stream: ClientChannel, permit: Permit, wire: CommandClient, context: ChannelContext, kind: { terminal: TerminalSize | undefined; masked: boolean }) {
    this.#stream = stream
    this.#permit = permit
    this.#wire = wire
    this.#context = context
    const output = new Output({ sink: wire, guard: context.guard, permit, fatal: (error) => context.fatal(error), ...kind })
    this.#output = output
    output.stops(stream)
    output.stops(stream.stderr)
    stream.on('data', (bytes: Buffer) => output.push('stdout', bytes))
    stream.stderr.on('data', (bytes: Buffer) => output.push('stderr', bytes))
    stream.on('exit', (code: number | null, name?: string, core?: string | boolean, message?: string) => {
      this.#exit =
        typeof code === 'number'
          ? { type: 'exit-status', status: code }
          : { type: 'exit-signal', name: (name ?? 'TERM').replace(/^SIG/, ''), core: core === true || core === 'true', message: (message ?? '').slice(0, 4096) }
    })
    stream.on('close', () => this.#finish())
    stream.on('error', () => this.#finish())
  }

  input(bytes: Buffer): void {
    if (this.#over) return this.#wire.consumed(bytes.length)
    this.#output.typed(bytes)
    this.#stream.write(bytes, () => this.#wire.consumed(bytes.length))
  }

  inputEnded(): void {
    this.#stream.end()
  }

  signal(name: string): void {
    if (signals.has(name)) this.#stream.signal(name)
  }

  resize({ rows, columns, height, width }: RequestOf<'window-change'>): void {
    this.#output.resized({ columns, rows })
    this.#stream.setWindow(rows, columns, height, width)
  }

  abandon(): void {
    if (this.#over) return
    this.#abandoned = true
    this.#stream.signal('HUP')
    this.#stream.close()
    this.#stream.resume()
    this.#finish()
  }

  #finish(): void {
    if (this.#over) return
    this.#over = true
    this.#output.end()
    const exit = this.#exit
    const failed = exit === undefined || exit.type === 'exit-signal' || exit.status !== 0
    const tag = exit === undefined ? undefined : exit.type === 'exit-status' ? `exit ${exit.status}` : `signal ${exit.name}`
    let recorded: Promise<void> | undefined
    try {
      recorded = this.#context.guard.finish(this.#permit, {
        status: this.#abandoned ? 'cancelled' : exit === undefined ? 'unknown' : failed ? 'error' : 'ok',
        ...(tag === undefined ? {} : { tag }),
        ...this.#output.result,
        ...(failed && tag !== undefined ? { error_code: tag } : {}),
      })
    } catch (error) {
      this.#context.fatal(error)
      return
    }
    const close = (): void => {
      if (exit !== undefined) this.#wire.notify(exit)
      this.#wire.eof()
      this.#wire.close()
    }
    if (recorded === undefined) close()
    else recorded.then(close, (error: unknown) => this.#context.fatal(error))
  }
}
