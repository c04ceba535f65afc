import type { Command, Denial, Permit } from '@sallyport/kit'
import { formatPath, type Effect } from '@sallyport/policy'
import { isUnfinished, quoteArgv } from '@sallyport/shell'
import { envEffect, ptyEffect } from '../../analyse/effects.js'
import { effectsOfExec } from '../../analyse/exec.js'
import type { RequestOf } from '../../wire/messages.js'
import type { WireChannel } from '../../wire/wire.js'
import type { ChannelContext, RunningChannel } from '../running.js'
import { denialText, heldText } from '../texts.js'
import { builtinOf, type Builtin, type Place } from './builtins.js'
import { KeyReader, type Key } from './keys.js'
import { LineCommand } from './line-command.js'
import { LineEditor } from './line-editor.js'
import { canEnter, canonicalDirectory, homeOf } from './place-finder.js'
import { Screen } from './screen-output.js'

/** Of one command that goes over several lines. */
const maxLines = 200
const maxText = 16 * 1024
/** Keys that wait for the prompt. */
const maxWaiting = 16 * 1024
const maxVariables = 64
const continuation = '> '
const deniedStatus = 126
const pasteOn = '\u001b[?2004h'
const pasteOff = '\u001b[?2004l'

export interface GuardedShellOptions {
  readonly permit: Permit
  readonly wire: WireChannel
  readonly context: ChannelContext
  readonly terminal: RequestOf<'pty'>
  /** What the client's channel had set. */
  readonly environment: ReadonlyMap<string, string>
}

/** `busy`: a line is decided or runs. `held`: it waits for people. */
type State = 'reading' | 'busy' | 'held' | 'over'

/**
 * A shell whose lines are decided one by one. There is no shell at the target that would remember anything: each line is a
 * command of its own there, begun only with its permit; directory and exported variables are carried over by the engine,
 * where their lines were permitted. docs/decisions/0017-guarded-shell.md.
 */
export class GuardedShell implements RunningChannel {
  readonly #options: GuardedShellOptions
  readonly #screen: Screen
  readonly #keys = new KeyReader()
  readonly #editor: LineEditor
  readonly #variables = new Map<string, string>()
  readonly #over = new AbortController()
  #terminal: RequestOf<'pty'>
  #place: Place | undefined
  #waiting: Key[] = []
  #lines: string[] = []
  #state: State = 'busy'
  /** A paste whose rest is thrown away: a line of it didn't run, and what follows may rest on it. */
  #droppedPaste = -1
  #ending = false
  #blocked = false
  #cancel = new AbortController()
  #running: LineCommand | undefined
  #status = 0

  constructor(options: GuardedShellOptions) {
    this.#options = options
    this.#terminal = options.terminal
    const { wire, context, permit, terminal } = options
    this.#screen = new Screen({ wire, guard: context.guard, permit, size: terminal, fatal: (error) => context.fatal(error) })
    this.#editor = new LineEditor(terminal.columns)
  }

  /** Says where one is and shows the first prompt. */
  start(): void {
    homeOf(this.#options.context.upstream).then(
      (home) => {
        if (home !== undefined) this.#place = { home, directory: home, previous: undefined }
        this.#screen.text('Sallyport: a guarded shell. Each line is decided by itself; only the directory and exported variables are carried over.\r\n')
        this.#prompt()
        this.#pump()
      },
      (error: unknown) => this.#options.context.fatal(error),
    )
  }

