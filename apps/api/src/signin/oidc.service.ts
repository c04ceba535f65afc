import { Injectable, Logger } from '@nestjs/common'
import type { IdentityProviderDocument } from '@sallyport/policy'
import * as oidc from 'openid-client'
import { SecretReferenceError } from '../config/references.js'
import { DocumentsService } from '../documents/documents.service.js'
import { checkAddress } from '../identity/guarded-fetch.js'
import { SigninConfig } from './signin.config.js'
import { SigninError } from './signin.errors.js'

const timeoutSeconds = 10
/** Endpoints and keys of a provider are read afresh after so long. */
const freshMs = 10 * 60_000

/** A provider that people sign in at, by its document. */
export type PeopleProvider = IdentityProviderDocument & { readonly spec: { readonly signIn: NonNullable<IdentityProviderDocument['spec']['signIn']> } }

export interface Started {
  readonly url: string
  readonly state: string
  readonly nonce: string
  readonly verifier: string
}

/** What a provider says about somebody. */
export interface Told {
  readonly subject: string
  readonly claims: Readonly<Record<string, unknown>>
  readonly refreshToken: string | null
  readonly idToken: string | null
  /** The provider's own session. */
  readonly sid: string | null
}

/** The provider says that the grant is no more: the person is disabled there, has left, or signed out everywhere. */
export class GrantGoneError extends Error {
  override readonly name = 'GrantGoneError'
}

/** OpenID Connect 1.0 as a client: authorization code with PKCE, refresh, sign-out. */
@Injectable()
export class OidcService {
  readonly #log = new Logger(OidcService.name)
  readonly #known = new Map<string, { readonly config: Promise<oidc.Configuration>; readonly at: number }>()

  constructor(
    private readonly documents: DocumentsService,
    private readonly settings: SigninConfig,
  ) {}

  async providers(): Promise<PeopleProvider[]> {
    return (await this.documents.list('IdentityProvider')).filter(forPeople)
  }

  /** @throws {SigninError} */
  async provider(name: string): Promise<PeopleProvider> {
    const provider = await this.documents.get('IdentityProvider', name)
    if (provider && forPeople(provider)) return provider
    throw new SigninError('SIGNIN_UNKNOWN_PROVIDER', 'Nobody signs in at this provider.', 'Choose one from the sign-in page.')
  }

  /** @throws {SigninError} when the provider can't be reached or isn't set up */
  async start(provider: PeopleProvider, redirectUri: string): Promise<Started> {
    const config = await this.#config(provider)
    const [state, nonce, verifier] = [oidc.randomState(), oidc.randomNonce(), oidc.randomPKCECodeVerifier()]
    const { scopes } = provider.spec.signIn
    const url = oidc.buildAuthorizationUrl(config, {
      redirect_uri: redirectUri,
      response_type: 'code',
      scope: scopes.join(' '),
      state,
      nonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      // OpenID Connect Core, 11: without it, offline_access must be ignored.
      ...(scopes.includes('offline_access') ? { prompt: 'consent' } : {}),
    })
    return { url: url.href, state, nonce, verifier }
  }

  /**
   * Exchanges the code that came back; checks state, nonce, issuer (RFC 9207), and the ID token with its signature.
   * @throws {SigninError}
   */
  async finish(provider: PeopleProvider, url: URL, started: Omit<Started, 'url'>): Promise<Told> {
    const config = await this.#config(provider)
    try {
      const tokens = await oidc.authorizationCodeGrant(config, url, { expectedState: started.state, expectedNonce: started.nonce, pkceCodeVerifier: started.verifier, idTokenExpected: true })
      return await this.#told(config, tokens)
    } catch (error) {
      this.#log.warn({ message: 'a sign-in failed', provider: provider.name, error: codeOf(error) })
      if (error instanceof oidc.AuthorizationResponseError) {
        throw new SigninError('SIGNIN_REFUSED_BY_PROVIDER', `${provider.name} did not sign you in (${shortWord(error.error)}).`, 'Try again; ask whoever runs the provider when it stays so.')
      }
      throw new SigninError('SIGNIN_INVALID', `What ${provider.name} answered can not be trusted (${codeOf(error)}).`, 'Start again from the sign-in page.')
    }
  }

