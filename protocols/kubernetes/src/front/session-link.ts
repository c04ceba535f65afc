import http2, { type ClientHttp2Session, type ClientHttp2Stream, type OutgoingHttpHeaders } from 'node:http2'
import { ChannelStream, type BrokeredSession, type ChannelError } from '@sallyport/kit'
import { innerSettings, innerWindowBytes } from '../wire/headers.js'

const sessionEnded: ChannelError = { code: 'SESSION_ENDED', message: 'the session has ended', hint: 'Run the command again.' }

/** One session as the front has it: HTTP/2 to its engine, inside the tunnel. */
export class SessionLink {
  readonly #http2: ClientHttp2Session
  #ended: ChannelError | undefined
  #over = false

  /** @param onOver called once, when nothing can be asked of the session any more */
  constructor(
    session: BrokeredSession,
    private readonly onOver: () => void,
  ) {
    const stream = new ChannelStream(session.channel, (error) => {
      this.#ended = error ?? sessionEnded
    })
    stream.on('error', () => stream.destroy())
    stream.once('close', () => this.#finish())
    this.#http2 = http2.connect('http://agent', { createConnection: () => stream, settings: { ...innerSettings } })
    this.#http2.on('connect', () => this.#http2.setLocalWindowSize(innerWindowBytes))
    this.#http2.on('error', () => this.#http2.destroy())
    this.#http2.once('close', () => this.#finish())
  }

  /** Why nothing more can be asked; undefined while it can. */
  get ended(): ChannelError | undefined {
    return this.#over ? (this.#ended ?? sessionEnded) : undefined
  }

  /** @throws when the session is over or has more requests than it may have */
  request(headers: OutgoingHttpHeaders, endStream: boolean): ClientHttp2Stream {
    return this.#http2.request(headers, { endStream })
  }

  /** The client has gone. */
  close(): void {
    this.#http2.destroy()
  }

  #finish(): void {
    if (this.#over) return
    this.#over = true
    this.#http2.destroy()
    this.onOver()
  }
}
