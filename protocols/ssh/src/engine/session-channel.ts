import type { Command, Denial, HeldNotice, Permit } from '@sallyport/kit'
import type { Effect, JsonObject } from '@sallyport/policy'
import type { Client, ClientChannel, ExecOptions, PseudoTtyOptions } from 'ssh2'
import { bareEffect, envEffect, ptyEffect, shellEffect, subsystemEffect } from '../analyse/effects.js'
import type { WireChannel, WireChannelHandlers } from '../wire/wire.js'
import type { ChannelRequest, RequestOf } from '../wire/messages.js'
import { planExec } from './exec-plan.js'
import { GuardedShell } from './guarded/guarded-shell.js'
import { RunningCommand, type ChannelContext, type RunningChannel } from './running.js'
import { RunningTransfer } from './running-transfer.js'
import { TargetPaths } from './target-paths.js'
import { denialText, heldText } from './texts.js'

const maxVariables = 128
/** Ctrl-C, as a terminal in raw mode sends it. */
const interruptByte = 3
const noTerminal = {
  rule: 'guarded-shell',
  message: 'the policy permits a guarded shell only, and that is for a terminal',
  hint: 'Connect with a terminal (ssh -t), or name the command: ssh TARGET COMMAND.',
}
/** What a shell says of a command that it may not run. */
const deniedStatus = 126

/** What a request would do: its effects, and what it comes to once it is permitted. */
interface Plan {
  readonly text: string
  readonly effects: readonly Effect[]
  readonly facts?: JsonObject
  /** What is typed before it is permitted is for nobody. */
  readonly dropsEarly?: true
  readonly run: AtTarget | AtEngine
}

/** How it is begun at the target, and what then stands between target and client. */
interface AtTarget {
  readonly at: 'target'
  begin(upstream: Client, done: Done): void
  join(stream: ClientChannel, permit: Permit): RunningChannel
}

interface AtEngine {
  readonly at: 'engine'
  begin(permit: Permit): RunningChannel
}

