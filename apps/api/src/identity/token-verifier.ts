import { decodeJwt, decodeProtectedHeader, errors, jwtVerify, type JWTPayload } from 'jose'
import type { IdentityProviderDocument } from '@sallyport/policy'
import { FetchRefusedError } from './guarded-fetch.js'
import { IdentityError } from './identity.errors.js'
import type { KeySets } from './key-sets.js'

/** CI tokens are 1–3 KiB. */
const maxTokenBytes = 16 * 1024

export interface VerifiedToken {
  readonly provider: string
  readonly claims: Readonly<Record<string, unknown>>
  readonly issuer: string
  readonly tokenId: string | undefined
  readonly expiresAt: Date
}

/** Whether a text has the form of a compact JWS; nothing is checked. */
export function looksLikeToken(text: string): boolean {
  return text.length <= maxTokenBytes && /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text)
}

/**
 * Verifies an OIDC token. The provider is found by the exact issuer that the token claims; everything else of the token
 * counts only after its signature was checked with that provider's keys, by an algorithm that the provider allows.
 * @param now seconds since the epoch
 * @throws {IdentityError} naming the provider and what failed
 */
export async function verifyToken(token: string, providers: readonly IdentityProviderDocument[], keys: KeySets, now: number): Promise<VerifiedToken> {
  if (!looksLikeToken(token)) {
    throw new IdentityError('TOKEN_MALFORMED', 'what was given is not a signed JSON Web Token', "Give the job's OIDC ID token, whole and without quotes or line ends.")
  }
  const provider = providerFor(token, providers)
  const { spec } = provider
  let payload: JWTPayload
  try {
    const verified = await jwtVerify(token, keys.keyFor({ issuer: spec.issuer, insecureHttp: spec.insecureHttp, ...(spec.jwksUri === undefined ? {} : { jwksUri: spec.jwksUri }) }), {
      algorithms: [...spec.algorithms],
      issuer: spec.issuer,
      audience: [...spec.audiences],
      clockTolerance: spec.clockSkewSeconds,
      maxTokenAge: spec.maxTokenAgeSeconds,
      requiredClaims: ['iss', 'aud', 'exp', 'iat', 'sub'],
      currentDate: new Date(now * 1000),
    })
    payload = verified.payload
    checkType(verified.protectedHeader.typ, spec.accessTokens)
  } catch (error) {
    throw refusal(error, provider)
  }
  return {
    provider: provider.name,
    claims: payload,
    issuer: spec.issuer,
    tokenId: tokenIdOf(payload),
    expiresAt: new Date((payload.exp ?? now) * 1000),
  }
}

/** Entra calls it `uti`. */
function tokenIdOf(payload: JWTPayload): string | undefined {
  const id = payload.jti ?? payload['uti']
  return typeof id === 'string' && id !== '' && id.length <= 512 ? id : undefined
}

/** Several providers may share an issuer and differ in audience; only one may fit. */
function providerFor(token: string, providers: readonly IdentityProviderDocument[]): IdentityProviderDocument {
  let claimed: JWTPayload
  try {
    decodeProtectedHeader(token)
    claimed = decodeJwt(token)
  } catch {
    throw new IdentityError('TOKEN_MALFORMED', 'what was given is not a signed JSON Web Token', "Give the job's OIDC ID token, whole and without quotes or line ends.")
  }
  const sameIssuer = providers.filter((provider) => provider.spec.issuer === claimed.iss)
  const [first] = sameIssuer
  if (!first) {
    throw new IdentityError(
      'ISSUER_UNKNOWN',
      `no IdentityProvider has the issuer ${shown(claimed.iss)}`,
      'An administrator adds one with `sallyport apply`; the issuer is compared character by character.',
    )
  }
  if (sameIssuer.length === 1) return first
  const audiences = [claimed.aud ?? []].flat()
  const fitting = sameIssuer.filter((provider) => provider.spec.audiences.some((audience) => audiences.includes(audience)))
  const [only] = fitting
  if (only && fitting.length === 1) return only
  throw new IdentityError(
    'TOKEN_INVALID',
    `the identity providers ${sameIssuer.map((provider) => provider.name).join(', ')} share this issuer, and ${only ? 'several accept' : 'none accepts'} the token's audience`,
    'Give each of them an audience of its own, and ask for the token with one of these.',
  )
}

/** RFC 8725, section 3.11: a token made for another purpose (a logout token) isn't one to come in with; an access token only where that was said. */
function checkType(typ: string | undefined, accessTokens: boolean): void {
  if (typ === undefined || /^(application\/)?jwt$/i.test(typ)) return
  if (!accessTokens || !/^(application\/)?at\+jwt$/i.test(typ)) throw new TypeMismatch()
}

class TypeMismatch extends Error {}

function refusal(error: unknown, provider: IdentityProviderDocument): IdentityError {
  const { spec, name } = provider
  const refuse = (reason: string, hint: string): IdentityError => new IdentityError('TOKEN_INVALID', `identity provider ${name}: ${reason}`, hint)
  const renew = 'Get a fresh token; check the clocks when it is fresh.'
  if (error instanceof FetchRefusedError) {
    return new IdentityError('KEYS_UNAVAILABLE', `identity provider ${name}: its signing keys are not available: ${error.message}`, 'Try again soon; tell your platform team if it lasts.')
  }
  if (error instanceof TypeMismatch) return refuse('the token is of another type than JWT', 'Give the ID token. Where clients come with access tokens (typ at+jwt), an administrator sets `accessTokens: true` in the IdentityProvider.')
  if (error instanceof errors.JWTExpired) {
    return error.claim === 'iat' ? refuse(`the token was issued longer ago than maxTokenAge (${spec.maxTokenAgeSeconds} s)`, renew) : refuse('the token has expired (claim exp)', renew)
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    switch (error.claim) {
      case 'aud':
        return refuse(`the token is for another audience (claim aud); expected ${spec.audiences.join(' or ')}`, `Ask your CI for a token with the audience ${spec.audiences[0] ?? ''}.`)
      case 'nbf':
        return refuse('the token is not valid yet (claim nbf)', renew)
      case 'iat':
        return refuse('the token is from the future, or has no time of issue (claim iat)', renew)
      default:
        return refuse(`the claim ${error.claim} is missing or wrong`, renew)
    }
  }
  if (error instanceof errors.JOSEAlgNotAllowed) return refuse(`the token's signature algorithm is not allowed; allowed: ${spec.algorithms.join(', ')}`, 'An administrator sets `algorithms` in the IdentityProvider.')
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) {
    return refuse("the token is signed with a key that the issuer's key set does not hold", 'When the issuer has just changed its keys, try again in half a minute.')
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) return refuse("the token's signature does not verify", 'Give the token as it was issued.')
  return refuse('the token is not acceptable', 'Give the token as it was issued.')
}

/** A value from an unverified token, for an error text: short and printable or not at all. */
function shown(value: unknown): string {
  return typeof value === 'string' && value.length <= 200 && /^[\x21-\x7e]+$/.test(value) ? `"${value}"` : 'that the token claims'
}
