import type { ByteChannel, ChannelError } from '@sallyport/kit'
import { encodeFrame, FrameReader, frameType, maxDataBytes, WireError, type Frame } from './frames.js'
import { channelOpen, channelRequest, type ChannelOpen, type ChannelRequest } from './messages.js'

/** Bytes of one channel in flight, per direction. Each channel has its own, so that a stopped one never delays another. */
export const channelWindow = 512 * 1024
const maxChannels = 128
const maxPendingRequests = 256
const maxEarly = 1024

export interface WireHandlers {
  /** The other side opens a channel: accept or refuse it, now or later. Requests and data come to its handlers. */
  onOpen(channel: WireChannel, open: ChannelOpen): void
  /** A request on the connection as a whole. Its result answers it. */
  onRequest(request: ChannelRequest): Promise<boolean>
  /** The byte stream is over; every channel is told next. */
  onClose(error: ChannelError | undefined): void
  /** The other side has broken the protocol; the stream has been closed. */
  onBroken(error: Error): void
  /** Something came or went. */
  onActivity?(): void
}

export interface WireChannelHandlers {
  /** Call {@link WireChannel.consumed} as the bytes leave. */
  onData(bytes: Buffer, stderr: boolean): void
  onEof(): void
  onRequest(request: ChannelRequest, reply: (ok: boolean) => void): void
  /** Once; nothing comes after it. */
  onClose(): void
}

/** Carries the channels of one SSH connection over one session's byte stream. Front and engine each have one. */
export class Wire {
  readonly #channel: ByteChannel
  readonly #handlers: WireHandlers
  readonly #reader = new FrameReader()
  readonly #channels = new Map<number, WireChannel>()
  readonly #replies = new Map<number, (ok: boolean) => void>()
  readonly #output: Buffer[] = []
  readonly #parity: number
  #nextChannel: number
  #nextRequest = 1
  #blocked = false
  #over = false

  /** @param side which channel numbers are ours to choose */
  constructor(channel: ByteChannel, side: 'front' | 'engine', handlers: WireHandlers) {
    this.#channel = channel
    this.#handlers = handlers
    this.#parity = side === 'front' ? 1 : 0
    this.#nextChannel = side === 'front' ? 1 : 2
  }