type Done = (error: Error | undefined, stream: ClientChannel) => void

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
  #running: RunningChannel | undefined
  /** What the client sent before the command was permitted. */
  #early: Buffer[] = []
  #earlyEof = false
  #held = false
  /** What is typed while a shell waits for people is thrown away. */
  #dropsEarly = false
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
    else if (this.#held && this.#terminal && bytes.includes(interruptByte)) this.#withdraw()
    else if (this.#held && this.#dropsEarly) this.#wire.consumed(bytes.length)
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

  /** Something that concerns the whole connection. */
  tell(text: string): void {
    this.#wire.write(Buffer.from(text), true)
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
        return this.#start(() => this.#exec(request.command))
      case 'shell':
        return this.#start(() => this.#shell())
      case 'subsystem':
        return this.#start(() => this.#subsystem(request.name))
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

  async #exec(command: string): Promise<Plan> {
    const { upstream, login } = this.#context
    const paths = new TargetPaths(upstream)
    const plan = await planExec(command, login, paths).finally(() => paths.close())
    return {
      text: command,
      effects: plan.effects,
      run: {
        at: 'target',
        begin: (client, done) => client.exec(plan.command, this.#options(), done),
        join: (stream, permit) =>
          plan.filter === undefined
            ? this.#plain(stream, permit, plan.masked)
            : new RunningTransfer(stream, permit, this.#wire, this.#context, plan.filter === 'sftp' ? undefined : plan.filter),
      },
    }
  }

  /** The whole shell as one command; or, where a rule says `shell: guarded`, one whose lines are commands. */
  async #shell(): Promise<Plan> {
    const plain: Plan = {
      text: 'shell',
      effects: [shellEffect(this.#context.login)],
      ...(this.#terminal ? { dropsEarly: true as const } : {}),
      run: {
        at: 'target',
        begin: (client, done) => {
          const { pty, ...rest } = this.#options()
          client.shell(pty ?? false, rest, done)
        },
        join: (stream, permit) => this.#plain(stream, permit, true),
      },
    }
    if (!this.#mustGuard(this.#command(plain))) return plain
    return { ...plain, facts: { guarded: true }, run: { at: 'engine', begin: (permit) => this.#guarded(permit) } }
  }

  #mustGuard(command: Command): boolean {
    return this.#context.guard.recheck(command).shell === 'guarded'
  }

  #guarded(permit: Permit): RunningChannel {
    const terminal = this.#terminal ?? { type: 'pty', term: 'dumb', modes: {}, columns: 80, rows: 24, width: 0, height: 0 }
    const shell = new GuardedShell({ permit, wire: this.#wire, context: this.#context, terminal, environment: this.#environment })
    shell.start()
    return shell
  }

  async #subsystem(name: string): Promise<Plan> {
    return {
      text: `subsystem ${name}`,
      effects: [subsystemEffect(name, this.#context.login)],
      run: {
        at: 'target',
        begin: (client, done) => client.subsys(name, done),
        join: (stream, permit) => (name === 'sftp' ? new RunningTransfer(stream, permit, this.#wire, this.#context, undefined) : this.#plain(stream, permit, true)),
      },
    }
  }

  #plain(stream: ClientChannel, permit: Permit, masked: boolean): RunningChannel {
    return new RunningCommand(stream, permit, this.#wire, this.#context, { terminal: this.#terminal, masked })
  }

  async #start(planned: () => Promise<Plan>): Promise<boolean> {
    if (this.#started) return false
    this.#started = true
    const plan = await planned()
    const command = this.#command(plan)
    const guarded = plan.run.at === 'engine'
    if (guarded && this.#terminal === undefined) {
      this.#deny(this.#context.guard.refuse(command, noTerminal))
      return false
    }
    this.#dropsEarly = plan.dropsEarly === true
    const decided = await this.#context.guard.submit(command, { hold: () => this.#hold() })
    if (this.#held && this.#dropsEarly) this.#dropEarly()
    if (decided.kind === 'denial') {
      this.#deny(decided)
      return false
    }
    if (this.#closed) {
      void this.#context.guard.finish(decided, { status: 'cancelled', rows: 0, bytes: 0, masked: 0 })
      return false
    }
    // Decided as a whole, and by now the policy wants its lines decided.
    if (!guarded && this.#mustGuard(decided.command)) {
      void this.#context.guard.finish(decided, { status: 'cancelled', rows: 0, bytes: 0, masked: 0 })
      this.#tell('Sallyport: the policy has changed while this waited: connect again for a guarded shell\r\n', deniedStatus)
      return false
    }
    const running = await this.#begin(decided, plan.run)
    if (running === undefined) return false
    this.#running = running
    for (const bytes of this.#early) running.input(bytes)
    this.#early = []
    if (this.#earlyEof) running.inputEnded()
    if (this.#closed) running.abandon()
    return true
  }

  #begin(permit: Permit, run: Plan['run']): Promise<RunningChannel | undefined> {
    permit.consume()
    if (run.at === 'engine') return Promise.resolve(run.begin(permit))
    return new Promise((resolve) => {
      const failed = (): void => {
        void this.#context.guard.finish(permit, { status: 'error', rows: 0, bytes: 0, masked: 0, error_code: 'TARGET_REFUSED' })
        this.#tell('Sallyport: the target refused to start it\r\n', 255)
        resolve(undefined)
      }
      try {
        run.begin(this.#context.upstream, (error, stream) => {
          // At once: a quick target's exit status can come in the same piece as its answer.
          if (error === undefined) resolve(run.join(stream, permit))
          else failed()
        })
      } catch {
        failed()
      }
    })
  }

  #command({ text, effects, facts }: Pick<Plan, 'text' | 'effects' | 'facts'>): Command {
    const { login } = this.#context
    const environment = Object.fromEntries(this.#environment)
    return {
      text,
      effects: [...effects, ...(this.#terminal ? [ptyEffect(login)] : []), ...[...this.#environment].map(([name, value]) => envEffect(name, value, login))],
      facts: { login, terminal: this.#terminal !== undefined, environment, ...facts },
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
      onHeld: (notice) => {
        this.#held = true
        this.#wire.write(Buffer.from(heldText(notice)), true)
        const typed = this.#early.some((bytes) => bytes.includes(interruptByte))
        if (this.#dropsEarly) this.#dropEarly()
        if (typed && this.#terminal) this.#withdraw()
      },
      release: () => undefined,
    }
  }

  /** Ctrl-C at a terminal while it waits. */
  #withdraw(): void {
    this.#dropEarly()
    this.#cancel.abort()
  }

  #dropEarly(): void {
    for (const bytes of this.#early) this.#wire.consumed(bytes.length)
    this.#early = []
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