  /**
   * Asks the provider again about somebody.
   * @throws {GrantGoneError} when it doesn't know the person any more
   * @throws when it can't be asked
   */
  async refresh(provider: PeopleProvider, refreshToken: string, subject: string): Promise<Told> {
    const config = await this.#config(provider)
    try {
      const told = await this.#told(config, await oidc.refreshTokenGrant(config, refreshToken), subject)
      return { ...told, refreshToken: told.refreshToken ?? refreshToken }
    } catch (error) {
      if (error instanceof oidc.ResponseBodyError && ['invalid_grant', 'unauthorized_client', 'access_denied'].includes(error.error)) throw new GrantGoneError(error.error)
      throw error
    }
  }

  /** Where to sign out at the provider, when it has such a place. */
  async endSessionUrl(provider: PeopleProvider, idToken: string | null, returnTo: string): Promise<string | undefined> {
    try {
      const config = await this.#config(provider)
      if (config.serverMetadata().end_session_endpoint === undefined) return undefined
      return oidc.buildEndSessionUrl(config, { post_logout_redirect_uri: returnTo, ...(idToken === null ? {} : { id_token_hint: idToken }) }).href
    } catch {
      return undefined
    }
  }

  async #told(config: oidc.Configuration, tokens: oidc.TokenEndpointResponse & oidc.TokenEndpointResponseHelpers, knownSubject?: string): Promise<Told> {
    const claims = tokens.claims()
    const subject = claims?.sub ?? knownSubject
    if (subject === undefined) throw new Error('the provider gave no ID token')
    // Another person's tokens must never come out of this one's grant (OpenID Connect Core, 12.2).
    if (knownSubject !== undefined && subject !== knownSubject) throw new Error('the provider answered about another person')
    const more = config.serverMetadata().userinfo_endpoint === undefined ? {} : await oidc.fetchUserInfo(config, tokens.access_token, subject)
    return {
      subject,
      claims: { ...more, ...claims },
      refreshToken: tokens.refresh_token ?? null,
      idToken: tokens.id_token ?? null,
      sid: typeof claims?.['sid'] === 'string' ? claims['sid'] : null,
    }
  }

  #config(provider: PeopleProvider): Promise<oidc.Configuration> {
    const key = JSON.stringify([provider.spec.issuer, provider.spec.signIn, provider.spec.insecureHttp])
    const known = this.#known.get(key)
    if (known && Date.now() - known.at < freshMs) return known.config
    const config = this.#discover(provider)
    this.#known.set(key, { config, at: Date.now() })
    config.catch(() => this.#known.delete(key))
    return config
  }

  async #discover({ name, spec }: PeopleProvider): Promise<oidc.Configuration> {
    const { clientId, clientSecret } = spec.signIn
    try {
      const issuer = checkAddress(spec.issuer, spec.insecureHttp)
      const secret = clientSecret === undefined ? undefined : await this.settings.references.read(clientSecret)
      const config = await oidc.discovery(issuer, clientId, secret === undefined ? undefined : { client_secret: secret }, secret === undefined ? oidc.None() : oidc.ClientSecretBasic(secret), {
        timeout: timeoutSeconds,
        execute: [oidc.enableNonRepudiationChecks, ...(spec.insecureHttp ? [oidc.allowInsecureRequests] : [])],
      })
      // Plain http was allowed for loopback: no endpoint may lead elsewhere with it.
      for (const endpoint of ['authorization_endpoint', 'token_endpoint', 'userinfo_endpoint', 'jwks_uri', 'end_session_endpoint'] as const) {
        const address = config.serverMetadata()[endpoint]
        if (address !== undefined) checkAddress(address, spec.insecureHttp)
      }
      return config
    } catch (error) {
      this.#log.warn({ message: 'an identity provider is not available for sign-ins', provider: name, error: codeOf(error) })
      const why = error instanceof SecretReferenceError ? error.message : 'it could not be reached, or its discovery document is not usable'
      throw new SigninError('SIGNIN_PROVIDER_UNAVAILABLE', `The identity provider ${name} is not available: ${why}.`, 'Try again soon; tell your platform team if it lasts.')
    }
  }
}

const forPeople = (provider: IdentityProviderDocument): provider is PeopleProvider => provider.spec.signIn !== undefined

/** Stable words of the library; never what a provider or a stranger wrote. */
function codeOf(error: unknown): string {
  if (error instanceof oidc.ResponseBodyError) return shortWord(error.error)
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? shortWord(error.code) : error instanceof Error ? error.name : 'error'
}

const shortWord = (text: string): string => (/^[\w-]{1,60}$/.test(text) ? text : 'error')