  start(): void {
    this.#channel.start({
      onData: (bytes) => {
        // Every channel has a window of its own, so the stream as a whole is always read.
        this.#channel.consumed(bytes.length)
        this.#receive(bytes)
      },
      onEnd: () => this.#finish(undefined),
      onClose: (error) => this.#finish(error),
    })
  }

  get channels(): number {
    return this.#channels.size
  }

  /** Opens a channel. Undefined when there are too many already, or the stream is over. */
  open(request: ChannelOpen, handlers: WireChannelHandlers): WireChannel | undefined {
    if (this.#over || this.#channels.size >= maxChannels || !channelOpen.safeParse(request).success) return undefined
    const id = this.#nextChannel
    this.#nextChannel += 2
    const channel = new WireChannel(this, id, handlers, false)
    this.#channels.set(id, channel)
    this.send(frameType.open, id, json(request))
    return channel
  }

  /** A request on the connection as a whole; resolves with the answer, false when the stream ends. */
  request(request: ChannelRequest): Promise<boolean> {
    return this.ask(0, request)
  }

  notify(request: ChannelRequest): void {
    if (isSound(request)) this.send(frameType.request, 0, Buffer.concat([number(0), json(request)]))
  }

  /** Closes the stream with an error for the other side, or none. */
  close(error?: ChannelError): void {
    this.#channel.close(error)
    this.#finish(undefined)
  }

  /** For channels: sends a frame in order. */
  send(type: number, channel: number, payload: Uint8Array): void {
    if (this.#over) return
    this.#handlers.onActivity?.()
    const frame = encodeFrame(type, channel, payload)
    if (this.#blocked) this.#output.push(frame)
    else if (!this.#channel.write(frame)) this.#wait()
  }

  /** For channels: a request that wants a reply. */
  ask(channel: number, request: ChannelRequest): Promise<boolean> {
    if (this.#over || this.#replies.size >= maxPendingRequests || !isSound(request)) return Promise.resolve(false)
    const id = this.#nextRequest
    this.#nextRequest = id === 0xffff_ffff ? 1 : id + 1
    return new Promise((resolve) => {
      this.#replies.set(id, resolve)
      this.send(frameType.request, channel, Buffer.concat([number(id), json(request)]))
    })
  }

  /** For channels: both sides have closed it. */
  forget(id: number): void {
    this.#channels.delete(id)
  }

  #wait(): void {
    this.#blocked = true
    void this.#channel.writable().then(() => {
      this.#blocked = false
      while (!this.#blocked && !this.#over) {
        const next = this.#output.shift()
        if (next === undefined) return
        if (!this.#channel.write(next)) this.#wait()
      }
    })
  }

  #receive(bytes: Buffer): void {
    if (this.#over) return
    this.#handlers.onActivity?.()
    try {
      for (const frame of this.#reader.push(bytes)) this.#frame(frame)
    } catch (error) {
      const broken = error instanceof Error ? error : new WireError('unknown')
      this.#channel.close({ code: 'PROTOCOL', message: 'internal protocol error between gateway and agent', hint: 'Connect again.' })
      this.#finish(undefined)
      this.#handlers.onBroken(broken)
    }
  }

  #frame(frame: Frame): void {
    const { type, channel: id, payload } = frame
    if (type === frameType.open) return this.#opened(id, payload)
    if (type === frameType.reply) return this.#reply(payload)
    if (type === frameType.request && id === 0) return this.#globalRequest(payload)
    const channel = this.#channels.get(id)
    // What was on its way when we closed the channel.
    if (channel === undefined) return
    switch (type) {
      case frameType.opened:
        return channel.receiveOpened()
      case frameType.openFailed:
        return channel.receiveOpenFailed(payload.toString('utf8').slice(0, 4096))
      case frameType.data:
        return channel.receiveData(payload, false)
      case frameType.extendedData:
        return channel.receiveData(payload, true)
      case frameType.credit:
        return channel.receiveCredit(readNumber(payload, 0))
      case frameType.eof:
        return channel.receiveEof()
      case frameType.close:
        return channel.receiveClose()
      case frameType.request: {
        const request = readNumber(payload, 0)
        return channel.receiveRequest(parseRequest(payload.subarray(4)), (ok) => {
          if (request !== 0) this.send(frameType.reply, id, Buffer.concat([number(request), Buffer.of(ok ? 1 : 0)]))
        })
      }
      default:
        throw new WireError('a frame of an unknown type')
    }
  }

  #opened(id: number, payload: Buffer): void {
    if (id === 0 || id % 2 === this.#parity || this.#channels.has(id)) throw new WireError('a channel number that is not free')
    const open = channelOpen.safeParse(parseJson(payload))
    if (!open.success) throw new WireError('a channel of an unknown kind')
    const channel = new WireChannel(this, id, undefined, true)
    if (this.#channels.size >= maxChannels) {
      this.send(frameType.openFailed, id, Buffer.from('too many channels'))
      return
    }
    this.#channels.set(id, channel)
    this.#handlers.onOpen(channel, open.data)
  }

  #reply(payload: Buffer): void {
    const id = readNumber(payload, 0)
    const resolve = this.#replies.get(id)
    this.#replies.delete(id)
    resolve?.(payload[4] === 1)
  }

  #globalRequest(payload: Buffer): void {
    const id = readNumber(payload, 0)
    const answer = (ok: boolean): void => {
      if (id !== 0) this.send(frameType.reply, 0, Buffer.concat([number(id), Buffer.of(ok ? 1 : 0)]))
    }
    this.#handlers.onRequest(parseRequest(payload.subarray(4))).then(answer, () => answer(false))
  }

  #finish(error: ChannelError | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#output.length = 0
    for (const resolve of this.#replies.values()) resolve(false)
    this.#replies.clear()
    // Why it ended first: a channel's user may want to say so before the channel closes.
    this.#handlers.onClose(error)
    for (const channel of [...this.#channels.values()]) channel.abandon()
    this.#channels.clear()
  }
}

/** One channel: data in both directions with a window each, requests, half-close. */
export class WireChannel {
  readonly #wire: Wire
  #handlers: WireChannelHandlers | undefined
  #credit = channelWindow
  #received = 0
  #unconfirmed = 0
  #queue: { bytes: Buffer; stderr: boolean }[] = []
  #drained: (() => void)[] = []
  #eofWanted = false
  #eofSent = false
  #closeWanted = false
  #closeSent = false
  #closed = false
  #decided: boolean
  /** What came before we accepted the channel, in order. */
  #early: ((handlers: WireChannelHandlers) => void)[] | undefined
  #settle: ((reason: string | undefined) => void) | undefined
  /** Resolves with undefined once the other side has accepted the channel, else with its reason. */
  readonly confirmed: Promise<string | undefined>

  constructor(
    wire: Wire,
    readonly id: number,
    handlers: WireChannelHandlers | undefined,
    accepting: boolean,
  ) {
    this.#wire = wire
    this.#handlers = handlers
    this.#decided = !accepting
    if (accepting) this.#early = []
    this.confirmed = new Promise((resolve) => {
      this.#settle = resolve
    })
  }

  get closed(): boolean {
    return this.#closed || this.#closeWanted
  }

  /** Takes a channel that the other side opened. */
  accept(handlers: WireChannelHandlers): void {
    if (this.#decided) return
    this.#decided = true
    this.#handlers = handlers
    this.#wire.send(frameType.opened, this.id, Buffer.alloc(0))
    const early = this.#early ?? []
    this.#early = undefined
    for (const run of early) run(handlers)
  }

  refuse(reason: string): void {
    if (this.#decided) return
    this.#decided = true
    this.#closed = true
    this.#wire.forget(this.id)
    this.#wire.send(frameType.openFailed, this.id, Buffer.from(reason))
  }

  /** Sends; false when the window is used up: stop, and await {@link drained}. */
  write(bytes: Buffer, stderr = false): boolean {
    if (this.#eofWanted || this.#closeWanted || this.#closed) return true
    for (let at = 0; at < bytes.length; at += maxDataBytes) {
      const piece = bytes.subarray(at, at + maxDataBytes)
      if (this.#queue.length === 0 && piece.length <= this.#credit) this.#sendData(piece, stderr)
      else {
        this.#queue.push({ bytes: piece, stderr })
      }
    }
    return this.#queue.length === 0 && this.#credit > 0
  }

  /** Resolves when there is room again, or the channel is over. */
  drained(): Promise<void> {
    if (this.#closed || (this.#queue.length === 0 && this.#credit > 0)) return Promise.resolve()
    return new Promise((resolve) => this.#drained.push(resolve))
  }

  /** Gives the other side room for what has left our hands. */
  consumed(bytes: number): void {
    this.#unconfirmed += bytes
    if (this.#unconfirmed < channelWindow / 4 || this.#closed) return
    this.#received -= this.#unconfirmed
    this.#wire.send(frameType.credit, this.id, number(this.#unconfirmed))
    this.#unconfirmed = 0
  }

  /** Half-close, after what is queued. */
  eof(): void {
    if (this.#eofWanted || this.#closed) return
    this.#eofWanted = true
    if (this.#queue.length === 0) this.#sendEof()
  }

  /** Closes after what is queued. */
  close(): void {
    if (this.#closeWanted || this.#closed) return
    this.#closeWanted = true
    if (this.#queue.length === 0) this.#sendClose()
  }

  request(request: ChannelRequest): Promise<boolean> {
    return this.closed ? Promise.resolve(false) : this.#wire.ask(this.id, request)
  }

  notify(request: ChannelRequest): void {
    if (!this.closed && isSound(request)) this.#wire.send(frameType.request, this.id, Buffer.concat([number(0), json(request)]))
  }

  receiveOpened(): void {
    this.#settle?.(undefined)
  }

  receiveOpenFailed(reason: string): void {
    this.#settle?.(reason)
    this.#end()
  }

  /** @throws {WireError} when the other side sends more than its window */
  receiveData(bytes: Buffer, stderr: boolean): void {
    this.#received += bytes.length
    if (this.#received > channelWindow + maxDataBytes) throw new WireError('more data than the window allows')
    if (this.#closeWanted) {
      this.consumed(bytes.length)
      return
    }
    this.#deliver((handlers) => handlers.onData(bytes, stderr))
  }

  receiveCredit(bytes: number): void {
    this.#credit = Math.min(channelWindow, this.#credit + bytes)
    while (this.#queue.length > 0) {
      const next = this.#queue[0]
      if (next === undefined || next.bytes.length > this.#credit) return
      this.#queue.shift()
      this.#sendData(next.bytes, next.stderr)
    }
    if (this.#eofWanted) this.#sendEof()
    if (this.#closeWanted) this.#sendClose()
    this.#release()
  }

  receiveEof(): void {
    if (!this.#closeWanted) this.#deliver((handlers) => handlers.onEof())
  }

  receiveRequest(request: ChannelRequest, reply: (ok: boolean) => void): void {
    if (this.#closeWanted || this.#closed) reply(false)
    else this.#deliver((handlers) => handlers.onRequest(request, reply))
  }

  receiveClose(): void {
    if (!this.#closeSent) {
      this.#queue = []
      this.#sendClose()
    }
    this.#end()
  }

  /** The stream is gone. */
  abandon(): void {
    this.#settle?.('the connection was lost')
    this.#end()
  }

  /** @throws {WireError} when more waits than a client can have reason to send */
  #deliver(run: (handlers: WireChannelHandlers) => void): void {
    if (this.#handlers) run(this.#handlers)
    else if (this.#early === undefined || this.#early.length < maxEarly) this.#early?.push(run)
    else throw new WireError('too much before the channel was open')
  }

  #sendData(bytes: Buffer, stderr: boolean): void {
    this.#credit -= bytes.length
    this.#wire.send(stderr ? frameType.extendedData : frameType.data, this.id, bytes)
  }

  #sendEof(): void {
    if (this.#eofSent || this.#closeSent) return
    this.#eofSent = true
    this.#wire.send(frameType.eof, this.id, Buffer.alloc(0))
  }

  #sendClose(): void {
    if (this.#closeSent) return
    this.#closeSent = true
    this.#wire.send(frameType.close, this.id, Buffer.alloc(0))
  }

  #release(): void {
    const waiting = this.#drained
    this.#drained = []
    for (const resolve of waiting) resolve()
  }

  #end(): void {
    if (this.#closed) return
    this.#closed = true
    this.#queue = []
    this.#wire.forget(this.id)
    this.#release()
    this.#handlers?.onClose()
  }
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

function number(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function readNumber(payload: Buffer, at: number): number {
  if (payload.length < at + 4) throw new WireError('a frame that is too short')
  return payload.readUInt32BE(at)
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    throw new WireError('a frame that is not JSON')
  }
}

/** What an SSH client sent is passed on only where the other side would take it: one huge name is not to end the session. */
function isSound(request: ChannelRequest): boolean {
  return channelRequest.safeParse(request).success
}

function parseRequest(bytes: Buffer): ChannelRequest {
  const request = channelRequest.safeParse(parseJson(bytes))
  if (!request.success) throw new WireError('an unknown request')
  return request.data
}
