import type { ByteChannel, ChannelError, ChannelReader } from '@sallyport/kit'

export interface ChannelWatch {
  /** Client to agent. */
  readonly onSent: (bytes: number) => void
  readonly onReceived: (bytes: number) => void
  /** Once, when the channel is over: by the front, by the agent, by a kill or because the tunnel was lost. */
  readonly onOver: (error: ChannelError | undefined) => void
}

/** The tunnel's channel as a front sees it, counted, and watched to its end. */
export class SessionChannel implements ByteChannel {
  readonly #inner: ByteChannel
  readonly #watch: ChannelWatch
  #reader: ChannelReader | undefined
  #early: Buffer[] = []
  #ended = false
  #over: { readonly error: ChannelError | undefined } | undefined

  constructor(inner: ByteChannel, watch: ChannelWatch) {
    this.#inner = inner
    this.#watch = watch
    // Read from the beginning: a session that the agent refuses or loses before the front starts must not be forgotten.
    inner.start({
      onData: (bytes) => {
        watch.onReceived(bytes.length)
        if (this.#reader === undefined) this.#early.push(bytes)
        else this.#reader.onData(bytes)
      },
      onEnd: () => {
        this.#ended = true
        this.#reader?.onEnd()
      },
      onClose: (error) => {
        this.#over = { error }
        watch.onOver(error)
        this.#reader?.onClose(error)
      },
    })
  }

  write(bytes: Uint8Array): boolean {
    this.#watch.onSent(bytes.length)
    return this.#inner.write(bytes)
  }

  writable(): Promise<void> {
    return this.#inner.writable()
  }

  start(reader: ChannelReader): void {
    if (this.#reader !== undefined) throw new Error('a channel has one reader')
    this.#reader = reader
    for (const bytes of this.#early.splice(0)) reader.onData(bytes)
    if (this.#ended) reader.onEnd()
    if (this.#over !== undefined) reader.onClose(this.#over.error)
  }

  consumed(bytes: number): void {
    this.#inner.consumed(bytes)
  }

  end(): void {
    this.#inner.end()
  }

  close(error?: ChannelError): void {
    this.#inner.close(error)
  }
}
