import { ok, once } from '@sallyport/api-client'
import { CliError } from '../errors.js'
import type { ControlPlane } from '../http/control-plane.js'
import { asFields, text, type Fields } from '../http/record.js'
import { findIdentityToken, noIdentityError, type TokenSearch } from './identity-token.js'

/** A short-lived credential for one target, with what a client needs to use it. */
export interface IssuedCredential {
  readonly id: string
  readonly secret: string
  readonly expiresInSeconds: number
  readonly target: string
  readonly protocol: string
  readonly connection: ConnectionInfo
  /** Of the public key that it's tied to; empty when it isn't tied to one. */
  readonly keyFingerprint: string
  /** The control plane's whole answer, for `sallyport token`. */
  readonly raw: Fields
}

export interface ConnectionInfo {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  readonly sslmode: string
  readonly caPem: string
}

export interface IssueRequest extends TokenSearch {
  readonly target: string
  readonly ttlSeconds?: number
  readonly singleUse: boolean
  /** As in a .pub file: for targets whose clients prove a key (SSH) the credential is good with it only. */
  readonly publicKey?: string
}

/** Exchanges the job's OIDC token (RFC 8693), or asks as the signed-in user when there is none. */
export async function issueCredential(api: ControlPlane, request: IssueRequest): Promise<IssuedCredential> {
  const token = await findIdentityToken(request)
  const wishes = {
    ...(request.ttlSeconds === undefined ? {} : { ttl_seconds: request.ttlSeconds }),
    ...(request.singleUse ? { single_use: true } : {}),
    ...(request.publicKey === undefined ? {} : { public_key: request.publicKey }),
  }
  if (token === undefined) {
    if (!api.hasToken) throw noIdentityError()
    return decode(await ok(api.rest.POST('/v1/credentials', { body: { target: request.target, ...wishes }, headers: once() })))
  }
  const answer = await ok(
    api.open.POST('/v1/token', {
      body: {
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject_token: token.jwt,
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        audience: request.target,
        ...wishes,
      },
    }),
  )
  return decode(answer)
}

/** Ends the credential with its own secret. True when the control plane confirmed. */
export async function revokeCredential(api: ControlPlane, credential: IssuedCredential, timeoutMilliseconds: number): Promise<boolean> {
  try {
    await ok(api.openWithin(timeoutMilliseconds).DELETE('/v1/credentials/{id}', { params: { path: { id: credential.id } }, headers: { authorization: `Bearer ${credential.secret}` } }))
    return true
  } catch {
    return false
  }
}

function decode(raw: Fields): IssuedCredential {
  const connection = asFields(raw['connection'])
  const port = Number(text(connection, 'port'))
  const secret = text(raw, 'access_token')
  if (secret === '' || !Number.isInteger(port) || port < 1 || port > 65535) {
    throw new CliError("the control plane's answer can't be used", { why: 'access_token or connection.port is missing', next: 'is the CLI as new as the control plane?' })
  }
  return {
    id: text(raw, 'credential_id'),
    secret,
    expiresInSeconds: Number(text(raw, 'expires_in')),
    target: text(raw, 'target.name'),
    protocol: text(raw, 'target.protocol'),
    connection: {
      host: text(connection, 'host'),
      port,
      database: text(connection, 'database'),
      user: text(connection, 'user') || text(raw, 'username'),
      sslmode: text(connection, 'sslmode') || 'verify-full',
      caPem: text(connection, 'ca_pem'),
    },
    keyFingerprint: text(raw, 'key_fingerprint'),
    raw,
  }
}
