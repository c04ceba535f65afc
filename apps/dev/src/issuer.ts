import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { randomUUID } from 'node:crypto'
import { exportJWK, generateKeyPair, importJWK, SignJWT, calculateJwkThumbprint, type CryptoKey, type JWK } from 'jose'

/** The audience that the demo's IdentityProvider document asks for. */
export const defaultAudience = 'sallyport'
const lifetimeSeconds = 600
const maxBodyBytes = 64 * 1024

export interface IssuerOptions {
  /** 0: any free one. */
  readonly port: number
  /** Where its private key stays between starts. */
  readonly keyFile: string
}

/**
 * A development OpenID Connect issuer on 127.0.0.1 that signs whatever claims it is asked to. It stands in for GitHub
 * Actions or GitLab on one machine; nothing but the demo may ever trust it.
 *
 * `GET /.well-known/openid-configuration`, `GET /jwks`, `POST /mint` (JSON claims → `{"token": …}`).
 */
export class DevelopmentIssuer {
  readonly #server: ReturnType<typeof createServer>
  readonly #key: SigningKey
  readonly url: string

  private constructor(server: ReturnType<typeof createServer>, key: SigningKey, url: string) {
    this.#server = server
    this.#key = key
    this.url = url
    server.on('request', (request, response) => void this.#serve(request, response))
  }

  static async start(options: IssuerOptions): Promise<DevelopmentIssuer> {
    const key = await loadKey(options.keyFile)
    const server = createServer()
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(options.port, '127.0.0.1', resolve))
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no TCP address')
    return new DevelopmentIssuer(server, key, `http://127.0.0.1:${address.port}`)
  }

  get mintUrl(): string {
    return `${this.url}/mint`
  }

  /** Signs `claims`; `iss`, `aud`, `sub`, `iat`, `exp` (+10 min) and `jti` are added unless given. */
  async mint(claims: Readonly<Record<string, unknown>>): Promise<string> {
    const now = Math.floor(Date.now() / 1000)
    const payload = {
      iss: this.url,
      aud: defaultAudience,
      sub: typeof claims['repository'] === 'string' ? `repo:${claims['repository']}` : 'development',
      iat: now,
      exp: now + lifetimeSeconds,
      jti: randomUUID(),
      ...claims,
    }
    return new SignJWT(payload).setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: this.#key.kid }).sign(this.#key.private)
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await closed
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const path = (request.url ?? '/').split('?', 1)[0]
      // A web page open in the developer's browser must not mint tokens: browsers always send Origin with a POST.
      if (request.headers.origin !== undefined) return reply(response, 403, { error: 'not for browsers' })
      if (request.method === 'GET' && path === '/.well-known/openid-configuration') {
        return reply(response, 200, {
          issuer: this.url,
          jwks_uri: `${this.url}/jwks`,
          response_types_supported: ['id_token'],
          subject_types_supported: ['public'],
          id_token_signing_alg_values_supported: ['RS256'],
        })
      }
      if (request.method === 'GET' && path === '/jwks') return reply(response, 200, { keys: [this.#key.public] })
      if (request.method === 'POST' && path === '/mint') {
        const claims = parseClaims(await readBody(request))
        if (claims === undefined) return reply(response, 400, { error: 'the body must be a JSON object of claims' })
        return reply(response, 200, { token: await this.mint(claims) })
      }
      return reply(response, 404, { error: 'not found' })
    } catch {
      return reply(response, 400, { error: 'the request can not be served' })
    }
  }
}

interface SigningKey {
  readonly private: CryptoKey | Uint8Array
  readonly public: JWK
  readonly kid: string
}

async function loadKey(file: string): Promise<SigningKey> {
  if (!existsSync(file)) {
    const pair = await generateKeyPair('RS256', { modulusLength: 2048, extractable: true })
    writeFileSync(file, JSON.stringify(await exportJWK(pair.privateKey)), { mode: 0o600 })
  }
  const jwk: JWK = JSON.parse(readFileSync(file, 'utf8'))
  const { kty, n, e } = jwk
  if (kty === undefined || n === undefined || e === undefined) throw new Error(`${file} holds no RSA key: remove it to make a new one`)
  const kid = await calculateJwkThumbprint({ kty, n, e })
  return { private: await importJWK(jwk, 'RS256'), public: { kty, n, e, kid, alg: 'RS256', use: 'sig' }, kid }
}

function parseClaims(body: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
  } catch {
    return undefined
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk)
    size += bytes.length
    if (size > maxBodyBytes) throw new Error('body too large')
    chunks.push(bytes)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  response.end(JSON.stringify(body))
}
