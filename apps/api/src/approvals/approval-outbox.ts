import { jwsType, type ApprovalDecisionPayload, type HeldPayload } from '@sallyport/kit'
import { Injectable, Logger } from '@nestjs/common'
import { ModuleRef } from '@nestjs/core'
import { Subject } from 'rxjs'
import { AgentLinkService } from '../nodes/agent-link.service.js'
import { NotifyService } from '../notify/notify.service.js'
import { personOf, textWith } from '../privacy/identifiers.js'
import { PseudonymsService } from '../privacy/pseudonyms.service.js'
import { requirementsOf, votesOf } from './approval-item.js'
import type { ApprovalState } from './approvals.dto.js'
import { ApprovalsRepository, type ApprovalWithVotes } from './approvals.repository.js'

/** How long a signed decision is good for: it must reach the agent, not lie about. */
const decisionLifeSeconds = 60
export const approvalsChannel = 'sallyport_approvals'

export interface ApprovalChange {
  readonly id: string
  readonly state: ApprovalState
  readonly session_id: string
  /** A comment came. */
  readonly comment?: string
}

/** Tells agents and listeners what became of approvals. Called after the commit; a lost message costs a wait, never a wrong run. */
@Injectable()
export class ApprovalOutbox {
  readonly #log = new Logger(ApprovalOutbox.name)
  /** Changes of every replica. */
  readonly changes = new Subject<ApprovalChange>()

  constructor(
    private readonly repository: ApprovalsRepository,
    private readonly notify: NotifyService,
    private readonly pseudonyms: PseudonymsService,
    private readonly modules: ModuleRef,
  ) {
    notify.subscribe(approvalsChannel, (payload) => {
      const change: ApprovalChange = JSON.parse(payload)
      this.changes.next(change)
    })
  }

  async held(approval: ApprovalWithVotes): Promise<void> {
    const payload: HeldPayload = {
      agent: approval.agentId,
      sid: approval.sessionId,
      command: approval.command,
      approval: approval.id,
      digest: approval.digest,
      groups: [...new Set(requirementsOf(approval).flatMap((requirement) => requirement.groups))],
      exp: Math.floor(approval.expiresAt.getTime() / 1000),
    }
    await this.#send(approval.agentId, jwsType.held, payload)
  }

  /** Sends how an approval ended. Cancelled ones aren't told: the agent gave up waiting itself, or is being told to end the session. */
  async decided(approval: ApprovalWithVotes): Promise<void> {
    const { state } = approval
    if (state !== 'approved' && state !== 'rejected' && state !== 'expired') return
    const now = Math.floor(Date.now() / 1000)
    const life = now + decisionLifeSeconds
    const reviewers = votesOf(await this.repository.decidedBy(approval)).filter((vote) => (state === 'approved' ? vote.verdict === 'approve' : vote.verdict === 'reject'))
    const session = await this.repository.session(approval.sessionId)
    const asking = session && personOf(session)
    const pseudonyms = await this.pseudonyms.of({ persons: [...reviewers.map(({ user }) => ({ names: [user], addresses: [] })), ...(asking ? [asking] : [])], perhaps: [] })
    const payload: ApprovalDecisionPayload = {
      agent: approval.agentId,
      sid: approval.sessionId,
      command: approval.command,
      approval: approval.id,
      digest: approval.digest,
      verdict: state,
      reason: approval.reason ?? '',
      reviewers: reviewers.map((vote) => vote.user),
      recorded_reviewers: reviewers.map((vote) => pseudonyms.get(vote.user) ?? vote.user),
      recorded_reason: textWith(approval.reason ?? '', pseudonyms),
      iat: now,
      exp: state === 'approved' ? Math.min(life, Math.floor(approval.expiresAt.getTime() / 1000)) : life,
    }
    await this.#send(approval.agentId, jwsType.approval, payload)
  }

  /** The control plane doesn't take the request at all. */
  async refused(agentId: string, request: { sessionId: string; commandId: string; digest: string }, approval: string, reason: string, hint?: string): Promise<void> {
    const now = Math.floor(Date.now() / 1000)
    const payload: ApprovalDecisionPayload = {
      agent: agentId,
      sid: request.sessionId,
      command: request.commandId,
      approval,
      digest: request.digest,
      verdict: 'refused',
      reason,
      ...(hint === undefined ? {} : { hint }),
      reviewers: [],
      iat: now,
      exp: now + decisionLifeSeconds,
    }
    await this.#send(agentId, jwsType.approval, payload)
  }

  /** Tells the listeners of all replicas. */
  async changed(approval: { id: string; state: string; sessionId: string }, comment?: string): Promise<void> {
    try {
      await this.notify.publish(approvalsChannel, JSON.stringify({ id: approval.id, state: approval.state, session_id: approval.sessionId, ...(comment === undefined ? {} : { comment }) }))
    } catch {
      this.#log.warn({ message: 'a change of an approval could not be published', approval_id: approval.id })
    }
  }

  async #send(agentId: string, typ: string, payload: object): Promise<void> {
    try {
      await this.modules.get(AgentLinkService, { strict: false }).send(agentId, typ, payload)
    } catch (error) {
      this.#log.warn({ message: 'an agent could not be told about an approval', agent_id: agentId, typ, error: error instanceof Error ? error.name : '' })
    }
  }
}
