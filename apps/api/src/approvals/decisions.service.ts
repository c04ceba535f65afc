import { Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common'
import { v7 as uuid } from 'uuid'
import { DirectoryService } from '../access/directory.service.js'
import type { Transaction } from '../audit/audit.repository.js'
import type { ControlPlaneEventBody } from '../audit/events.js'
import { EventsService } from '../audit/events.service.js'
import type { Session } from '../generated/prisma/client.js'
import { conflict, forbidden, notFound, Problem } from '../problem/problem.js'
import { askedOf, escalatedOf, requesterOf, requirementsOf, votesOf } from './approval-item.js'
import { ApprovalOutbox } from './approval-outbox.js'
import type { ApprovalState } from './approvals.dto.js'
import { ApprovalsRepository, type ApprovalWithVotes } from './approvals.repository.js'
import { RememberedService } from './remembered.service.js'
import { escalating, nextEscalation, requirementsNow } from './requirements.js'
import { countingGroups, isSatisfied, isSelf } from './reviewers.js'

const sweepEveryMs = 1000
const sweepSize = 100

export interface VoteCast {
  readonly verdict: 'approve' | 'reject'
  readonly reason?: string | undefined
  /** Let the approval stand for what comes next: as long as the rules offer, or so many seconds. */
  readonly remember?: boolean | number | undefined
}

/** How a transaction about an approval came out: the state may change even where the caller gets an error. */
interface Outcome {
  readonly approval: ApprovalWithVotes
  readonly ended: boolean
  readonly problem?: Problem
}

/** Ends approvals: by votes, by time, by cancellation. Every way holds the row's lock, so exactly one of them wins. */
@Injectable()
export class DecisionsService implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #log = new Logger(DecisionsService.name)
  #timer: NodeJS.Timeout | undefined
  #sweeping = false

  constructor(
    private readonly repository: ApprovalsRepository,
    private readonly directory: DirectoryService,
    private readonly events: EventsService,
    private readonly outbox: ApprovalOutbox,
    private readonly remembered: RememberedService,
  ) {
    events.onSessionEnded(async (session, reason) => {
      for (const { id } of await this.repository.pendingOf(session)) await this.cancel(id, `the session ended: ${reason}`)
    })
  }

  onApplicationBootstrap(): void {
    this.#timer = setInterval(() => {
      if (this.#sweeping) return
      this.#sweeping = true
      this.sweep()
        .catch((error: unknown) => this.#log.warn({ message: 'expiry of approvals failed', error: error instanceof Error ? error.name : '' }))
        .finally(() => (this.#sweeping = false))
    }, sweepEveryMs)
    this.#timer.unref()
  }

  onApplicationShutdown(): void {
    clearInterval(this.#timer)
  }

  /**
   * Takes a person's vote.
   * @throws {Problem} 403 not asked, self-approval, voted already, disabled; 404; 409 when it has ended; 422 when it can't stand for so long
   */
  async vote(id: string, user: string, vote: VoteCast): Promise<ApprovalWithVotes> {
    const outcome = await this.repository.transaction((tx) => this.#vote(tx, id, user, vote))
    await this.#tell(outcome)
    if (outcome.problem) throw outcome.problem
    return outcome.approval
  }

  /** Ends a pending approval that nobody needs any more. */
  async cancel(id: string, reason: string): Promise<void> {
    await this.#tell(
      await this.repository.transaction(async (tx) => {
        const approval = await this.repository.lock(tx, id)
        if (!approval) throw notFound('such approval')
        return approval.state === 'pending' ? this.#end(tx, approval, 'cancelled', reason, []) : { approval, ended: false }
      }),
    )
  }

  /** Expires what is due and cancels what lost its session. Safe to run on every replica. */
  async sweep(): Promise<void> {
    for (const id of await this.repository.due(new Date(), sweepSize)) {
      await this.#tell(
        await this.repository.transaction(async (tx) => {
          const approval = await this.repository.lock(tx, id)
          if (!approval) throw notFound('such approval')
          if (approval.state !== 'pending' || approval.expiresAt.getTime() > Date.now()) return { approval, ended: false }
          return this.#end(tx, approval, 'expired', 'nobody decided in time', [])
        }),
      )
    }
    for (const id of await this.repository.toEscalate(new Date(), sweepSize)) await this.#escalate(id)
    for (const id of await this.repository.orphaned(sweepSize)) await this.cancel(id, 'the session ended')
  }

  async #vote(tx: Transaction, id: string, user: string, { verdict, reason, remember }: VoteCast): Promise<Outcome> {
    const approval = await this.repository.lock(tx, id)
    if (!approval) throw notFound('such approval')
    if (approval.state !== 'pending') throw conflict('APPROVAL_ENDED', `This approval was ${approval.state} already.`)
    if (approval.expiresAt.getTime() <= Date.now()) {
      const expired = await this.#end(tx, approval, 'expired', 'nobody decided in time', [])
      return { ...expired, problem: conflict('APPROVAL_ENDED', 'This approval has expired.') }
    }
    if (!(await this.repository.isSessionLive(tx, approval.sessionId))) {
      const cancelled = await this.#end(tx, approval, 'cancelled', 'the session ended', [])
      return { ...cancelled, problem: conflict('APPROVAL_ENDED', 'The session that asked has ended.') }
    }
    const session = await this.repository.session(approval.sessionId, tx)
    if (!session) throw notFound('such session')
    const groups = await this.#eligible(approval, session, user)
    const rememberSeconds = await this.#rememberSeconds(approval, remember)
    const at = new Date()
    const why = reason === undefined || reason === '' ? {} : { reason }
    await this.repository.addVote(tx, { id: uuid(), approvalId: id, user, verdict, groups, createdAt: at, rememberSeconds, ...why })
    const voted: ControlPlaneEventBody = {
      kind: 'approval.voted',
      approval: id,
      session: approval.sessionId,
      command: approval.command,
      by: user,
      verdict,
      groups,
      ...why,
    }
    const now = await this.repository.lock(tx, id)
    if (!now) throw notFound('such approval')
    if (verdict === 'reject') return this.#end(tx, now, 'rejected', reason ?? '', [voted])
    const standing = await this.#standing(now)
    if (isSatisfied(askedOf(now), standing)) {
      const remembered = await this.remembered.keep(tx, now, session, standing, at)
      return this.#end(tx, now, 'approved', reason ?? '', [voted], remembered)
    }
    await this.events.appendWithin(tx, [voted])
    return { approval: now, ended: false }
  }

  /** The groups that a vote of this user counts for, as documents are at this moment. */
  async #eligible(approval: ApprovalWithVotes, session: Session, user: string): Promise<string[]> {
    const person = await this.directory.find(user)
    if (!person || person.disabled) throw forbidden('USER_DISABLED', 'Your user is disabled.')
    if (isSelf(person, requesterOf(session))) {
      throw forbidden('SELF_APPROVAL', 'This command was asked for by you; someone else must decide.', 'Ask another member of the group.')
    }
    const requirements = askedOf(approval)
    const groups = countingGroups(person, requirements)
    if (groups.length === 0) {
      const asked = [...new Set(requirements.flatMap((requirement) => requirement.groups))].join(', ')
      throw forbidden('NOT_ASKED', `Only members of ${asked} can decide this.`)
    }
    if (approval.votes.some((vote) => vote.user === person.name)) throw forbidden('ALREADY_VOTED', 'You have voted on this already.')
    return groups
  }

  /** @throws {Problem} 422 when the rules offer nothing for this command, or less */
  async #rememberSeconds(approval: ApprovalWithVotes, remember: VoteCast['remember']): Promise<number | null> {
    if (remember === undefined || remember === false) return null
    const terms = await this.remembered.offered(approval)
    if (!terms) {
      throw new Problem(422, 'REMEMBER_NOT_OFFERED', 'This approval can stand for nothing but this command.', {
        hint: 'Approve without `remember`. A rule offers it with approvers.remember, never for commands that can’t be analysed, and as it stood when the session opened.',
      })
    }
    const seconds = remember === true ? terms.for_seconds : remember
    if (seconds > terms.for_seconds) throw new Problem(422, 'REMEMBER_TOO_LONG', `The rules let this approval stand for ${terms.for_seconds} seconds at most.`)
    return seconds
  }

  /** Others may decide as well from now on. */
  async #escalate(id: string): Promise<void> {
    const escalated = await this.repository.transaction(async (tx) => {
      const approval = await this.repository.lock(tx, id)
      if (approval?.state !== 'pending') return undefined
      const [requirements, before, now] = [requirementsOf(approval), escalatedOf(approval), new Date()]
      const due = escalating(requirements, approval.createdAt, before, now)
      if (due.length === 0) return undefined
      const rules = due.map(({ rule }) => rule)
      const all = [...before, ...rules]
      const asked = [...new Set(requirementsNow(requirements, all).flatMap(({ groups }) => groups))]
      await this.repository.escalate(tx, id, all, asked, nextEscalation(requirements, approval.createdAt, all))
      const groups = asked.filter((group) => !approval.askedGroups.includes(group))
      await this.events.appendWithin(tx, [{ kind: 'approval.escalated', approval: id, session: approval.sessionId, command: approval.command, rules, groups }])
      return approval
    })
    if (escalated) await this.outbox.changed(escalated)
  }

  /** Votes that still count: someone disabled since, or no longer in the group, doesn't approve any more. */
  async #standing(approval: ApprovalWithVotes): Promise<ReturnType<typeof votesOf>> {
    const votes = votesOf(approval)
    const people = await Promise.all(votes.map((vote) => this.directory.find(vote.user)))
    return votes.flatMap((vote, i) => {
      const person = people[i]
      return person && !person.disabled ? [{ ...vote, groups: vote.groups.filter((group) => person.groups.includes(group)) }] : []
    })
  }

  async #end(
    tx: Transaction,
    approval: ApprovalWithVotes,
    state: Exclude<ApprovalState, 'pending'>,
    reason: string,
    before: readonly ControlPlaneEventBody[],
    after: readonly ControlPlaneEventBody[] = [],
  ): Promise<Outcome> {
    const at = new Date()
    await this.repository.decide(tx, approval.id, state, reason, at)
    const reviewers = votesOf(approval)
      .filter((vote) => (state === 'approved' ? vote.verdict === 'approve' : vote.verdict === 'reject'))
      .map((vote) => vote.user)
    await this.events.appendWithin(tx, [
      ...before,
      {
        kind: 'approval.decided',
        approval: approval.id,
        session: approval.sessionId,
        command: approval.command,
        digest: approval.digest,
        verdict: state,
        reviewers,
        reason,
      },
      ...after,
    ])
    return { approval: { ...approval, state, reason, decidedAt: at }, ended: true }
  }

  async #tell(outcome: Outcome): Promise<void> {
    if (outcome.ended) await this.outbox.decided(outcome.approval)
    if (outcome.ended || outcome.approval.state === 'pending') await this.outbox.changed(outcome.approval)
  }
}
