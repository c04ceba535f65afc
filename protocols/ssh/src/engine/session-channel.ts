import type { Command, Denial, Guard, HeldNotice, Permit } from '@sallyport/kit'
import type { Effect } from '@sallyport/policy'
import type { Client, ClientChannel, ExecOptions, PseudoTtyOptions } from 'ssh2'
import { bareEffect, envEffect, ptyEffect, shellEffect, subsystemEffect } from '../analyse/effects.js'
import { effectsOfExec } from '../analyse/exec.js'
import type { WireChannel, WireChannelHandlers } from '../wire/wire.js'
import type { ChannelRequest, RequestOf } from '../wire/messages.js'
import { denialText, heldText } from './texts.js'
import { Output } from './output.js'

const maxVariables = 128
/** What a shell says of a command that it may not run. */
const deniedStatus = 126

export interface ChannelContext {
  readonly upstream: Client
  readonly guard: Guard
  readonly login: string
  /** An error that ends the session: the record could not be written. */
  fatal(error: unknown): void
}

/**
 * A `session` channel (RFC 4254 section 6): environment and terminal are gathered, then one command, shell or subsystem
 * is decided with them and runs. Requests are handled one after the other.
 */
export class SessionChannel implements WireChannelHandlers {
  readonly #context: ChannelContext
  readonly #wire: WireChannel
  readonly #environment = new Map<string, string>()
  readonly #cancel = new AbortController()
  #terminal: RequestOf<'pty'> | undefined
  #started = false
  #queue: Promise<void> = Promise.resolve()
  #running: Running | undefined
  /** What the client sent before the command was permitted. */
  #early: Buffer[] = []
  #earlyEof = false
  #closed = false

  constructor(wire: WireChannel, context: ChannelContext) {
    this.#wire = wire
    this.#context = context
  }

