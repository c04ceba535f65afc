import { ApiUnreachable } from './problem.js'

export interface TransportOptions {
  /** An API token, or a function that has the newest; without it requests rely on the browser's session cookie. */
  readonly token?: string | (() => string | undefined) | undefined
  /** What GET /v1/whoami gave as `csrf`: sent with everything that changes something, when a cookie signs in. */
  readonly csrf?: (() => string | undefined) | undefined
  /** Instead of the platform's: for a certificate authority of one's own in Node. */
  readonly fetch?: ((request: Request) => Promise<Response>) | undefined
  /** Of one try, until the whole answer is there (of streams and downloads: its beginning). 0 waits for ever. */
  readonly timeoutMilliseconds?: number | undefined
  /** After the first try. Only what can be repeated without harm is tried again, and only when the control plane asks to wait. */
  readonly retries?: number | undefined
  readonly userAgent?: string | undefined
  /** Told before each wait. */
  readonly onRetry?: ((status: number, waitMilliseconds: number) => void) | undefined
}

const defaultTimeoutMilliseconds = 30_000
const defaultRetries = 3
const firstBackoffMilliseconds = 250
const maxBackoffMilliseconds = 30_000
/** GET, HEAD, PUT and DELETE have the same effect twice as once (RFC 9110, 9.2.2); POST with a key has, by the key. */
const repeatable = new Set(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'])
export const idempotencyHeader = 'idempotency-key'

/** Sends requests the way every client of this API should: authenticated, bounded in time, and patient when asked to be. */
export function transport(options: TransportOptions): (request: Request) => Promise<Response> {
  const send = options.fetch ?? ((request: Request) => fetch(request))
  const retries = options.retries ?? defaultRetries
  return async (request) => {
    authenticate(request.headers, request.method, options)
    const again = repeatable.has(request.method) || request.headers.has(idempotencyHeader)
    for (let tried = 0; ; tried += 1) {
      const response = await once(again && tried < retries ? request.clone() : request, send, options.timeoutMilliseconds ?? defaultTimeoutMilliseconds)
      if (!again || tried >= retries || (response.status !== 429 && response.status !== 503)) return response
      const wait = waitOf(response, tried)
      // What asks for more patience than a person has is told as it is.
      if (wait > maxBackoffMilliseconds) return response
      await response.body?.cancel()
      options.onRetry?.(response.status, wait)
      await pause(wait, request.signal)
    }
  }
}

function authenticate(headers: Headers, method: string, { token, csrf, userAgent }: TransportOptions): void {
  const bearer = typeof token === 'function' ? token() : token
  // A request may bring a proof of its own: a credential's secret.
  if (bearer !== undefined && !headers.has('authorization')) headers.set('authorization', `Bearer ${bearer}`)
  const proof = method === 'GET' || method === 'HEAD' ? undefined : csrf?.()
  if (proof !== undefined) headers.set('x-sallyport-csrf', proof)
  if (userAgent !== undefined) headers.set('user-agent', userAgent)
}

async function once(request: Request, send: (request: Request) => Promise<Response>, timeoutMilliseconds: number): Promise<Response> {
  const timeout = new AbortController()
  const timer = timeoutMilliseconds > 0 ? setTimeout(() => timeout.abort(), timeoutMilliseconds) : undefined
  const isStream = !/\bjson\b/.test(request.headers.get('accept') ?? 'application/json')
  try {
    const response = await send(new Request(request, { signal: AbortSignal.any([request.signal, timeout.signal]) }))
    if (isStream) return response
    // Read here, so that the time limit covers the body, too.
    const body = response.status === 204 ? null : await response.arrayBuffer()
    return new Response(body, { status: response.status, statusText: response.statusText, headers: response.headers })
  } catch (error) {
    if (request.signal.aborted) throw error
    if (timeout.signal.aborted) throw new ApiUnreachable(`no answer within ${timeoutMilliseconds / 1000} s`, true, { cause: error })
    throw new ApiUnreachable(`can't reach ${new URL(request.url).origin}`, false, { cause: error })
  } finally {
    clearTimeout(timer)
  }
}

/** Milliseconds: what Retry-After says (RFC 9110, 10.2.3: seconds or a date), else twice as long each time, with jitter. */
function waitOf(response: Response, tried: number): number {
  const header = response.headers.get('retry-after')?.trim() ?? ''
  if (/^\d{1,6}$/.test(header)) return Number(header) * 1000
  const date = Date.parse(header)
  if (!Number.isNaN(date)) return Math.max(0, date - Date.now())
  return firstBackoffMilliseconds * 2 ** tried * (0.5 + Math.random() / 2)
}

/** @throws the signal's reason when it is aborted meanwhile */
async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  await new Promise<void>((resolve, reject) => {
    const aborted = (): void => {
      clearTimeout(timer)
      reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', aborted)
      resolve()
    }, milliseconds)
    signal.addEventListener('abort', aborted, { once: true })
  })
}
