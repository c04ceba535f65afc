import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { errors, Provider, type Configuration } from 'oidc-provider'
import { people } from './people.js'
import { loginPage } from './login-page.js'

export interface PeopleProviderOptions {
  /** 0: any free one. */
  readonly port: number
  /** Sallyport's address. */
  readonly clientUrl: string
  readonly clientSecret: string
  /** Name of its IdentityProvider document. */
  readonly provider: string
}

export const clientId = 'sallyport'
const maxBodyBytes = 16 * 1024

/**
 * A development OpenID provider on 127.0.0.1 where the demo's people sign in without a password: `oidc-provider`, a certified implementation, with accounts in
 * memory. It stands in for Okta, Entra or Keycloak on one machine; nothing but the demo may ever trust it.
 *
 * `POST /demo/people/LOGIN/disable` (and `enable`) does what an administrator there would do.
 */
export class PeopleProvider {
  readonly #server: Server
  readonly #disabled = new Set<string>()
  readonly url: string

  private constructor(server: Server, url: string, options: PeopleProviderOptions) {
    this.#server = server
    this.url = url
    const provider = new Provider(url, this.#configuration(options))
    // In the log: what else would tell why a sign-out didn't arrive?
    provider.on('backchannel.error', (_context, error) => process.stderr.write(`back-channel logout failed: ${error.message}\n`))
    provider.on('server_error', (_context, error) => process.stderr.write(`error: ${error.message}\n`))
    const serve = provider.callback()
    server.on('request', (request, response) => {
      this.#own(provider, request, response).then(
        (done) => done || void serve(request, response),
        () => response.writeHead(400, { 'content-type': 'text/plain' }).end('This sign-in is not known, or was finished already.\n'),
      )
    })
  }

  static async start(options: PeopleProviderOptions): Promise<PeopleProvider> {
    const server = createServer()
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(options.port, '127.0.0.1', resolve))
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no TCP address')
    return new PeopleProvider(server, `http://127.0.0.1:${address.port}`, options)
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }

  #configuration({ clientUrl, clientSecret, provider }: PeopleProviderOptions): Configuration {
    return {
      clients: [
        {
          client_id: clientId,
          client_secret: clientSecret,
          redirect_uris: [`${clientUrl}/auth/callback`],
          post_logout_redirect_uris: [`${clientUrl}/`],
          backchannel_logout_uri: `${clientUrl}/auth/backchannel-logout/${provider}`,
          backchannel_logout_session_required: true,
          grant_types: ['authorization_code', 'refresh_token'],
          response_types: ['code'],
        },
      ],
      clientDefaults: { token_endpoint_auth_method: 'client_secret_basic' },
      pkce: { required: () => true },
      scopes: ['openid', 'profile', 'email', 'groups', 'offline_access'],
      claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email', 'email_verified'], groups: ['groups'] },
      features: { devInteractions: { enabled: false }, rpInitiatedLogout: { enabled: true }, backchannelLogout: { enabled: true } },
      // Its own way refuses loopback, where all of the demo is.
      fetch: (url, options = {}) => fetch(url, { method: options.method ?? 'GET', headers: options.headers ?? {}, body: options.body ?? null, signal: options.signal ?? null, redirect: 'error' }),
      cookies: { keys: [randomBytes(32).toString('base64url')] },
      ttl: { AccessToken: 600, IdToken: 600, RefreshToken: 86_400, Session: 86_400, Grant: 86_400, Interaction: 600 },
      rotateRefreshToken: true,
      interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
      // Everybody who signs in agrees: there is one client.
      loadExistingGrant: async (context) => {
        const grant = new context.oidc.provider.Grant({ clientId, ...(context.oidc.session?.accountId === undefined ? {} : { accountId: context.oidc.session.accountId }) })
        grant.addOIDCScope('openid profile email groups offline_access')
        await grant.save()
        return grant
      },
      findAccount: (_context, sub) => {
        const person = people.find((one) => one.sub === sub)
        if (!person || this.#disabled.has(person.login)) return undefined
        const { name, login, email, groups } = person
        return { accountId: sub, claims: () => ({ sub, name, preferred_username: login, email, email_verified: true, groups: [...groups] }) }
      },
    }
  }

  /** Our own pages. False: the provider's. */
  async #own(provider: Provider, request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    const url = new URL(request.url ?? '/', this.url)
    const [, room, name = '', verb] = url.pathname.split('/')
    if (room === 'interaction') {
      await this.#interaction(provider, request, response)
      return true
    }
    if (room !== 'demo' || name !== 'people' || request.method !== 'POST') return false
    const [login = '', what] = [verb, url.pathname.split('/')[4]]
    if (!people.some((person) => person.login === login) || (what !== 'disable' && what !== 'enable')) response.writeHead(404).end()
    else {
      if (what === 'disable') this.#disabled.add(login)
      else this.#disabled.delete(login)
      response.writeHead(204).end()
    }
    return true
  }

  async #interaction(provider: Provider, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { prompt } = await provider.interactionDetails(request, response)
    const free = people.filter(({ login }) => !this.#disabled.has(login))
    if (prompt.name === 'consent') {
      // Asked for with offline_access; agreed as above.
      await provider.interactionFinished(request, response, { consent: {} }, { mergeWithLastSubmission: true })
      return
    }
    if (request.method !== 'POST') {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store', 'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; form-action *; frame-ancestors 'none'" })
      response.end(loginPage(free))
      return
    }
    const login = new URLSearchParams(await bodyOf(request)).get('login')
    const person = free.find((one) => one.login === login)
    if (!person) throw new errors.AccessDenied('there is nobody of this name')
    await provider.interactionFinished(request, response, { login: { accountId: person.sub } }, { mergeWithLastSubmission: false })
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = ''
  for await (const chunk of request) {
    body += String(chunk)
    if (body.length > maxBodyBytes) throw new Error('too long')
  }
  return body
}
