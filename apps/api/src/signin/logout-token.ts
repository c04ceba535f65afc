import { jwtVerify } from 'jose'
import type { KeySets } from '../identity/key-sets.js'
import type { PeopleProvider } from './oidc.service.js'

const backchannelEvent = 'http://schemas.openid.net/event/backchannel-logout'

export interface LoggedOut {
  readonly tokenId: string
  readonly expiresAt: Date
  readonly subject?: string
  readonly sid?: string
}

/**
 * Checks a logout token (OpenID Connect Back-Channel Logout 1.0, 2.6).
 * @throws when any of it is wrong
 */
export async function verifyLogoutToken(token: string, { spec }: PeopleProvider, keys: KeySets): Promise<LoggedOut> {
  const { payload, protectedHeader } = await jwtVerify(token, keys.keyFor({ issuer: spec.issuer, insecureHttp: spec.insecureHttp, ...(spec.jwksUri === undefined ? {} : { jwksUri: spec.jwksUri }) }), {
    algorithms: [...spec.algorithms],
    issuer: spec.issuer,
    audience: spec.signIn.clientId,
    clockTolerance: spec.clockSkewSeconds,
    maxTokenAge: 600,
    requiredClaims: ['iss', 'aud', 'iat', 'jti', 'events'],
  })
  if (protectedHeader.typ !== undefined && !/^(logout\+jwt|jwt)$/i.test(protectedHeader.typ)) throw new Error('another type of token')
  const events = payload['events']
  if (typeof events !== 'object' || events === null || !(backchannelEvent in events)) throw new Error('not about a logout')
  // An ID token, which has one, must not sign anybody out.
  if ('nonce' in payload) throw new Error('a logout token has no nonce')
  const sid = typeof payload['sid'] === 'string' ? payload['sid'] : undefined
  if (payload.sub === undefined && sid === undefined) throw new Error('it names nobody')
  return {
    tokenId: payload.jti ?? '',
    expiresAt: new Date(((payload.exp ?? payload.iat ?? 0) + 1200) * 1000),
    ...(payload.sub === undefined ? {} : { subject: payload.sub }),
    ...(sid === undefined ? {} : { sid }),
  }
}
