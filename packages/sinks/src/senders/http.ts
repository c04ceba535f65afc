import http from 'node:http'
import https from 'node:https'
import { DeliveryError } from '../delivery.js'
import type { SecureContextOptions } from 'node:tls'

export interface HttpAnswer {
  readonly status: number
  readonly body: string
  readonly retryAfterMs?: number
}

const maxAnswerBytes = 8 * 1024 * 1024

/** One receiver over HTTP(S), with a connection kept alive. No redirect is followed: a receiver can't send our events elsewhere. */
export class HttpReceiver {
  readonly #agent: http.Agent | https.Agent
  readonly #url: URL

  constructor(url: string, tls: SecureContextOptions) {
    this.#url = new URL(url)
    const keep = { keepAlive: true, maxSockets: 1 }
    this.#agent = this.#url.protocol === 'https:' ? new https.Agent({ ...keep, ...tls }) : new http.Agent(keep)
  }

  /**
   * @param path joined to the address; '' is the address itself
   * @throws {DeliveryError} unavailable, when there is no whole answer
   */
  async request(method: string, path: string, headers: Readonly<Record<string, string>>, body: Buffer, signal: AbortSignal): Promise<HttpAnswer> {
    const url = path === '' ? this.#url : new URL(this.#url.pathname.replace(/\/$/, '') + path, this.#url)
    try {
      return await new Promise<HttpAnswer>((resolve, reject) => {
        const send = url.protocol === 'https:' ? https.request : http.request
        const request = send(url, { method, agent: this.#agent, signal, headers: { ...headers, 'content-length': String(body.length), 'user-agent': 'sallyport' } }, (response) => {
          const chunks: Buffer[] = []
          let bytes = 0
          response.on('data', (chunk: Buffer) => {
            bytes += chunk.length
            if (bytes > maxAnswerBytes) response.destroy(new DeliveryError('unavailable', 'ANSWER_TOO_LARGE', 'the receiver answered with too much'))
            else chunks.push(chunk)
          })
          response.on('error', reject)
          response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8'), ...retryAfter(response.headers['retry-after']) }))
        })
        request.on('error', reject)
        request.end(body)
      })
    } catch (error) {
      if (error instanceof DeliveryError) throw error
      const code = signal.aborted ? 'TIMEOUT' : error instanceof Error && 'code' in error ? String(error.code) : 'FAILED'
      throw new DeliveryError('unavailable', code, `the receiver did not answer (${code})`, undefined, { cause: error })
    }
  }

  close(): void {
    this.#agent.destroy()
  }
}

function retryAfter(value: string | undefined): { retryAfterMs?: number } {
  if (value === undefined) return {}
  const millis = /^\d{1,6}$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now()
  return Number.isFinite(millis) && millis > 0 ? { retryAfterMs: millis } : {}
}

/** Statuses with which a receiver says that the content is wrong. All others (a token that expired, a wrong path) are no record's fault. */
const contentStatuses = new Set([400, 413, 415, 422])

/** @throws {DeliveryError} unless the status is a success */
export function expectSuccess(answer: HttpAnswer): void {
  if (answer.status >= 200 && answer.status < 300) return
  const kind = contentStatuses.has(answer.status) ? 'rejected' : 'unavailable'
  throw new DeliveryError(kind, `HTTP_${answer.status}`, `the receiver answered ${answer.status}`, answer.retryAfterMs)
}

/** @throws {DeliveryError} unavailable: what answers isn't what we took it for */
export function parseAnswer(answer: HttpAnswer): unknown {
  try {
    return JSON.parse(answer.body)
  } catch (error) {
    throw new DeliveryError('unavailable', 'ANSWER_NOT_JSON', 'the receiver did not answer with JSON', undefined, { cause: error })
  }
}
