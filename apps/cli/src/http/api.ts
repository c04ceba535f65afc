import type { IncomingMessage } from 'node:http'
import { CliError, exitCode } from '../errors.js'
import type { Connection } from '../config.js'
import { asFields, asList, text, type Fields } from './record.js'
import { readText, send } from './request.js'

const timeoutMilliseconds = 30_000
const maxTextBytes = 1024 * 1024

export interface Call {
  readonly query?: Readonly<Record<string, string | undefined>>
  readonly body?: unknown
  /** Instead of the configured one: a credential's own secret. `none` sends none. */
  readonly bearer?: string | 'none'
  readonly timeoutMilliseconds?: number
  readonly signal?: AbortSignal
}

/** The control plane's REST API. Errors come as {@link CliError}, in the words of the API's problem documents (RFC 9457). */
export class Api {
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  get hasToken(): boolean {
    return this.#connection.token !== undefined
  }

  get url(): string {
    return this.#connection.url.origin
  }

  async get(path: string, query: Call['query'] = {}): Promise<Fields> {
    return this.call('GET', path, { query })
  }

  /** A public document that isn't JSON, as text. */
  async text(path: string): Promise<string> {
    const response = await this.#send('GET', path, { bearer: 'none' }, 'text/plain')
    const raw = await readText(response, maxTextBytes)
    const status = response.statusCode ?? 0
    if (status === 200) return raw
    throw problem(status, parse(raw), 'GET', path)
  }

  /** A document of any size that isn't JSON; the caller reads its body. */
  async download(path: string, query: Call['query'], accept: string): Promise<IncomingMessage> {
    const response = await this.#send('GET', path, { query: query ?? {} }, accept)
    if (response.statusCode === 200) return response
    throw problem(response.statusCode ?? 0, parse(await readText(response, maxTextBytes)), 'GET', path)
  }

  async post(path: string, body: unknown): Promise<Fields> {
    return this.call('POST', path, { body })
  }

  async call(method: string, path: string, call: Call = {}): Promise<Fields> {
    const response = await this.#send(method, path, call, 'application/json')
    const raw = await readText(response)
    const status = response.statusCode ?? 0
    const body = parse(raw)
    if (status >= 200 && status < 300) return body
    throw problem(status, body, method, path)
  }

  /** All items of a list, page by page, up to `limit`. */
  async list(path: string, query: Call['query'] = {}, limit = 100): Promise<Fields[]> {
    const items: Fields[] = []
    let cursor: string | undefined
    do {
      const page = await this.get(path, { ...query, limit: String(Math.min(limit - items.length, 200)), cursor })
      items.push(...asList(page['items']))
      cursor = typeof page['next'] === 'string' ? page['next'] : undefined
    } while (cursor !== undefined && items.length < limit)
    return items.slice(0, limit)
  }

  /** Data of server-sent events, one by one, until the server ends the stream. */
  async *events(path: string, call: Call = {}): AsyncGenerator<Fields> {
    const response = await this.#send('GET', path, { ...call, timeoutMilliseconds: 0 }, 'text/event-stream')
    if (response.statusCode !== 200) throw problem(response.statusCode ?? 0, parse(await readText(response)), 'GET', path)
    response.setEncoding('utf8')
    let rest = ''
    for await (const chunk of response) {
      const blocks = (rest + String(chunk)).replaceAll('\r\n', '\n').split('\n\n')
      rest = blocks.pop() ?? ''
      for (const block of blocks) {
        const data = block.split('\n').filter((line) => line.startsWith('data:')).map((line) => line.slice(5).trimStart())
        if (data.length > 0) yield parse(data.join('\n'))
      }
    }
  }

  async #send(method: string, path: string, call: Call, accept: string): Promise<IncomingMessage> {
    const url = new URL(this.#connection.url.pathname.replace(/\/$/, '') + path, this.#connection.url)
    for (const [name, value] of Object.entries(call.query ?? {})) if (value !== undefined) url.searchParams.set(name, value)
    const bearer = call.bearer ?? this.#connection.token
    if (bearer === undefined) {
      throw new CliError('you are not signed in', { why: 'no API token is configured', next: 'set SALLYPORT_TOKEN, or --api-token-file FILE' })
    }
    const body = call.body === undefined ? undefined : JSON.stringify(call.body)
    return send({
      method,
      url,
      headers: {
        accept,
        'user-agent': 'sallyport-cli',
        ...(bearer === 'none' ? {} : { authorization: `Bearer ${bearer}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) }),
      },
      timeoutMilliseconds: call.timeoutMilliseconds ?? timeoutMilliseconds,
      ...(body === undefined ? {} : { body }),
      ...(call.signal === undefined ? {} : { signal: call.signal }),
      ...(this.#connection.ca === undefined ? {} : { ca: this.#connection.ca }),
    })
  }
}

function parse(raw: string): Fields {
  if (raw === '') return {}
  try {
    return asFields(JSON.parse(raw))
  } catch {
    return { detail: raw.slice(0, 300) }
  }
}

/** The body of a refusal, kept for commands that show more of it (apply's list of errors). */
export class ApiError extends CliError {
  constructor(
    message: string,
    readonly status: number,
    readonly body: Fields,
    details: CliError['details'],
  ) {
    super(message, details)
  }
}

function problem(status: number, body: Fields, method: string, path: string): ApiError {
  // RFC 6749 errors (token exchange) carry error and error_description, everything else RFC 9457.
  const title = text(body, 'detail') || text(body, 'error_description') || text(body, 'title') || `${method} ${path} answered ${status}`
  const hint = text(body, 'hint')
  switch (status) {
    case 401:
      return new ApiError(title, status, body, { exit: exitCode.denied, next: hint || 'check the token: it may have expired or been revoked' })
    case 403:
      return new ApiError(title, status, body, { exit: exitCode.denied, ...(hint === '' ? {} : { next: hint }) })
    default: {
      const denied = text(body, 'error') === 'invalid_grant' || text(body, 'error') === 'access_denied'
      return new ApiError(title, status, body, { ...(denied ? { exit: exitCode.denied } : {}), ...(hint === '' ? {} : { next: hint }) })
    }
  }
}
