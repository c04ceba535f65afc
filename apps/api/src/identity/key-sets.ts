import { createLocalJWKSet, errors, type CompactVerifyGetKey, type JSONWebKeySet, type JWK } from 'jose'
import { checkAddress, fetchJson, FetchRefusedError } from './guarded-fetch.js'

const freshMilliseconds = 10 * 60_000
/** How long keys stay good when the issuer can't be reached: a revoked key must not live on for ever. */
const staleMilliseconds = 60 * 60_000
/** An unknown `kid` may mean that keys were rotated, or that someone makes us fetch: at most so often. */
const refetchMilliseconds = 30_000
const maxKeys = 100

export interface KeySource {
  readonly issuer: string
  readonly jwksUri?: string
  readonly insecureHttp: boolean
}

interface Entry {
  lookup: CompactVerifyGetKey | undefined
  fetchedAt: number
  attemptedAt: number
  pending: Promise<void> | undefined
  /** Why the last fetch failed. */
  failure: string
}

export type FetchJson = (address: string, insecureHttp: boolean) => Promise<unknown>

/** The public keys of issuers, by source, kept in memory. Keys of one source are never tried for another. */
export class KeySets {
  readonly #entries = new Map<string, Entry>()

  constructor(
    private readonly fetch: FetchJson = fetchJson,
    private readonly now: () => number = Date.now,
  ) {}

  /**
   * Finds the key for a token's header.
   * @throws {FetchRefusedError} when there are no usable keys
   * @throws jose's JWKSNoMatchingKey, JWKSMultipleMatchingKeys
   */
  keyFor(source: KeySource): CompactVerifyGetKey {
    return async (header, token) => {
      const entry = this.#entry(source)
      if (this.now() - entry.fetchedAt > freshMilliseconds) await this.#refresh(source, entry)
      const lookup = this.#usable(entry)
      try {
        return await lookup(header, token)
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
        await this.#refresh(source, entry)
        return this.#usable(entry)(header, token)
      }
    }
  }

  #entry(source: KeySource): Entry {
    const key = JSON.stringify([source.issuer, source.jwksUri ?? null, source.insecureHttp])
    let entry = this.#entries.get(key)
    if (!entry) {
      entry = { lookup: undefined, fetchedAt: 0, attemptedAt: 0, pending: undefined, failure: 'no keys yet' }
      this.#entries.set(key, entry)
    }
    return entry
  }

  #usable(entry: Entry): CompactVerifyGetKey {
    if (entry.lookup && this.now() - entry.fetchedAt <= staleMilliseconds) return entry.lookup
    throw new FetchRefusedError(entry.failure)
  }

  async #refresh(source: KeySource, entry: Entry): Promise<void> {
    if (!entry.pending) {
      if (entry.attemptedAt !== 0 && this.now() - entry.attemptedAt < refetchMilliseconds) return
      entry.attemptedAt = this.now()
      entry.pending = this.#load(source, entry).finally(() => (entry.pending = undefined))
    }
    await entry.pending
  }

  async #load(source: KeySource, entry: Entry): Promise<void> {
    try {
      const set = await this.fetch(source.jwksUri ?? (await this.#discover(source)), source.insecureHttp)
      entry.lookup = createLocalJWKSet({ keys: publicKeys(set) })
      entry.fetchedAt = this.now()
    } catch (error) {
      entry.failure = error instanceof FetchRefusedError ? error.message : 'the key set could not be read'
    }
  }

  /** OpenID Connect Discovery 1.0, section 4.3: the document must name this very issuer. */
  async #discover(source: KeySource): Promise<string> {
    const document = await this.fetch(`${source.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, source.insecureHttp)
    if (!isRecord(document) || document['issuer'] !== source.issuer) throw new FetchRefusedError('the discovery document names another issuer')
    const found = document['jwks_uri']
    if (typeof found !== 'string') throw new FetchRefusedError('the discovery document names no jwks_uri')
    const url = checkAddress(found, source.insecureHttp)
    // What an issuer's answer says must not lead us to other hosts (SSRF): those are for an administrator to name.
    if (url.host !== new URL(source.issuer).host) {
      throw new FetchRefusedError(`the issuer's keys are on another host (${url.host}): set jwksUri in the IdentityProvider to allow it`)
    }
    return url.href
  }
}

/** Asymmetric public keys only: a secret in the set must never verify anything. */
function publicKeys(set: unknown): JWK[] {
  const keys = isRecord(set) && Array.isArray(set['keys']) ? set['keys'].slice(0, maxKeys) : undefined
  if (!keys) throw new FetchRefusedError('the key set holds no keys')
  const isUsable = (key: unknown): key is JSONWebKeySet['keys'][number] =>
    isRecord(key) && (key['kty'] === 'RSA' || key['kty'] === 'EC' || key['kty'] === 'OKP') && !('d' in key) && (key['use'] === undefined || key['use'] === 'sig')
  return keys.filter(isUsable)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
