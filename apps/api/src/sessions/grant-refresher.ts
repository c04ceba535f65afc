import { Injectable, Logger } from '@nestjs/common'
import { jwsType, TargetSpecError } from '@sallyport/kit'
import type { TargetDocument } from '@sallyport/policy'
import { IdentityError } from '../identity/identity.errors.js'
import { IdentityService, type Identity } from '../identity/identity.service.js'
import { AgentLinkService } from '../nodes/agent-link.service.js'
import { PoliciesService } from '../policies/policies.service.js'
import { narrowedTo, TargetsService, viewOf } from '../targets/targets.service.js'
import { grantHash, GrantsService } from './grants.service.js'
import { identityOf, textsOf } from './session-identity.js'
import { SessionsRepository } from './sessions.repository.js'
import type { SessionRow } from './sessions.service.js'

/** Brings one live session's grant up to date with the documents. */
@Injectable()
export class GrantRefresher {
  readonly #log = new Logger(GrantRefresher.name)

  constructor(
    private readonly repository: SessionsRepository,
    private readonly identities: IdentityService,
    private readonly targets: TargetsService,
    private readonly policies: PoliciesService,
    private readonly grants: GrantsService,
    private readonly links: AgentLinkService,
  ) {}

  /** Sends a new grant if anything changed. Returns why the session must end, if it must. */
  async refresh(session: SessionRow): Promise<string | undefined> {
    let identity: Identity
    try {
      identity = await this.identities.current(identityOf(session))
    } catch (error) {
      if (error instanceof IdentityError) return error.message
      throw error
    }
    const document = await this.targets.find(session.target)
    if (!document || document.spec.protocol !== session.protocol) return `the target ${session.target} does not exist any more`
    let target: TargetDocument
    try {
      target = narrowedTo(document, textsOf(session.parameters))
    } catch (error) {
      if (error instanceof TargetSpecError) return `the target ${session.target} does not offer this any more: ${error.message}`
      throw error
    }
    const policy = await this.policies.resolve(identity, viewOf(target))
    if (!policy) return `no policy gives ${identity.kind} ${identity.name} a session on ${target.name} any more`
    if (session.credentialId === null && target.spec.credentials === 'exchanged') return `the target ${target.name} takes no token as the password any more`
    const hash = grantHash(identity, target, policy)
    if (hash === session.policyHash) return undefined
    // Of several replicas one wins; the others' grants would have the same version.
    if (!(await this.repository.advanceGrant(session.id, session.grantVersion, hash, identity.groups, identity.matchHash))) return undefined
    const payload = await this.grants.payload({
      sessionId: session.id,
      version: session.grantVersion + 1,
      agentId: session.agentId,
      identity,
      target,
      policy,
      expiresAt: session.expiresAt,
    })
    try {
      await this.links.send(session.agentId, jwsType.grant, payload)
    } catch {
      // Under its old grant the session could do what is now forbidden, so it may not go on.
      this.#log.warn({ message: 'a changed grant could not be delivered', session_id: session.id })
      return 'the policy changed, and the agent could not be told'
    }
    return undefined
  }
}