  onRequest(request: ChannelRequest, reply: (ok: boolean) => void): void {
    // These concern what runs now.
    if (request.type === 'window-change' || request.type === 'signal') {
      this.#control(request)
      reply(true)
      return
    }
    this.#queue = this.#queue.then(async () => {
      try {
        reply(await this.#handle(request))
      } catch (error) {
        reply(false)
        this.#context.fatal(error)
      }
    })
  }

  onData(bytes: Buffer): void {
    if (this.#running) this.#running.input(bytes)
    else if (this.#closed) this.#wire.consumed(bytes.length)
    // Bounded by the channel's window: none is given until the command takes it.
    else this.#early.push(bytes)
  }

  onEof(): void {
    if (this.#running) this.#running.inputEnded()
    else this.#earlyEof = true
  }

  onClose(): void {
    this.#closed = true
    this.#cancel.abort()
    this.#early = []
    this.#running?.abandon()
  }

  /** The session is over: what runs is ended. */
  end(): void {
    this.onClose()
  }

  async #handle(request: ChannelRequest): Promise<boolean> {
    if (this.#closed) return false
    switch (request.type) {
      case 'env':
        return this.#env(request)
      case 'pty':
        if (this.#started) return false
        this.#terminal = request
        return true
      case 'exec':
        return this.#start(request.command, effectsOfExec(request.command, this.#context.login), (upstream, done) => upstream.exec(request.command, this.#options(), done))
      case 'shell':
        return this.#start('shell', [shellEffect(this.#context.login)], (upstream, done) => {
          const { pty, ...rest } = this.#options()
          upstream.shell(pty ?? false, rest, done)
        })
      case 'subsystem':
        return this.#start(`subsystem ${request.name}`, [subsystemEffect(request.name, this.#context.login)], (upstream, done) => upstream.subsys(request.name, done))
      case 'x11':
        return this.#unsupported('X11 forwarding', bareEffect('ssh.x11', this.#context.login))
      case 'agent-forward':
        return this.#unsupported('agent forwarding', bareEffect('ssh.agent_forward', this.#context.login))
      default:
        return false
    }
  }

  /** A variable that the policy denies is left out, as sshd does with those that it doesn't accept; the denial is recorded. */
  #env(request: RequestOf<'env'>): boolean {
    if (this.#started || this.#environment.size >= maxVariables || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(request.name)) return false
    const effect = envEffect(request.name, request.value, this.#context.login)
    const cleared = this.#context.guard.clear({ text: `env ${request.name}=${request.value}`, effects: [effect] })
    if (cleared.kind === 'denial') return false
    this.#environment.set(request.name, request.value)
    return true
  }

  /** What the client asks for can't be had here, whatever the policy says; that it was asked for is recorded. */
  #unsupported(what: string, effect: Effect): boolean {
    this.#context.guard.refuse({ text: what, effects: [effect] }, { rule: 'unsupported', message: `${what} is not supported`, hint: 'Do without it.' })
    return false
  }

  async #start(text: string, effects: readonly Effect[], begin: (upstream: Client, done: (error: Error | undefined, stream: ClientChannel) => void) => void): Promise<boolean> {
    if (this.#started) return false
    this.#started = true
    const command = this.#command(text, effects)
    const decided = await this.#context.guard.submit(command, { hold: () => this.#hold() })
    if (decided.kind === 'denial') {
      this.#deny(decided)
      return false
    }
    if (this.#closed) {
      void this.#context.guard.finish(decided, { status: 'cancelled', rows: 0, bytes: 0, masked: 0 })
      return false
    }
    const stream = await this.#begin(decided, begin)
    if (stream === undefined) return false
    const running = new Running(stream, decided, this.#wire, this.#context, { terminal: this.#terminal !== undefined, masked: true })
    this.#running = running
    for (const bytes of this.#early) running.input(bytes)
    this.#early = []
    if (this.#earlyEof) running.inputEnded()
    if (this.#closed) running.abandon()
    return true
  }

  #begin(permit: Permit, begin: (upstream: Client, done: (error: Error | undefined, stream: ClientChannel) => void) => void): Promise<ClientChannel | undefined> {
    permit.consume()
    return new Promise((resolve) => {
      const failed = (): void => {
        void this.#context.guard.finish(permit, { status: 'error', rows: 0, bytes: 0, masked: 0, error_code: 'TARGET_REFUSED' })
        this.#tell('Sallyport: the target refused to start it\r\n', 255)
        resolve(undefined)
      }
      try {
        begin(this.#context.upstream, (error, stream) => (error === undefined ? resolve(stream) : failed()))
      } catch {
        failed()
      }
    })
  }

  #command(text: string, effects: readonly Effect[]): Command {
    const { login } = this.#context
    const environment = Object.fromEntries(this.#environment)
    return {
      text,
      effects: [...effects, ...(this.#terminal ? [ptyEffect(login)] : []), ...[...this.#environment].map(([name, value]) => envEffect(name, value, login))],
      facts: { login, terminal: this.#terminal !== undefined, environment },
    }
  }

  #options(): ExecOptions & { pty?: PseudoTtyOptions } {
    const terminal = this.#terminal
    const env = Object.fromEntries(this.#environment)
    if (terminal === undefined) return { env }
    const { term, columns, rows, width, height, modes } = terminal
    return { env, pty: { term, cols: columns, rows, width, height, modes } }
  }

  #hold(): { signal: AbortSignal; onHeld(notice: HeldNotice): void; release(): void } {
    return {
      signal: this.#cancel.signal,
      onHeld: (notice) => this.#wire.write(Buffer.from(heldText(notice)), true),
      release: () => undefined,
    }
  }

  #deny(denial: Denial): void {
    this.#tell(denialText(denial), deniedStatus)
  }

  /** A last word on stderr, an exit status, and the channel closes. */
  #tell(text: string, status: number): void {
    this.#wire.write(Buffer.from(text), true)
    this.#wire.notify({ type: 'exit-status', status })
    this.#wire.close()
    this.#early = []
  }

  #control(request: RequestOf<'window-change'> | RequestOf<'signal'>): void {
    if (request.type === 'signal') this.#running?.signal(request.name)
    else if (this.#running) this.#running.resize(request)
    else if (this.#terminal) this.#terminal = { ...this.#terminal, columns: request.columns, rows: request.rows, width: request.width, height: request.height }
  }
}

const signals = new Set(['ABRT', 'ALRM', 'FPE', 'HUP', 'ILL', 'INT', 'KILL', 'PIPE', 'QUIT', 'SEGV', 'TERM', 'USR1', 'USR2'])

/** A command that runs at the target: its stream on one side, the client's channel on the other. */
class Running {
  readonly #stream: ClientChannel
  readonly #permit: Permit
  readonly #wire: WireChannel
  readonly #context: ChannelContext
  readonly #output: Output
  #exit: RequestOf<'exit-status'> | RequestOf<'exit-signal'> | undefined
  #abandoned = false
  #over = false

  constructor(stream: ClientChannel, permit: Permit, wire: WireChannel, context: ChannelContext, kind: { terminal: boolean; masked: boolean }) {
    this.#stream = stream
    this.#permit = permit
    this.#wire = wire
    this.#context = context
    const output = new Output({ wire, guard: context.guard, ...kind })
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
    if (this.#over) this.#wire.consumed(bytes.length)
    else this.#stream.write(bytes, () => this.#wire.consumed(bytes.length))
  }

  inputEnded(): void {
    this.#stream.end()
  }

  signal(name: string): void {
    if (signals.has(name)) this.#stream.signal(name)
  }

  resize({ rows, columns, height, width }: RequestOf<'window-change'>): void {
    this.#stream.setWindow(rows, columns, height, width)
  }

  /** The client is gone, or may not go on: what runs is told to end, and its channel closed. */
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
