import { createHash } from 'node:crypto'
import { Injectable } from '@nestjs/common'
import { jwsType, type GrantPayload } from '@sallyport/kit'
import { masksNeedKey, type TargetDocument } from '@sallyport/policy'
import { HttpConfig } from '../config/http.config.js'
import type { Identity } from '../identity/identity.service.js'
import { KeysService } from '../keys/keys.service.js'
import { NodesRepository } from '../nodes/nodes.repository.js'
import { PseudonymsService } from '../privacy/pseudonyms.service.js'
import type { ResolvedWithHash } from '../policies/policies.service.js'
import { SessionsConfig } from './sessions.config.js'

export interface GrantFacts {
  readonly sessionId: string
  readonly version: number
  readonly agentId: string
  readonly identity: Identity
  readonly target: TargetDocument
  readonly policy: ResolvedWithHash
  readonly expiresAt: Date
}

/** Mints grants. */
@Injectable()
export class GrantsService {
  constructor(
    private readonly keys: KeysService,
    private readonly nodes: NodesRepository,
    private readonly pseudonyms: PseudonymsService,
    private readonly http: HttpConfig,
    private readonly config: SessionsConfig,
  ) {}

  async payload(facts: GrantFacts): Promise<GrantPayload> {
    const { identity, target, policy } = facts
    const now = Math.floor(Date.now() / 1000)
    const exp = Math.floor(facts.expiresAt.getTime() / 1000)
    const maskKey = masksNeedKey(policy.masks) ? await this.#maskKey(target.name, facts.agentId) : undefined
    return {
      v: 1,
      sid: facts.sessionId,
      version: facts.version,
      agent: facts.agentId,
      iat: now,
      exp,
      lease: Math.min(exp, now + this.config.leaseSeconds),
      identity: { kind: identity.kind, id: await this.pseudonyms.ofIdentity(identity.kind, identity.name), name: identity.name, groups: identity.groups, claims: identity.claims },
      target: { id: target.name, name: target.name, protocol: target.spec.protocol, labels: target.labels, spec: target.spec.connection },
      rules: policy.rules,
      masks: policy.masks,
      terms: policy.terms,
      ...(maskKey === undefined ? {} : { mask_key: maskKey }),
      approval_url: `${this.http.publicUrl}/approvals/`,
    }
  }

  async mint(facts: GrantFacts): Promise<string> {
    return this.keys.sign(jwsType.grant, await this.payload(facts))
  }

  /** To this agent's enrolled key: the gateway that relays the grant can't read it. */
  async #maskKey(target: string, agentId: string): Promise<string> {
    const node = await this.nodes.find(agentId)
    if (!node) throw new Error('the agent is gone')
    return this.keys.encryptFor(node.publicKey, await this.keys.maskKey(target))
  }
}

/** Names everything in a grant that documents decide: when it differs, live sessions need a new one. */
export function grantHash(identity: Identity, target: TargetDocument, policy: ResolvedWithHash): string {
  return createHash('sha256').update(JSON.stringify([policy.hash, identity.groups, target.labels, target.spec])).digest('hex')
}
