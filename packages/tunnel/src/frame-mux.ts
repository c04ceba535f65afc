import type { ChannelError } from '@sallyport/kit'
import type { Frame, FrameReceived, OpenChannel, OpenChannelReceived } from '@sallyport/proto'
import { MuxChannel, openSize, type ChannelHost, type TunnelChannel } from './channel.js'
import { tunnelErrors } from './errors.js'
import { DEFAULT_WINDOW, FLUSH_BYTES, FRAME_OVERHEAD, MAX_BATCH, MAX_DATA_FRAME, MAX_OPEN } from './limits.js'

/** Where batches go: one gRPC stream, seen from here. */
export interface FrameSink {
  /** Takes one batch. `false`: no more until {@link FrameMux.drained} is called. */
  write(batch: readonly Frame[]): boolean
}

export interface FrameMuxOptions {
  /** Bytes in flight per channel and direction. Both sides must be given the same. Default 256 KiB. */
  readonly window?: number
  /** Agent side: takes the channels that the gateway opens. Without it the peer may open none. */
  readonly onOpen?: (channel: TunnelChannel, open: OpenChannelReceived) => void
  /** Most channels at once; more are refused. Default 10 000. */
  readonly maxChannels?: number
  /** How long a channel that was closed normally may wait for the peer to take its last bytes. Default 30 s. */
  readonly lingerMilliseconds?: number
  /** A reader threw; its channel was closed. */
  readonly onReaderError?: (error: unknown) => void
  /**
   * Defers a flush to the end of the event loop's turn. Default {@link setImmediate}; tests drive it by hand.
   * Not a microtask: that would flush after each callback, while the answers of a whole turn can share a batch.
   */
  readonly schedule?: (flush: () => void) => void
}

export interface FrameMuxStats {
  readonly channels: number
  /** Data bytes, without framing. */
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly batchesSent: number
  /** Frames that named no channel of ours, or that the peer may not send. */
  readonly framesIgnored: number
}

/**
 * Carries the byte streams of many sessions over one stream. Each has a window of its own, so that a slow reader stops
 * only its own session; what is to be sent is gathered over one turn of the event loop and sent round robin, one data
 * frame of each channel at a time, so that a bulk transfer never holds up a small answer.
 */
export class FrameMux {
  readonly #sink: FrameSink
  readonly #options: FrameMuxOptions
  readonly #host: ChannelHost
  readonly #channels = new Map<number, MuxChannel>()
  readonly #schedule: (flush: () => void) => void
  readonly #maxChannels: number
  /** Channels with something to send, in the order of their turns. */
  #ring: MuxChannel[] = []
  #nextId = 1
  #scheduled = false
  #flushing = false
  #blocked = false
  #lost: ChannelError | undefined
  #bytesSent = 0
  #bytesReceived = 0
  #batchesSent = 0
  #framesIgnored = 0

