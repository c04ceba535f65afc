import { createHash } from 'node:crypto'
import { Injectable } from '@nestjs/common'
import { identityNamed, simulate, type Simulation } from '@sallyport/kit'
import { resolvePolicies, type PolicyIdentity, type PolicyTarget, type ResolvedPolicy } from '@sallyport/policy'
import { DocumentsService } from '../documents/documents.service.js'
import { notFound } from '../problem/problem.js'
import { protocolOf, protocols } from '../protocols.js'

export interface ResolvedWithHash extends ResolvedPolicy {
  /** SHA-256 (hex) over rules, masks and terms: two equal grants have the same one. */
  readonly hash: string
}

/** What policies say about an identity on a target. */
@Injectable()
export class PoliciesService {
  constructor(private readonly documents: DocumentsService) {}

  /** Rules, masks and terms for a session; undefined when no policy names both: then there is no session. */
  async resolve(identity: PolicyIdentity, target: PolicyTarget): Promise<ResolvedWithHash | undefined> {
    const actions = protocolOf(target.protocol)?.actions
    if (!actions) return undefined
    const resolved = resolvePolicies(await this.documents.list('Policy'), identity, target, actions)
    if (!resolved) return undefined
    const { rules, masks, terms } = resolved
    const hash = createHash('sha256').update(JSON.stringify({ rules, masks, terms })).digest('hex')
    return { rules, masks, terms, hash }
  }

  /**
   * What would be decided for a text, without running anything.
   * @throws {Problem} 404 for an unknown identity or target
   */
  async explain(as: string, targetName: string, text: string): Promise<Simulation> {
    const { documents } = await this.documents.snapshot()
    const identity = identityNamed(as, documents)
    if (!identity) throw notFound(`workload or user ${as}`)
    const target = await this.documents.get('Target', targetName)
    if (!target) throw notFound(`target ${targetName}`)
    return simulate(documents, identity, { name: target.name, protocol: target.spec.protocol, labels: target.labels }, text, protocols)
  }
}