  input(bytes: Buffer): void {
    this.#screen.typed(bytes)
    const running = this.#running
    if (running?.interactive) return running.input(bytes)
    // What waits here is bounded by itself; the client is not to be stopped, or Ctrl-C would not get through.
    this.#options.wire.consumed(bytes.length)
    for (const key of this.#keys.push(bytes)) this.#arrived(key)
    this.#pump()
  }

  inputEnded(): void {
    this.#ending = true
    this.#pump()
  }

  signal(name: string): void {
    if (name === 'INT') this.#interrupt()
    else this.#running?.signal(name)
  }

  resize(size: RequestOf<'window-change'>): void {
    const { columns, rows, width, height } = size
    this.#terminal = { ...this.#terminal, columns, rows, width, height }
    this.#editor.resize(columns)
    this.#screen.resize(size)
    this.#running?.resize(size)
  }

  abandon(): void {
    if (this.#state === 'over') return
    this.#state = 'over'
    this.#over.abort()
    this.#cancel.abort()
    this.#running?.abandon()
    this.#screen.text(pasteOff)
    this.#screen.end()
    void this.#finished('cancelled')
    this.#options.wire.close()
  }

  #arrived(key: Key): void {
    if (this.#state === 'over' || key.paste === this.#droppedPaste) return
    if (key.name === 'interrupt') {
      if (this.#state !== 'reading') return this.#interrupt()
      this.#waiting = []
    }
    // Typed before anybody approved: not for what comes after.
    if (this.#state === 'held') return
    if (this.#waiting.length < maxWaiting) this.#waiting.push(key)
  }

  #interrupt(): void {
    this.#waiting = []
    if (this.#state === 'reading' || this.#state === 'over') return
    this.#cancel.abort()
    if (this.#running) {
      this.#screen.text('^C')
      this.#running.interrupt()
    }
  }

  /** Keys to the editor, for as long as there is a prompt and the client takes what is shown. */
  #pump(): void {
    while (this.#state === 'reading' && !this.#blocked) {
      const key = this.#waiting.shift()
      if (key === undefined) {
        if (this.#ending) this.#exit(this.#status)
        return
      }
      const edit = this.#editor.press(key)
      this.#show(edit.screen)
      switch (edit.kind) {
        case 'editing':
          break
        case 'cancelled':
          this.#lines = []
          this.#status = 130
          this.#prompt()
          break
        case 'ended':
          if (this.#lines.length === 0) return this.#exit(this.#status)
          this.#lines = []
          this.#prompt()
          break
        case 'line':
          this.#entered(edit.text)
      }
    }
  }

  #show(text: string): void {
    if (this.#screen.text(text) || this.#blocked) return
    this.#blocked = true
    void this.#screen.drained().then(() => {
      this.#blocked = false
      this.#pump()
    })
  }

  #prompt(): void {
    if (this.#state === 'over') return
    this.#state = 'reading'
    this.#screen.freshLine()
    this.#show(pasteOn + this.#editor.begin(this.#lines.length > 0 ? continuation : this.#promptText()))
  }

  #promptText(): string {
    const { context } = this.#options
    const place = this.#place
    const where = place === undefined || place.directory === place.home ? '~' : place.directory
    const short = where.length > 60 ? `…${where.slice(-59)}` : where
    return `${context.login}@${context.target}:${short}$ `
  }

  #entered(line: string): void {
    if (this.#lines.length === 0 && line.trim() === '') return this.#prompt()
    this.#lines.push(line)
    const text = this.#lines.join('\n')
    if (text.length > maxText || this.#lines.length > maxLines) {
      this.#lines = []
      this.#screen.text(`Sallyport: a command of more than ${maxLines} lines or ${maxText} characters is not taken here; nothing was run\r\n`)
      this.#dropPaste()
      return this.#prompt()
    }
    if (isUnfinished(text)) return this.#prompt()
    this.#lines = []
    this.#state = 'busy'
    this.#cancel = new AbortController()
    this.#screen.text(pasteOff)
    this.#carryOut(text).then(
      (status) => {
        this.#running = undefined
        if (this.#state === 'over') return
        if (status !== undefined) this.#status = status
        this.#prompt()
        this.#pump()
      },
      (error: unknown) => this.#options.context.fatal(error),
    )
  }

  async #carryOut(text: string): Promise<number | undefined> {
    const { guard } = this.#options.context
    // Whether there may be a shell at all can have changed since it began.
    const stopped = guard.stands(this.#options.permit)
    if (stopped) {
      this.#screen.text(denialText(stopped))
      this.#exit(deniedStatus)
      return undefined
    }
    const builtin = builtinOf(text, this.#place)
    switch (builtin?.kind) {
      case undefined:
        return this.#run(text)
      case 'exit':
        this.#exit(builtin.status ?? this.#status)
        return undefined
      case 'misused':
        this.#screen.text(`Sallyport: ${builtin.message}\r\n`)
        this.#dropPaste()
        return 2
      case 'cd':
        return this.#enter(text, builtin.directory)
      case 'export':
        return this.#export(text, builtin)
    }
  }

  async #run(text: string): Promise<number> {
    const { context, environment, wire } = this.#options
    const effects = effectsOfExec(text, context.login)
    const asked = context.guard.recheck(this.#command(text, effects, false)).interactive === true
    const permit = await this.#decide(this.#command(text, effects, asked))
    if (permit === undefined) return deniedStatus
    // It waited, perhaps, and what may be typed into isn't what it was.
    const interactive = asked && context.guard.recheck(permit.command).interactive === true
    const running = new LineCommand({
      permit,
      carried: { directory: this.#place?.directory === this.#place?.home ? undefined : this.#place?.directory, variables: this.#variables },
      environment: Object.fromEntries(environment),
      terminal: interactive ? this.#terminal : undefined,
      context,
      screen: this.#screen,
      consumed: (bytes) => wire.consumed(bytes),
    })
    this.#running = running
    // Typed for a prompt, not for what runs now.
    if (interactive) this.#waiting = this.#waiting.filter(({ paste }) => paste > 0)
    running.start()
    return running.ended
  }

  /** `cd`: decided by the directory's canonical name, like the command it is; then tried at the target. */
  async #enter(typed: string, wanted: string): Promise<number> {
    const { context } = this.#options
    const place = this.#place
    const directory = await canonicalDirectory(context.upstream, wanted)
    if (place === undefined) return 1
    // Where the session began anyway.
    const harmless = directory === place.home ? { harmless: true as const } : {}
    const argv = ['cd', directory]
    const effect: Effect = { action: 'ssh.exec', resource: formatPath('cd'), details: { login: context.login, argv }, ...harmless }
    const permit = await this.#decide(this.#command(quoteArgv(argv), [effect], false, { typed }))
    if (permit === undefined) return deniedStatus
    permit.consume()
    const entered = await canEnter(context.upstream, directory)
    await this.#ended(permit, entered)
    if (!entered) {
      this.#screen.text(`cd: ${directory} can not be entered\r\n`)
      this.#dropPaste()
      return 1
    }
    this.#place = { home: place.home, directory, previous: place.directory }
    return 0
  }

  /** `export`: each variable is an effect of its own, and what would change which programs run is opaque as ever. */
  async #export(text: string, { variables }: Extract<Builtin, { kind: 'export' }>): Promise<number> {
    const { context } = this.#options
    const set = [...variables].map(([name, value]) => envEffect(name, value, context.login))
    const opaque = effectsOfExec(text, context.login).filter(({ action }) => action === 'ssh.exec.opaque')
    const permit = await this.#decide(this.#command(text, [...set, ...opaque], false))
    if (permit === undefined) return deniedStatus
    permit.consume()
    const fits = new Set([...this.#variables.keys(), ...variables.keys()]).size <= maxVariables
    if (fits) for (const [name, value] of variables) this.#variables.set(name, value)
    else this.#screen.text(`Sallyport: more than ${maxVariables} variables are not carried over\r\n`)
    await this.#ended(permit, fits)
    return fits ? 0 : 1
  }

  /** The one place in which a line gets its permit. What carries over is part of what is decided and approved. */
  async #decide(command: Command): Promise<Permit | undefined> {
    const { guard } = this.#options.context
    const decided = await guard.submit(command, {
      hold: () => ({ signal: this.#cancel.signal, onHeld: (notice) => this.#held(heldText(notice)), release: () => this.#released() }),
    })
    if (decided.kind === 'denial') {
      this.#denied(decided)
      return undefined
    }
    if (!this.#over.signal.aborted && !this.#cancel.signal.aborted) return decided
    await guard.finish(decided, { status: 'cancelled', rows: 0, bytes: 0, masked: 0 })
    return undefined
  }

  #command(text: string, effects: readonly Effect[], interactive: boolean, more: { typed?: string } = {}): Command {
    const { context, environment } = this.#options
    const { login } = context
    const variables = new Map([...environment, ...this.#variables])
    const directory = this.#place?.directory ?? '~'
    const here = effects.map((effect): Effect => ({ ...effect, details: { ...effect.details, cwd: directory } }))
    return {
      text,
      effects: [...here, ...(interactive ? [ptyEffect(login)] : []), ...[...variables].map(([name, value]) => envEffect(name, value, login))],
      facts: { login, terminal: interactive, guarded: true, cwd: directory, environment: Object.fromEntries(variables), ...more },
    }
  }

  #held(text: string): void {
    if (this.#state !== 'busy') return
    this.#state = 'held'
    this.#waiting = this.#waiting.filter(({ paste }) => paste > 0)
    this.#screen.text(text)
  }

  #released(): void {
    if (this.#state === 'held') this.#state = 'busy'
  }

  #denied(denial: Denial): void {
    if (this.#state === 'over') return
    this.#screen.text(denialText(denial))
    this.#dropPaste()
  }

  #dropPaste(): void {
    const before = this.#waiting.length
    this.#waiting = this.#waiting.filter(({ paste }) => paste === 0)
    const { paste } = this.#keys
    if (paste > 0) this.#droppedPaste = paste
    if (this.#waiting.length < before || paste > 0) this.#screen.text('Sallyport: the rest of what was pasted is thrown away\r\n')
  }

  async #ended(permit: Permit, ok: boolean): Promise<void> {
    await this.#options.context.guard.finish(permit, { status: ok ? 'ok' : 'error', rows: 0, bytes: 0, masked: 0, ...(ok ? {} : { error_code: 'exit 1' }) })
  }

  #exit(status: number): void {
    if (this.#state === 'over') return
    this.#state = 'over'
    this.#over.abort()
    this.#screen.text(pasteOff)
    this.#screen.end()
    const { wire, context } = this.#options
    this.#finished('ok', status).then(
      () => {
        wire.notify({ type: 'exit-status', status })
        wire.eof()
        wire.close()
      },
      (error: unknown) => context.fatal(error),
    )
  }

  async #finished(status: 'ok' | 'cancelled', exit?: number): Promise<void> {
    const { context, permit } = this.#options
    try {
      await context.guard.finish(permit, { status, ...(exit === undefined ? {} : { tag: `exit ${exit}` }), rows: 0, bytes: this.#screen.bytes, masked: 0 })
    } catch (error) {
      if (status === 'ok') throw error
      context.fatal(error)
    }
  }
}
