import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import { hopByHopHeaders, switchedHeader, upgradeHeader, withheldHeader } from '../wire/headers.js'
import { statusBody, type StatusObject } from '../wire/status.js'

/** Kubernetes' own limit of a request's body. */
export const maxBodyBytes = 3 * 1024 * 1024
/** Bodies of one session that are read at a time. */
const maxBodiesBytes = 24 * 1024 * 1024
const bodyMilliseconds = 30_000

export class BodyError extends Error {
  override readonly name = 'BodyError'
  constructor(
    readonly status: 408 | 413 | 429 | 400,
    message: string,
  ) {
    super(message)
  }
}

/** What all requests of a session hold of bodies that have not been decided yet. */
export class BodyBudget {
  #used = 0

  take(bytes: number): boolean {
    if (this.#used + bytes > maxBodiesBytes) return false
    this.#used += bytes
    return true
  }

  give(bytes: number): void {
    this.#used -= bytes
  }
}

/** One request as it came from the front. */
export class Inbound {
  readonly method: string
  readonly path: string
  readonly hasBody: boolean
  /** What the client wants to switch to, in lower case. */
  readonly upgrade: string | undefined
  /** What the front took away and no client may send. */
  readonly withheld: string | undefined
  readonly #headers: IncomingHttpHeaders
  readonly #gone = new AbortController()
  #answered = false

  constructor(
    readonly stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    open: boolean,
  ) {
    this.#headers = headers
    this.method = headers[':method'] ?? ''
    this.path = headers[':path'] ?? ''
    this.upgrade = text(headers[upgradeHeader])?.toLowerCase()
    this.withheld = text(headers[withheldHeader])
    // What follows a switch of protocols is no body.
    this.hasBody = open && this.upgrade === undefined
    stream.on('error', () => undefined)
    // Without a reason Node would make one, with its stack, for every request that ends well.
    stream.once('close', () => this.#gone.abort(clientGone))
  }

  header(name: string): string | undefined {
    return text(this.#headers[name])
  }

  /** Aborts when the client has gone or the session is over. */
  get gone(): AbortSignal {
    return this.#gone.signal
  }

  /**
   * The whole body.
   * @throws {BodyError} when it is too large, too slow or broken off
   */
  async body(budget: BodyBudget): Promise<Buffer> {
    if (!this.hasBody) return Buffer.alloc(0)
    const { stream } = this
    const chunks: Buffer[] = []
    let bytes = 0
    let timer: NodeJS.Timeout | undefined
    try {
      await new Promise<void>((resolve, reject) => {
        timer = setTimeout(() => reject(new BodyError(408, `the body did not arrive within ${bodyMilliseconds / 1000} s`)), bodyMilliseconds)
        stream.on('data', (chunk: Buffer) => {
          if (bytes + chunk.length > maxBodyBytes) return reject(new BodyError(413, `the body is larger than ${maxBodyBytes} bytes`))
          if (!budget.take(chunk.length)) return reject(new BodyError(429, 'too many bodies are being read in this session'))
          bytes += chunk.length
          chunks.push(chunk)
        })
        stream.once('end', () => (stream.aborted || stream.rstCode !== constants.NGHTTP2_NO_ERROR ? reject(brokenOff()) : resolve()))
        stream.once('close', () => reject(brokenOff()))
      })
    } finally {
      clearTimeout(timer)
      budget.give(bytes)
      stream.removeAllListeners('data')
    }
    return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)
  }

  get answered(): boolean {
    return this.#answered
  }

  /** Begins the answer; the body follows on {@link stream}. False when the client has gone. */
  respond(status: number, headers: Readonly<Record<string, string | readonly string[]>>, endStream = false): boolean {
    if (this.#answered || this.stream.destroyed || this.stream.closed) return false
    this.#answered = true
    this.stream.respond({ ...kept(headers), ':status': status }, { endStream: endStream || this.method === 'HEAD' })
    return true
  }

  /** The front answers 101, and from here on both directions are raw bytes. */
  switchProtocol(protocol: string, headers: Readonly<Record<string, string>>): boolean {
    return this.respond(200, { ...headers, [switchedHeader]: protocol })
  }

  /** An error of ours, if nothing was answered yet; else the answer is cut, so that nobody takes it for whole. */
  fail(status: StatusObject, headers: Readonly<Record<string, string>> = {}): void {
    if (this.#answered) return this.cut()
    const body = statusBody(status)
    const { stream } = this
    if (!this.respond(status.code, { 'content-type': 'application/json', 'cache-control': 'no-store', 'content-length': String(body.length), ...headers })) return
    if (this.method !== 'HEAD') stream.end(body)
    // The client may still be sending a body: nobody reads it any more (RFC 9113, section 8.1).
    if (stream.readableEnded) return
    stream.resume()
    stream.once('finish', () => stream.close(constants.NGHTTP2_NO_ERROR))
  }

  cut(): void {
    if (!this.stream.destroyed) this.stream.close(constants.NGHTTP2_INTERNAL_ERROR)
  }
}

const clientGone = 'client gone'

const brokenOff = (): BodyError => new BodyError(400, 'the body was broken off')

function kept(headers: Readonly<Record<string, string | readonly string[]>>): Record<string, string | string[]> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !hopByHopHeaders.has(name)).map(([name, value]) => [name, typeof value === 'string' ? value : [...value]]))
}

function text(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value
}
