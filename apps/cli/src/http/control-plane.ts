import { Readable } from 'node:stream'
import type { ReadableStream as NodeReadableStream } from 'node:stream/web'
import { createApi, each, ok, readEvents, take, type Api, type Page } from '@sallyport/api-client'
import type { Connection } from '../config.js'
import { CliError, exitCode } from '../errors.js'
import { asFields, type Fields } from './record.js'
import { fetchWith } from './wire.js'

const slowMilliseconds = 30 * 60_000
const largestPage = 200

/** The control plane's REST API, typed by its own description (packages/api-client), as the configuration says. */
export class ControlPlane {
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

  /** With the caller's token. @throws {CliError} when there is none */
  get rest(): Api {
    return this.#signedIn()
  }

  /** For what reads or deletes the whole log. */
  get slow(): Api {
    return this.#signedIn(slowMilliseconds)
  }

  /** Without a token: for public routes, and those that a credential's own secret opens. */
  get open(): Api {
    return this.#make(undefined)
  }

  /** Like {@link open}, with another time limit. */
  openWithin(timeoutMilliseconds: number): Api {
    return this.#make(undefined, timeoutMilliseconds)
  }

  #signedIn(timeoutMilliseconds?: number): Api {
    const { token } = this.#connection
    if (token === undefined) {
      throw new CliError('you are not signed in', { why: 'no API token is configured', next: 'set SALLYPORT_TOKEN, or --api-token-file FILE', exit: exitCode.denied })
    }
    return this.#make(token, timeoutMilliseconds)
  }

  #make(token: string | undefined, timeoutMilliseconds?: number): Api {
    const { url, ca } = this.#connection
    return createApi({ baseUrl: url.origin + url.pathname.replace(/\/$/, ''), token, fetch: fetchWith(ca), userAgent: 'sallyport-cli', timeoutMilliseconds })
  }
}

/** No limit. */
export const everything = Number.POSITIVE_INFINITY

/** Parameters of one page, to be mixed with a list's filters. */
export interface PageQuery {
  readonly limit: number
  readonly cursor: string | undefined
}

/** The first items of a list, page by page. */
export function listed<Item>(limit: number, page: (query: PageQuery) => Promise<Page<Item>>): Promise<Item[]> {
  const size = Math.min(limit, largestPage)
  return take(each((cursor) => page({ limit: size, cursor })), limit)
}

/** Data of server-sent events. */
export async function* eventData(call: Parameters<typeof readEvents>[0]): AsyncGenerator<Fields> {
  for await (const { data } of readEvents(call)) yield parsed(data)
}

/** How to ask for what isn't JSON. */
export const asDownload = (accept: string): { parseAs: 'stream'; headers: { accept: string } } => ({ parseAs: 'stream', headers: { accept } })

type StreamCall = Promise<
  { readonly data: ReadableStream<Uint8Array> | null; readonly error?: never; readonly response: Response } | { readonly data?: never; readonly error: unknown; readonly response: Response }
>

/** A document of any size; the caller reads it. */
export async function download(call: StreamCall): Promise<Readable> {
  const body = await ok(call)
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Node's and the web's streams are the same, each typed by its own package
  return body === null ? Readable.from([]) : Readable.fromWeb(body as NodeReadableStream<Uint8Array>) // decoder: one class, two typings
}

function parsed(data: string): Fields {
  try {
    return data === '' ? {} : asFields(JSON.parse(data))
  } catch {
    return {}
  }
}
