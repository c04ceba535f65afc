import type { Denial, Permit } from '@sallyport/kit'
import type { ClientChannel } from 'ssh2'
import { ScpFilter, SftpFilter, type FilterSinks, type ScpMode } from '../transfer/index.js'
import type { WireChannel } from '../wire/wire.js'
import type { RequestOf } from '../wire/messages.js'
import type { ChannelContext, RunningChannel } from './running.js'
import { fileAuthority } from './file-authority.js'
import { TargetPaths } from './target-paths.js'
import { denialText, heldText } from './texts.js'

/** Bytes of the client that may wait in filter and target before it is stopped. */
const maxPendingBytes = 512 * 1024
/** Denials that are told on stderr: a client that tries thousands of files hears of the first. */
const maxDenialsTold = 10

type Filter = SftpFilter | ScpFilter

/** An sftp or scp channel: a filter stands between client and target, and decides each operation. */
export class RunningTransfer implements RunningChannel {
  readonly #stream: ClientChannel
  readonly #permit: Permit
  readonly #wire: WireChannel
  readonly #context: ChannelContext
  readonly #filter: Filter
  readonly #paths: TargetPaths | undefined
  readonly #cancel = new AbortController()
  /** Bytes taken from the client for which it has got no room again. */
  #owed = 0
  #denialsTold = 0
  #bytes = 0
  #exit: RequestOf<'exit-status'> | RequestOf<'exit-signal'> | undefined
  #over = false
  /** Ends that are not durable yet, what the client is not shown before, and what comes then. */
  #unrecorded = 0
  readonly #heldBack: Buffer[] = []
  #whenShown: (() => void) | undefined

  constructor(stream: ClientChannel, permit: Permit, wire: WireChannel, context: ChannelContext, scp: ScpMode | undefined) {
    this.#stream = stream
    this.#permit = permit
    this.#wire = wire
    this.#context = context
    const authority = fileAuthority({
      guard: context.guard,
      login: context.login,
      signal: this.#cancel.signal,
      onHeld: (notice) => wire.write(Buffer.from(heldText(notice)), true),
      // SFTP carries a text with its refusal, but OpenSSH's clients show their own; scp shows the one that it is given.
      ...(scp === undefined ? { onDenied: (denial) => this.#tellDenied(denial) } : {}),
      onEnd: (recorded) => this.#holdBack(recorded),
    })
    const sinks: FilterSinks = {
      toServer: (bytes) => {
        stream.write(bytes, () => this.#settle())
      },
      toClient: (bytes) => {
        this.#bytes += bytes.length
        if (this.#unrecorded > 0) this.#heldBack.push(bytes)
        else this.#show(bytes)
      },
      fail: (reason) => {
        wire.write(Buffer.from(`Sallyport: ${reason}\r\n`), true)
        stream.close()
        this.#finish()
      },
    }
    if (scp === undefined) this.#filter = new SftpFilter(authority, sinks)
    else {
      this.#paths = new TargetPaths(context.upstream)
      this.#filter = new ScpFilter(scp, authority, this.#paths, sinks)
    }
    stream.on('data', (bytes: Buffer) => this.#guarded(() => this.#filter.fromServer(bytes)))
    stream.stderr.on('data', (bytes: Buffer) => wire.write(bytes, true))
    stream.on('exit', (code: number | null, name?: string) => {
      this.#exit = typeof code === 'number' ? { type: 'exit-status', status: code } : { type: 'exit-signal', name: (name ?? 'TERM').replace(/^SIG/, ''), core: false, message: '' }
    })
    stream.on('close', () => this.#ended())
    stream.on('error', () => this.#finish())
  }

  input(bytes: Buffer): void {
    this.#bytes += bytes.length
    this.#owed += bytes.length
    this.#guarded(() => this.#filter.fromClient(bytes))
    this.#settle()
  }

  inputEnded(): void {
    this.#filter.clientEnded().then(
      () => this.#stream.end(),
      (error: unknown) => this.#context.fatal(error),
    )
  }

  signal(): void {
    // Transfers have no signals.
  }

  resize(): void {
    // Nor a terminal.
  }

  abandon(): void {
    if (this.#over) return
    this.#cancel.abort()
    this.#filter.close()
    this.#stream.close()
    this.#stream.resume()
    this.#finish()
  }

  #tellDenied(denial: Denial): void {
    if (this.#denialsTold++ < maxDenialsTold) this.#wire.write(Buffer.from(denialText(denial)), true)
  }

  /** Gives the client room for what has been passed on. */
  #settle(): void {
    if (this.#filter.pendingBytes + this.#stream.writableLength > maxPendingBytes) return
    const owed = this.#owed
    this.#owed = 0
    if (owed > 0) this.#wire.consumed(owed)
  }

  #ended(): void {
    const end = this.#filter.serverEnded()
    if (end === undefined) this.#finish()
    else end.then(() => this.#finish(), (error: unknown) => this.#context.fatal(error))
  }

  #guarded(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#context.fatal(error)
    }
  }

  /** In a strict session the client sees nothing more until the end of an operation is durable; the target waits meanwhile. */
  #holdBack(recorded: Promise<void>): void {
    this.#unrecorded += 1
    this.#stream.pause()
    recorded.then(
      () => {
        this.#unrecorded -= 1
        if (this.#unrecorded > 0) return
        for (const bytes of this.#heldBack.splice(0)) this.#show(bytes)
        this.#stream.resume()
        this.#whenShown?.()
      },
      (error: unknown) => this.#context.fatal(error),
    )
  }

  #show(bytes: Buffer): void {
    if (this.#wire.write(bytes)) return
    this.#stream.pause()
    void this.#wire.drained().then(() => this.#stream.resume())
  }

  #finish(): void {
    if (this.#over) return
    this.#over = true
    this.#paths?.close()
    const exit = this.#exit
    const cancelled = this.#cancel.signal.aborted
    try {
      this.#filter.close()
      const recorded = this.#context.guard.finish(this.#permit, {
        status: cancelled ? 'cancelled' : 'ok',
        ...(exit === undefined ? {} : { tag: exit.type === 'exit-status' ? `exit ${exit.status}` : `signal ${exit.name}` }),
        rows: 0,
        bytes: this.#bytes,
        masked: 0,
      })
      if (recorded !== undefined) this.#holdBack(recorded)
    } catch (error) {
      this.#context.fatal(error)
      return
    }
    const close = (): void => {
      if (exit !== undefined) this.#wire.notify(exit)
      this.#wire.eof()
      this.#wire.close()
    }
    if (this.#unrecorded > 0) this.#whenShown = close
    else close()
  }
}
