import type { ByteChannel, ChannelError, ChannelReader } from '@sallyport/kit'
import type { CloseChannelReceived, Frame, OpenChannel } from '@sallyport/proto'
import { tunnelErrors } from './errors.js'
import { FRAME_OVERHEAD, MAX_DATA_FRAME, MAX_EARLY_CHUNKS, MAX_SIGNALS, MAX_SIGNAL_BYTES } from './limits.js'
import { SendQueue } from './send-queue.js'

/** One session's byte stream over the tunnel. */
export interface TunnelChannel extends ByteChannel {
  readonly id: number
  /** Gateway to agent: the protocol's out-of-band signal. Overtakes bytes that wait for the window. */
  signal(payload: Uint8Array): void
  /** Agent: who takes the signals. Those that came before are delivered at once. */
  onSignal(handler: (payload: Buffer) => void): void
}

/** What a channel needs of its multiplexer. */
export interface ChannelHost {
  readonly window: number
  readonly lingerMilliseconds: number
  /** The channel has something to send. */
  wake(channel: MuxChannel): void
  /** Both directions are over and nothing is left to send. */
  forget(channel: MuxChannel): void
  readerFailed(error: unknown): void
  /** Data bytes that went into a batch. */
  sent(bytes: number): void
}

/** The state of one channel. Its methods beyond {@link TunnelChannel} are for the multiplexer alone. */
export class MuxChannel implements TunnelChannel {
  /** In the multiplexer's ring of channels with something to send. */
  queued = false

  readonly #host: ChannelHost
  readonly #outgoing = new SendQueue()
  /** Bytes the peer still lets us send. */
  #credit: number
  /** Bytes the peer may still send. */
  #allowance: number
  /** Bytes consumed and not yet told to the peer. */
  #consumed = 0
  #open: OpenChannel | undefined
  #signals: Uint8Array[] = []
  #earlySignals: Buffer[] = []
  #signalHandler: ((payload: Buffer) => void) | undefined
  #reader: ChannelReader | undefined
  #early: Buffer[] = []
  #waiters: (() => void)[] = []
  #endWanted = false
  #endSent = false
  #peerEnded = false
  #endDelivered = false
  /** Set when our side closed it: the frame still has to be sent, after what is queued. */
  #closeWanted: { readonly error: ChannelError | undefined } | undefined
  #over: { readonly error: ChannelError | undefined } | undefined
  #closeDelivered = false
  #linger: NodeJS.Timeout | undefined

  constructor(
    host: ChannelHost,
    readonly id: number,
    open?: OpenChannel,
  ) {
    this.#host = host
    this.#credit = host.window
    this.#allowance = host.window
    this.#open = open
  }

