import https, { Agent, type RequestOptions } from 'node:https'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

/** The API server can't be reached, or doesn't behave. Texts never hold a credential. */
export class UpstreamError extends Error {
  override readonly name = 'UpstreamError'
  constructor(
    readonly code: 'CREDENTIAL_UNAVAILABLE' | 'TARGET_UNREACHABLE' | 'TARGET_TIMEOUT' | 'TARGET_VIOLATION',
    message: string,
    readonly hint: string,
  ) {
    super(message)
  }
}

/** Where the API server is, and what proves to it who asks. */
export interface ApiServerOptions {
  readonly url: URL
  /** PEM. Undefined: the CAs that the system trusts. */
  readonly ca: string | undefined
  readonly serverName: string | undefined
  /** PEM. */
  readonly cert: string | undefined
  readonly key: string | undefined
  /** Only ever for a stand-in on this machine. */
  readonly insecure: boolean
  /** Headers of ours: `authorization`, `impersonate-user` … Asked for every request, because tokens are short-lived. */
  authorization(): Promise<Readonly<Record<string, string | readonly string[]>>>
}

export interface ApiRequest {
  readonly method: string
  /** Path and query, canonical. */
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Buffer | undefined
  readonly signal: AbortSignal
}

/** An answer that switched protocols. */
export interface Upgraded {
  readonly response: IncomingMessage
  readonly socket: Duplex
  readonly first: Buffer
}

/** Until the answer's headers. Kubernetes itself gives a request that doesn't stream 60 s. */
const answerMilliseconds = 65_000

/** The API server's side of one session: its own connections, which end with it. */
export class ApiServer {
  readonly #options: ApiServerOptions
  readonly #agent: Agent

  constructor(options: ApiServerOptions) {
    this.#options = options
    const { ca, cert, key, serverName, insecure, url } = options
    this.#agent = new Agent({
      keepAlive: true,
      maxSockets: 64,
      maxFreeSockets: 8,
      minVersion: 'TLSv1.2',
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: !insecure,
      ...(serverName === undefined ? (isAddress(url.hostname) ? {} : { servername: url.hostname }) : { servername: serverName }),
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined || key === undefined ? {} : { cert, key }),
    })
  }

  /** @throws {UpstreamError} */
  async send(request: ApiRequest): Promise<IncomingMessage> {
    const { outgoing, failed } = await this.#begin(request)
    return new Promise((resolve, reject) => {
      failed(reject)
      outgoing.once('response', resolve)
      outgoing.once('upgrade', (_response, socket: Duplex) => {
        socket.destroy()
        reject(violation('switched protocols without being asked'))
      })
      outgoing.end(request.body)
    })
  }

  /**
   * Asks for a switch of protocols. Resolves with the answer when it isn't one.
   * @throws {UpstreamError}
   */
  async upgrade(request: ApiRequest): Promise<Upgraded | IncomingMessage> {
    const { outgoing, failed } = await this.#begin(request)
    return new Promise((resolve, reject) => {
      failed(reject)
      outgoing.once('upgrade', (response, socket: Duplex, first: Buffer) => resolve({ response, socket, first }))
      outgoing.once('response', resolve)
      outgoing.end()
    })
  }

  close(): void {
    this.#agent.destroy()
  }

  async #begin({ method, target, headers, body, signal }: ApiRequest): Promise<{ outgoing: ReturnType<typeof https.request>; failed: (reject: (error: Error) => void) => void }> {
    const { url } = this.#options
    let own: Readonly<Record<string, string | readonly string[]>>
    try {
      own = await this.#options.authorization()
    } catch (error) {
      if (error instanceof UpstreamError) throw error
      throw credentialUnavailable()
    }
    const prefix = url.pathname.replace(/\/$/, '')
    const options: RequestOptions = {
      agent: this.#agent,
      protocol: 'https:',
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port === '' ? 443 : Number(url.port),
      method,
      path: prefix + target,
      headers: { host: url.host, 'user-agent': 'sallyport', ...headers, ...(body === undefined ? {} : { 'content-length': String(body.length) }), ...mutable(own) },
      signal,
    }
    const outgoing = https.request(options)
    const timer = setTimeout(() => outgoing.destroy(new UpstreamError('TARGET_TIMEOUT', 'the API server did not answer in time', 'Run it again; tell the owner of the cluster if it lasts.')), answerMilliseconds)
    outgoing.once('response', () => clearTimeout(timer))
    outgoing.once('upgrade', () => clearTimeout(timer))
    outgoing.once('close', () => clearTimeout(timer))
    // Also what comes after the answer has begun: whoever reads it sees it break off.
    outgoing.on('error', () => undefined)
    return { outgoing, failed: (reject) => outgoing.once('error', (error) => reject(upstreamError(error, url))) }
  }
}

export function violation(what: string): UpstreamError {
  return new UpstreamError('TARGET_VIOLATION', `the API server ${what}`, 'Nothing of it was passed on. Tell the owner of the cluster.')
}

export function credentialUnavailable(): UpstreamError {
  return new UpstreamError('CREDENTIAL_UNAVAILABLE', "the agent can't read the target's credential, or it is not of the kind that the target's document says", 'Tell your platform team; the agent has logged the reference.')
}

function upstreamError(error: Error & { code?: string }, url: URL): UpstreamError {
  if (error instanceof UpstreamError) return error
  const code = typeof error.code === 'string' ? error.code : error.name
  if (/CERT|SIGNATURE|ALTNAME|TLS|SSL/.test(code)) {
    return new UpstreamError('TARGET_UNREACHABLE', `the certificate of ${url.host} is not one that the target's document trusts (${code})`, "Nothing was sent to it. Check `ca` and `serverName` in the target's document.")
  }
  return new UpstreamError('TARGET_UNREACHABLE', `the agent can't reach the API server at ${url.host} (${code})`, 'Is it up, and reachable from the agent?')
}

function isAddress(host: string): boolean {
  return host.startsWith('[') || /^[\d.]+$/.test(host)
}

function mutable(headers: Readonly<Record<string, string | readonly string[]>>): Record<string, string | string[]> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, typeof value === 'string' ? value : [...value]]))
}
