import type { CommandResult, Guard, ResultPreview } from '@sallyport/kit'
import type { WireChannel } from '../wire/wire.js'
import { StreamMask } from './stream-mask.js'

/** A readable stream of the upstream connection that can be stopped. */
export interface Source {
  pause(): unknown
  resume(): unknown
}

export interface OutputOptions {
  readonly wire: WireChannel
  readonly guard: Guard
  readonly terminal: boolean
  /** False for file transfers and packs: a changed byte would corrupt them. */
  readonly masked: boolean
}

type StreamName = 'stdout' | 'stderr'

/** What a command prints: masked, recorded up to the session's cap, and sent on no faster than the client takes it. */
export class Output {
  readonly #options: OutputOptions
  readonly #masks: Readonly<Record<StreamName, StreamMask>>
  readonly #pieces: { stream: StreamName; text: string }[] = []
  #room: number
  #truncated = false
  #bytes = 0
  #blocked = false
  readonly #sources: Source[] = []

  constructor(options: OutputOptions) {
    this.#options = options
    this.#room = options.guard.recordResultBytes
    this.#masks = { stdout: this.#mask('stdout'), stderr: this.#mask('stderr') }
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

  /** Everything that was held back goes out. */
  end(): void {
    this.#masks.stdout.end()
    this.#masks.stderr.end()
  }

  /** What the record says of it. */
  get result(): Pick<CommandResult, 'rows' | 'bytes' | 'masked' | 'result'> {
    const result = this.#preview()
    return { rows: 0, bytes: this.#bytes, masked: this.#masks.stdout.masked + this.#masks.stderr.masked, ...(result ? { result } : {}) }
  }

  #mask(stream: StreamName): StreamMask {
    return new StreamMask({ emit: (bytes) => this.#emit(stream, bytes), masks: () => this.#options.guard.masks, terminal: this.#options.terminal })
  }

  #emit(stream: StreamName, bytes: Buffer): void {
    if (this.#options.masked) this.#record(stream, bytes)
    const { wire } = this.#options
    if (wire.write(bytes, stream === 'stderr') || this.#blocked) return
    this.#blocked = true
    for (const source of this.#sources) source.pause()
    void wire.drained().then(() => {
      this.#blocked = false
      for (const source of this.#sources) source.resume()
    })
  }

  #record(stream: StreamName, bytes: Buffer): void {
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

  #preview(): ResultPreview | undefined {
    if (this.#pieces.length === 0) return undefined
    return { columns: ['stream', 'text'], rows: this.#pieces.map(({ stream, text }) => [stream, text]), truncated: this.#truncated }
  }
}