  write(bytes: Uint8Array): boolean {
    // After the end there is nobody to write to. `true`, so that no writer waits: the reader's onClose tells.
    if (this.#over !== undefined || this.#endWanted) return true
    this.#outgoing.push(bytes)
    this.#host.wake(this)
    return this.#hasRoom()
  }

  writable(): Promise<void> {
    if (this.#over !== undefined || this.#hasRoom()) return Promise.resolve()
    return new Promise((resolve) => this.#waiters.push(resolve))
  }

  start(reader: ChannelReader): void {
    if (this.#reader !== undefined) throw new Error('a channel has one reader')
    this.#reader = reader
    const early = this.#early
    this.#early = []
    for (const bytes of early) this.#guarded((to) => to.onData(bytes))
    this.#deliverEnds()
  }

  consumed(bytes: number): void {
    // Never hand out more than was taken: a reader that counts twice must not widen the window.
    const held = this.#host.window - this.#allowance - this.#consumed
    this.#consumed += Math.max(0, Math.min(bytes, held))
    if (this.#over === undefined && !this.#peerEnded && this.#consumed * 2 >= this.#host.window) this.#host.wake(this)
  }

  end(): void {
    if (this.#over !== undefined || this.#endWanted) return
    this.#endWanted = true
    this.#host.wake(this)
  }

  close(error?: ChannelError): void {
    if (this.#over !== undefined) return
    if (this.#open !== undefined) return this.#neverOpened(error)
    this.#closeWanted = { error }
    // An error ends the session now: what the peer hasn't made room for is dropped. A normal end delivers it first.
    if (error !== undefined) this.#outgoing.clear()
    else if (this.#outgoing.length > 0) this.#startLinger()
    this.#finish(error)
    this.#host.wake(this)
  }

  signal(payload: Uint8Array): void {
    if (payload.length > MAX_SIGNAL_BYTES) throw new RangeError(`a signal has at most ${MAX_SIGNAL_BYTES} bytes`)
    if (this.#over !== undefined || this.#signals.length >= MAX_SIGNALS) return
    this.#signals.push(payload)
    this.#host.wake(this)
  }

  onSignal(handler: (payload: Buffer) => void): void {
    this.#signalHandler = handler
    for (const payload of this.#earlySignals.splice(0)) handler(payload)
  }

  /** Something can go out now. */
  get sendable(): boolean {
    if (this.#open !== undefined || this.#signals.length > 0) return true
    if (this.#outgoing.length > 0) return this.#credit > 0 || this.#creditDue
    return this.#creditDue || this.#closeWanted !== undefined || this.#endDue
  }

  /** Bytes that could go out now. */
  get sendableBytes(): number {
    return Math.min(this.#outgoing.length, this.#credit)
  }

  /** Size of what must travel in one frame. */
  get openSize(): number {
    return this.#open === undefined ? 0 : openSize(this.#open)
  }

  /** Adds this channel's turn to a batch: control frames and at most one data frame. Returns the bytes added. */
  emit(batch: Frame[]): number {
    let size = 0
    if (this.#open !== undefined) {
      size += openSize(this.#open) + FRAME_OVERHEAD
      batch.push({ channel: this.id, open: this.#open })
      this.#open = undefined
    }
    if (this.#creditDue) {
      batch.push({ channel: this.id, credit: this.#consumed })
      this.#allowance += this.#consumed
      this.#consumed = 0
      size += FRAME_OVERHEAD
    }
    for (const signal of this.#signals.splice(0)) {
      batch.push({ channel: this.id, signal })
      size += signal.length + FRAME_OVERHEAD
    }
    const limit = Math.min(this.#credit, MAX_DATA_FRAME)
    if (limit > 0 && this.#outgoing.length > 0) {
      const data = this.#outgoing.take(limit)
      this.#credit -= data.length
      this.#host.sent(data.length)
      batch.push({ channel: this.id, data })
      size += data.length + FRAME_OVERHEAD
      this.#wakeWriters()
    }
    if (this.#outgoing.length === 0) size += this.#emitEnd(batch)
    return size
  }

  receiveData(bytes: Buffer): void {
    if (this.#over !== undefined) return
    if (this.#peerEnded) return this.close(tunnelErrors.protocol)
    if (bytes.length > this.#allowance) return this.close(tunnelErrors.windowOverrun)
    this.#allowance -= bytes.length
    if (bytes.length === 0) return
    if (this.#reader !== undefined) return this.#guarded((reader) => reader.onData(bytes))
    if (this.#early.length >= MAX_EARLY_CHUNKS) return this.close(tunnelErrors.windowOverrun)
    this.#early.push(bytes)
  }

  receiveCredit(bytes: number): void {
    // More than was ever sent would lift the bound on what we hold for this peer.
    if (bytes > this.#host.window - this.#credit) return this.close(tunnelErrors.protocol)
    this.#credit += bytes
    if (this.#outgoing.length > 0) this.#host.wake(this)
    this.#wakeWriters()
  }

  receiveEnd(): void {
    if (this.#over !== undefined || this.#peerEnded) return
    this.#peerEnded = true
    this.#deliverEnds()
    this.#endIfBothEnded()
  }

  receiveSignal(payload: Buffer): void {
    if (this.#over !== undefined) return
    if (this.#signalHandler !== undefined) {
      const handler = this.#signalHandler
      this.#guarded(() => handler(payload))
    } else if (this.#earlySignals.length < MAX_SIGNALS) this.#earlySignals.push(payload)
  }

  receiveClose(close: CloseChannelReceived): void {
    const error = close.code === '' ? undefined : { code: close.code, message: close.message, hint: close.hint }
    this.abandon(error)
  }

  /** The channel is over and the peer needs no telling (it told us, or there is no stream any more). */
  abandon(error: ChannelError | undefined): void {
    this.#closeWanted = undefined
    this.#outgoing.clear()
    this.#finish(error)
    this.#deliverEnds()
    clearTimeout(this.#linger)
    this.#host.forget(this)
  }

  get #creditDue(): boolean {
    return this.#consumed * 2 >= this.#host.window && this.#over === undefined && !this.#peerEnded
  }

  get #endDue(): boolean {
    return this.#endWanted && !this.#endSent && this.#over === undefined
  }

  #hasRoom(): boolean {
    return this.#outgoing.length < this.#credit
  }

  #wakeWriters(): void {
    if (this.#waiters.length === 0 || (this.#over === undefined && !this.#hasRoom())) return
    for (const resolve of this.#waiters.splice(0)) resolve()
  }

  #emitEnd(batch: Frame[]): number {
    if (this.#closeWanted !== undefined) {
      const { error } = this.#closeWanted
      batch.push({ channel: this.id, close: error === undefined ? {} : { code: error.code, message: error.message, hint: error.hint } })
      this.#closeWanted = undefined
      clearTimeout(this.#linger)
      this.#host.forget(this)
      return FRAME_OVERHEAD + (error === undefined ? 0 : error.message.length + error.hint.length)
    }
    if (!this.#endDue) return 0
    this.#endSent = true
    batch.push({ channel: this.id, end: true })
    this.#endIfBothEnded()
    return FRAME_OVERHEAD
  }

  #endIfBothEnded(): void {
    if (this.#peerEnded && this.#endSent && this.#over === undefined) this.abandon(undefined)
  }

  /** The peer has never heard of it: nothing is sent. */
  #neverOpened(error: ChannelError | undefined): void {
    this.#open = undefined
    this.#outgoing.clear()
    this.#finish(error)
    this.#host.forget(this)
  }

  /** Marks the end and tells the reader once, never inside the caller's own call to close(). */
  #finish(error: ChannelError | undefined): void {
    if (this.#over !== undefined) return
    this.#over = { error }
    this.#early = this.#closeWanted === undefined ? this.#early : []
    this.#signals = []
    this.#wakeWriters()
    queueMicrotask(() => this.#deliverEnds())
  }

  #deliverEnds(): void {
    if (this.#reader === undefined) return
    if (this.#peerEnded && !this.#endDelivered) {
      this.#endDelivered = true
      this.#guarded((reader) => reader.onEnd())
    }
    if (this.#over !== undefined && !this.#closeDelivered) {
      this.#closeDelivered = true
      const { error } = this.#over
      this.#guarded((reader) => reader.onClose(error))
    }
  }

  /** A reader's failure ends its own channel and nothing else. */
  #guarded(call: (reader: ChannelReader) => void): void {
    if (this.#reader === undefined && this.#signalHandler === undefined) return
    try {
      call(this.#reader ?? noReader)
    } catch (error) {
      this.#host.readerFailed(error)
      this.close(tunnelErrors.readerFailed)
    }
  }

  #startLinger(): void {
    this.#linger = setTimeout(() => {
      this.#outgoing.clear()
      this.#closeWanted = { error: tunnelErrors.lingered }
      this.#host.wake(this)
    }, this.#host.lingerMilliseconds)
    this.#linger.unref()
  }
}

const noReader: ChannelReader = { onData: () => {}, onEnd: () => {}, onClose: () => {} }

/** Upper bound of an open frame's bytes, near enough for limits. */
export function openSize(open: OpenChannel): number {
  let size = (open.grant?.length ?? 0) + (open.sessionId?.length ?? 0)
  for (const [name, value] of Object.entries(open.parameters ?? {})) size += 3 * (name.length + value.length) + 8
  return size
}
