import type { ResultPreview } from '../event.js'
import type { CommandResult, Guard } from '../guard.js'
import type { Permit } from '../permit.js'
import { Recorder } from '../recording/recorder.js'
import { StreamMask } from './stream-mask.js'

/** A readable stream of the upstream connection that can be stopped. */
export interface Source {
  pause(): unknown
  resume(): unknown
}

/** Where a command's output goes: the client's side of a protocol. */
export interface OutputSink {
  /** Returns false when the client takes no more: {@link drained} tells when it does again. */
  write(bytes: Buffer, stderr: boolean): boolean
  drained(): Promise<void>
}

export interface OutputOptions {
  readonly sink: OutputSink
  readonly guard: Guard
  readonly permit: Permit
  /** The terminal's size at the beginning; undefined without one. */
  readonly terminal: TerminalSize | undefined
  /** False for file transfers and packs: a changed byte would corrupt them. */
  readonly masked: boolean
  /** The recording could not be written: the session has to end. */
  fatal(error: unknown): void
}

export interface TerminalSize {
  readonly columns: number
  readonly rows: number
}

/** What the event of the command's end shows at most; the recording holds more. */
const previewBytes = 4096

type StreamName = 'stdout' | 'stderr'

/** What a command prints: masked, recorded up to the policy's cap, and sent on no faster than the client takes it. */
export class Output {
  readonly #options: OutputOptions
  readonly #masks: Readonly<Record<StreamName, StreamMask>>
  readonly #pieces: { stream: StreamName; text: string }[] = []
  #room: number
  #truncated = false
  #bytes = 0
  #blocked = false
  readonly #sources: Source[] = []
  readonly #recorder: Recorder
  /** What is typed; only where the policy has it recorded. A secret that is pasted is masked like one that is shown. */
  readonly #input: StreamMask | undefined

  constructor(options: OutputOptions) {
    this.#options = options
    const { guard, permit, terminal } = options
    this.#room = Math.min(guard.recordResultBytes, previewBytes)
    const maxBytes = !options.masked ? 0 : terminal ? guard.recordTerminalBytes : guard.recordResultBytes
    this.#recorder = new Recorder({ guard, permit, maxBytes, onError: (error) => options.fatal(error) })
    this.#masks = { stdout: this.#mask((bytes) => this.#emit('stdout', bytes)), stderr: this.#mask((bytes) => this.#emit('stderr', bytes)) }
    this.#input = terminal && guard.recordInput ? this.#mask((bytes) => this.#recorder.push('i', bytes)) : undefined
    if (terminal) this.resized(terminal)
  }

  /** Stopped while the client takes no more. */
  stops(source: Source): void {
    this.#sources.push(source)
  }

  push(stream: StreamName, bytes: Buffer): void {
    this.#bytes += bytes.length
    if (this.#options.masked) this.#masks[stream].push(bytes)
    else this.#emit(stream, bytes)
  }

  /** The client typed it. */
  typed(bytes: Buffer): void {
    this.#input?.push(bytes)
  }

  resized({ columns, rows }: TerminalSize): void {
    if (this.#options.terminal) this.#recorder.resize(columns, rows)
  }

  /** Everything that was held back goes out, and the recording ends. */
  end(): void {
    this.#input?.end()
    this.#masks.stdout.end()
    this.#masks.stderr.end()
    this.#recorder.end()
  }

  /** What the record says of it. */
  get result(): Pick<CommandResult, 'rows' | 'bytes' | 'masked' | 'result'> {
    const result = this.#previewed()
    return { rows: 0, bytes: this.#bytes, masked: this.#masks.stdout.masked + this.#masks.stderr.masked, ...(result ? { result } : {}) }
  }

  #mask(emit: (bytes: Buffer) => void): StreamMask {
    return new StreamMask({ emit, masks: () => this.#options.guard.masks, terminal: this.#options.terminal !== undefined })
  }

  #emit(stream: StreamName, bytes: Buffer): void {
    if (this.#options.masked) {
      this.#preview(stream, bytes)
      this.#recorder.push(stream === 'stdout' ? 'o' : 'e', bytes)
    }
    const { sink } = this.#options
    if (sink.write(bytes, stream === 'stderr') || this.#blocked) return
    this.#blocked = true
    for (const source of this.#sources) source.pause()
    void sink.drained().then(() => {
      this.#blocked = false
      for (const source of this.#sources) source.resume()
    })
  }

  #preview(stream: StreamName, bytes: Buffer): void {
    if (this.#room <= 0) {
      this.#truncated ||= bytes.length > 0
      return
    }
    const taken = bytes.subarray(0, this.#room)
    this.#truncated ||= taken.length < bytes.length
    this.#room -= taken.length + 8
    const text = taken.toString('utf8')
    const last = this.#pieces.at(-1)
    if (last?.stream === stream) last.text += text
    else this.#pieces.push({ stream, text })
  }

  #previewed(): ResultPreview | undefined {
    if (this.#pieces.length === 0) return undefined
    return { columns: ['stream', 'text'], rows: this.#pieces.map(({ stream, text }) => [stream, text]), truncated: this.#truncated }
  }
}
