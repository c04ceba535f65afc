import { compactVerify, type CryptoKey, type KeyObject } from 'jose'
import { grantPayloadSchema, jwsType, type GrantPayload } from './grant.js'

const mint = Symbol('verified-grant')

/** A grant whose signature, agent and times were checked against the pinned key. Nothing else gives an engine a session. */
export class VerifiedGrant {
  private constructor(
    token: typeof mint,
    readonly payload: GrantPayload,
  ) {
    if (token !== mint) throw new TypeError('a VerifiedGrant comes from verifyGrant')
  }
  static [mint](payload: GrantPayload): VerifiedGrant {
    return new VerifiedGrant(mint, payload)
  }
}

export class GrantError extends Error {
  override readonly name = 'GrantError'
}

/** The control plane's public keys (Ed25519) by `kid`, as pinned at enrolment. */
export type PinnedKeys = ReadonlyMap<string, CryptoKey | KeyObject>

/**
 * Verifies a JWS of the control plane: EdDSA only, the exact `typ`, a `kid` that was pinned. Returns the payload.
 * @throws {GrantError} saying which check failed, never the content.
 */
export async function verifyControlJws(jws: string, typ: string, keys: PinnedKeys): Promise<unknown> {
  let payload: Uint8Array
  try {
    const verified = await compactVerify(
      jws,
      (header) => {
        if (header.typ !== typ) throw new GrantError(`the message is not of type ${typ}`)
        const key = header.kid === undefined ? undefined : keys.get(header.kid)
        if (!key) throw new GrantError('the message is signed with a key that is not pinned')
        return key
      },
      { algorithms: ['EdDSA', 'Ed25519'] },
    )
    payload = verified.payload
  } catch (error) {
    if (error instanceof GrantError) throw error
    throw new GrantError('the signature of the control plane does not verify')
  }
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload))
  } catch {
    throw new GrantError('the signed message is not JSON')
  }
}

/**
 * Verifies a grant for one agent.
 * @param now seconds since the epoch
 * @throws {GrantError}
 */
export async function verifyGrant(jws: string, keys: PinnedKeys, agentId: string, now: number): Promise<VerifiedGrant> {
  const parsed = grantPayloadSchema.safeParse(await verifyControlJws(jws, jwsType.grant, keys))
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw new GrantError(`the grant has a field that this agent can't enforce: ${issue?.path.join('.') ?? '?'} (${issue?.message ?? 'invalid'})`)
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- decoder: zod says `undefined` where the interface says absent
  const payload = parsed.data as GrantPayload
  if (payload.agent !== agentId) throw new GrantError('the grant is for another agent')
  if (payload.exp <= now || payload.lease <= now) throw new GrantError('the grant has expired')
  if (payload.iat > now + 60) throw new GrantError("the grant is from the future: check this agent's clock")
  return VerifiedGrant[mint](payload)
}
