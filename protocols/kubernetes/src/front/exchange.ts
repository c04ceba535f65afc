import type { IncomingMessage, ServerResponse } from 'node:http'
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import type { Duplex, Readable, Writable } from 'node:stream'

/** Names in lower case; a name that came twice stands twice. */
export type HeaderList = readonly (readonly [name: string, value: string])[]

export interface RequestHead {
  readonly method: string
  /** As sent: path and query. */
  readonly path: string
  readonly headers: HeaderList
  /** What the client asks to switch to. */
  readonly upgrade: string | undefined
  readonly hasBody: boolean
}

/** One request of a client and its answer, over either version of HTTP. */
export interface Exchange {
  readonly head: RequestHead
  /** The request's body; after {@link switchProtocol} what the client sends. */
  readonly source: Readable
  /** Begins the answer. */
  respond(status: number, headers: HeaderList): Writable
  /** Answers 101 and returns the raw connection. */
  switchProtocol(headers: HeaderList): Writable
  /** The answer can't be finished: the client must see that it is cut. */
  cut(): void
  /** The client has gone before the answer was complete. */
  onGone(handler: () => void): void
}

/** HTTP/1.1 (RFC 9112). */
export class Http1Exchange implements Exchange {
  readonly head: RequestHead
  readonly source: Readable

  constructor(
    request: IncomingMessage,
    private readonly response: ServerResponse,
  ) {
    const headers = pairs(request.rawHeaders)
    this.head = {
      method: request.method ?? '',
      path: request.url ?? '',
      headers,
      upgrade: undefined,
      hasBody: headers.some(([name, value]) => name === 'transfer-encoding' || (name === 'content-length' && value !== '0')),
    }
    this.source = request
    request.on('error', () => undefined)
    response.on('error', () => undefined)
  }

  respond(status: number, headers: HeaderList): Writable {
    this.response.writeHead(status, headers.flat())
    return this.response
  }

  switchProtocol(): Writable {
    throw new Error('no upgrade was asked for')
  }

  cut(): void {
    this.response.socket?.destroy()
  }

  onGone(handler: () => void): void {
    this.response.once('close', () => {
      if (!this.response.writableFinished) handler()
    })
  }
}

/** HTTP/1.1 with an `Upgrade` header: from here on the connection is this exchange's alone. */
export class UpgradeExchange implements Exchange {
  readonly head: RequestHead
  readonly source: Readable
  #answered = false

  constructor(
    request: IncomingMessage,
    private readonly socket: Duplex,
    first: Buffer,
  ) {
    this.head = { method: request.method ?? '', path: request.url ?? '', headers: pairs(request.rawHeaders), upgrade: request.headers.upgrade ?? '', hasBody: false }
    this.source = socket
    if (first.length > 0) socket.unshift(first)
    socket.on('error', () => socket.destroy())
  }

  respond(status: number, headers: HeaderList): Writable {
    this.#answered = true
    this.#head(`${status} ${status < 400 ? 'OK' : 'Refused'}`, [...headers.filter(([name]) => name !== 'connection'), ['connection', 'close']])
    return this.socket
  }

  switchProtocol(headers: HeaderList): Writable {
    this.#answered = true
    this.#head('101 Switching Protocols', headers)
    return this.socket
  }

  cut(): void {
    this.socket.destroy()
  }

  onGone(handler: () => void): void {
    this.socket.once('close', handler)
    // Before the answer a client that says nothing more has nothing to wait for.
    this.socket.once('end', () => {
      if (!this.#answered) this.socket.destroy()
    })
  }

  #head(status: string, headers: HeaderList): void {
    this.socket.write(`HTTP/1.1 ${status}\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`, 'latin1')
  }
}

/** HTTP/2 (RFC 9113). */
export class Http2Exchange implements Exchange {
  readonly head: RequestHead
  readonly source: Readable

  constructor(
    private readonly stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    rawHeaders: readonly string[],
    endOfStream: boolean,
  ) {
    this.head = {
      method: headers[':method'] ?? '',
      path: headers[':path'] ?? '',
      headers: pairs(rawHeaders).filter(([name]) => !name.startsWith(':')),
      upgrade: undefined,
      hasBody: !endOfStream,
    }
    this.source = stream
    stream.on('error', () => undefined)
  }

  respond(status: number, headers: HeaderList): Writable {
    const fields: Record<string, string | string[]> = {}
    for (const [name, value] of headers) {
      const before = fields[name]
      fields[name] = before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value]
    }
    if (!this.stream.destroyed) this.stream.respond({ ...fields, ':status': status })
    return this.stream
  }

  switchProtocol(): Writable {
    throw new Error('no upgrade was asked for')
  }

  cut(): void {
    this.stream.close(2)
  }

  onGone(handler: () => void): void {
    this.stream.once('close', () => {
      if (!this.stream.writableFinished) handler()
    })
  }
}

function pairs(raw: readonly string[]): [string, string][] {
  const list: [string, string][] = []
  for (let i = 0; i + 1 < raw.length; i += 2) list.push([(raw[i] ?? '').toLowerCase(), raw[i + 1] ?? ''])
  return list
}