  constructor(sink: FrameSink, options: FrameMuxOptions = {}) {
    this.#sink = sink
    this.#options = options
    this.#maxChannels = options.maxChannels ?? 10_000
    this.#schedule = options.schedule ?? setImmediate
    this.#host = {
      window: options.window ?? DEFAULT_WINDOW,
      lingerMilliseconds: options.lingerMilliseconds ?? 30_000,
      wake: (channel) => this.#wake(channel),
      forget: (channel) => this.#channels.delete(channel.id),
      readerFailed: (error) => options.onReaderError?.(error),
      sent: (bytes) => {
        this.#bytesSent += bytes
      },
    }
  }

  get stats(): FrameMuxStats {
    return {
      channels: this.#channels.size,
      bytesSent: this.#bytesSent,
      bytesReceived: this.#bytesReceived,
      batchesSent: this.#batchesSent,
      framesIgnored: this.#framesIgnored,
    }
  }

  /**
   * Gateway side: opens a channel. A refusal by the agent comes as the channel's onClose with an error.
   * @throws {RangeError} when the request is too large or too many channels are open
   */
  open(request: OpenChannel): TunnelChannel {
    if (openSize(request) > MAX_OPEN) throw new RangeError(`the session's grant and parameters exceed ${MAX_OPEN} bytes`)
    if (this.#channels.size >= this.#maxChannels) throw new RangeError('too many channels are open')
    const channel = new MuxChannel(this.#host, this.#freeId(), request)
    if (this.#lost !== undefined) {
      channel.abandon(this.#lost)
      return channel
    }
    this.#channels.set(channel.id, channel)
    this.#wake(channel)
    return channel
  }

  /** Takes a batch that arrived. Never throws, whatever the peer sends. */
  receive(frames: readonly FrameReceived[]): void {
    if (this.#lost !== undefined) return
    for (const frame of frames) this.#receiveFrame(frame)
  }

  /** The sink takes batches again. */
  drained(): void {
    if (!this.#blocked) return
    this.#blocked = false
    this.#flush()
  }

  /** The stream is gone: every channel ends once with TUNNEL_LOST (or the error given). Idempotent. */
  fail(error: ChannelError = tunnelErrors.lost): void {
    if (this.#lost !== undefined) return
    this.#lost = error
    this.#ring = []
    for (const channel of [...this.#channels.values()]) channel.abandon(error)
    this.#channels.clear()
  }

  #freeId(): number {
    // Unsigned 32 bits on the wire; after four thousand million sessions the numbers start again.
    while (this.#channels.has(this.#nextId)) this.#nextId = next(this.#nextId)
    const id = this.#nextId
    this.#nextId = next(id)
    return id
  }

  #receiveFrame(frame: FrameReceived): void {
    if (frame.open) return this.#receiveOpen(frame.channel, frame.open)
    const channel = this.#channels.get(frame.channel)
    if (channel === undefined) {
      // Normal after a close: what the peer sent before it heard of it.
      this.#framesIgnored += 1
    } else if (frame.data !== undefined) {
      this.#bytesReceived += frame.data.length
      channel.receiveData(unshared(frame.data))
    } else if (frame.credit !== undefined) channel.receiveCredit(frame.credit)
    else if (frame.close) channel.receiveClose(frame.close)
    else if (frame.end !== undefined) channel.receiveEnd()
    else if (frame.signal !== undefined && this.#options.onOpen !== undefined) channel.receiveSignal(frame.signal)
    else this.#framesIgnored += 1
  }

  #receiveOpen(id: number, open: OpenChannelReceived): void {
    const { onOpen } = this.#options
    const existing = this.#channels.get(id)
    if (existing !== undefined) return existing.close(tunnelErrors.protocol)
    if (onOpen === undefined) {
      this.#framesIgnored += 1
      return
    }
    const channel = new MuxChannel(this.#host, id)
    const full = this.#channels.size >= this.#maxChannels
    this.#channels.set(id, channel)
    if (full) return channel.close(tunnelErrors.tooManyChannels)
    try {
      onOpen(channel, open)
    } catch (error) {
      this.#options.onReaderError?.(error)
      channel.close(tunnelErrors.readerFailed)
    }
  }

  #wake(channel: MuxChannel): void {
    if (this.#lost !== undefined || !channel.sendable) return
    if (!channel.queued) {
      channel.queued = true
      this.#ring.push(channel)
    }
    if (this.#blocked || this.#flushing) return
    if (channel.sendableBytes >= FLUSH_BYTES) this.#flush()
    else if (!this.#scheduled) {
      this.#scheduled = true
      this.#schedule(() => {
        this.#scheduled = false
        this.#flush()
      })
    }
  }

  #flush(): void {
    if (this.#flushing || this.#lost !== undefined) return
    this.#flushing = true
    while (!this.#blocked && this.#ring.length > 0) {
      const batch = this.#nextBatch()
      if (batch.length === 0) continue
      this.#batchesSent += 1
      this.#blocked = !this.#sink.write(batch)
    }
    this.#flushing = false
  }

  #nextBatch(): Frame[] {
    const batch: Frame[] = []
    let size = 0
    let turns = 0
    for (; turns < this.#ring.length && size < FLUSH_BYTES; turns += 1) {
      const channel = this.#ring[turns]
      if (channel === undefined) break
      // The most that its turn can add, besides signals, which are few and small.
      if (batch.length > 0 && size + channel.openSize + MAX_DATA_FRAME + 4 * FRAME_OVERHEAD > MAX_BATCH) break
      channel.queued = false
      size += channel.emit(batch)
      if (channel.sendable) {
        channel.queued = true
        this.#ring.push(channel)
      }
    }
    this.#ring = turns >= this.#ring.length ? [] : this.#ring.slice(turns)
    return batch
  }
}

function next(id: number): number {
  return id === 0xffff_ffff ? 1 : id + 1
}

/**
 * Received bytes are views of the whole message. A small piece that a slow reader keeps would keep all of it, so many
 * small pieces could hold far more than the window allows.
 */
function unshared(data: Buffer): Buffer {
  return data.length * 8 < data.buffer.byteLength && data.length <= 4_096 && data.buffer.byteLength > 16_384 ? Buffer.from(data) : data
}
