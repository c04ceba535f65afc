import type { Socket } from 'node:net'
import type { ServerChannel } from 'ssh2'
import type { WireChannel, WireChannelHandlers } from '../wire/wire.js'
import type { ChannelRequest, RequestOf } from '../wire/messages.js'

/** What may wait in the client's socket before its channels get no more: a client that stops reading holds no more than this. */
const maxSocketBytes = 1024 * 1024
/** ssh2 gives each channel a window of 2 MiB and takes data beyond it: a client that ignores it is cut off. */
const maxUnreadBytes = 3 * 1024 * 1024

type Exit = RequestOf<'exit-status'> | RequestOf<'exit-signal'>

/** Joins a channel of the client's connection and one of the wire, with back-pressure both ways. */
export class ChannelBridge implements WireChannelHandlers {
  readonly #socket: Socket
  readonly #onViolation: () => void
  #wire: WireChannel | undefined
  #client: ServerChannel | undefined
  /** What came before the client's channel was there. */
  #early: (() => void)[] = []
  #writing = 0
  #exit: Exit | undefined
  #eof = false
  #closing = false
  #closed = false

  constructor(socket: Socket, onViolation: () => void) {
    this.#socket = socket
    this.#onViolation = onViolation
  }

  get wire(): WireChannel | undefined {
    return this.#wire
  }

  /** Whether something runs on it, or ran. */
  get attached(): boolean {
    return this.#client !== undefined
  }

  attachWire(wire: WireChannel): void {
    this.#wire = wire
  }

  attachClient(channel: ServerChannel): void {
    this.#client = channel
    channel.on('data', (bytes: Buffer) => this.#fromClient(bytes))
    channel.on('end', () => this.#wire?.eof())
    channel.on('close', () => this.#gone())
    channel.on('error', () => this.#gone())
    const early = this.#early
    this.#early = []
    for (const run of early) run()
  }

  /** Ends the channel with a text of ours: what it was for can't be had. */
  fail(text: string, status = 255): void {
    const channel = this.#client
    if (channel === undefined || this.#closed || this.#closing) return
    channel.stderr.write(text)
    this.#exit ??= { type: 'exit-status', status }
    this.#closing = true
    this.#finish()
  }

  /** Whether the client sent more than its window allows and it is still unread. */
  get overrun(): boolean {
    return (this.#client?.readableLength ?? 0) > maxUnreadBytes
  }

  onData(bytes: Buffer, stderr: boolean): void {
    const channel = this.#client
    if (channel === undefined) {
      this.#early.push(() => this.onData(bytes, stderr))
      return
    }
    if (this.#closed) {
      this.#wire?.consumed(bytes.length)
      return
    }
    this.#writing += 1
    const stream: NodeJS.WritableStream = stderr ? channel.stderr : channel
    stream.write(bytes, () => {
      this.#writing -= 1
      this.#confirm(bytes.length)
      this.#finish()
    })
  }

  onEof(): void {
    this.#eof = true
    this.#finish()
  }

  onRequest(request: ChannelRequest, reply: (ok: boolean) => void): void {
    if (request.type === 'exit-status' || request.type === 'exit-signal') this.#exit = request
    reply(true)
  }

  onClose(): void {
    this.#closing = true
    this.#finish()
  }

  #fromClient(bytes: Buffer): void {
    const wire = this.#wire
    const channel = this.#client
    if (wire === undefined || channel === undefined || wire.write(bytes)) return
    channel.pause()
    if (this.overrun) this.#onViolation()
    void wire.drained().then(() => channel.resume())
  }

  /** ssh2 looks at the channel's window alone; the socket behind it may be stuck all the same. */
  #confirm(bytes: number): void {
    const wire = this.#wire
    if (wire === undefined) return
    if (this.#socket.writableLength < maxSocketBytes || this.#socket.destroyed) wire.consumed(bytes)
    else this.#socket.once('drain', () => wire.consumed(bytes))
  }

  /** Once all data is out: exit status, then EOF, then close (RFC 4254 section 6.10). */
  #finish(): void {
    const channel = this.#client
    if (channel === undefined) {
      if (this.#closing) this.#early.push(() => this.#finish())
      return
    }
    if (this.#writing > 0 || this.#closed) return
    if (this.#closing) {
      this.#closed = true
      const exit = this.#exit
      if (exit?.type === 'exit-status') channel.exit(exit.status)
      else if (exit?.type === 'exit-signal') channel.exit(exit.name, exit.core, exit.message)
      channel.end()
      channel.close()
    } else if (this.#eof && channel.type !== 'session') channel.eof()
  }

  #gone(): void {
    this.#closed = true
    this.#wire?.close()
  }
}
