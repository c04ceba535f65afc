import type { Command } from '@sallyport/kit'
import type { HoldRequirement, RememberTerms } from '@sallyport/policy'
import { Injectable, Logger } from '@nestjs/common'
import { DirectoryService } from '../access/directory.service.js'
import type { Principal } from '../access/principal.js'
import type { Transaction } from '../audit/audit.repository.js'
import type { ControlPlaneEventBody } from '../audit/events.js'
import { EventsService } from '../audit/events.service.js'
import { DocumentsService } from '../documents/documents.service.js'
import type { RememberedApproval, Session } from '../generated/prisma/client.js'
import { forbidden, notFound } from '../problem/problem.js'
import { askedOf, effectsOf, rememberedItem, requesterOf, requirementsOf, votesOf } from './approval-item.js'
import type { ApprovalWithVotes } from './approvals.repository.js'
import { concerns, mayAct, overseesAll } from './oversight.js'
import { RememberedRepository, type RememberedWithApproval } from './remembered.repository.js'
import { canonical, isOpaque, policyOf, rememberTerms, requirementsKey, sha256 } from './requirements.js'
import { isSatisfied, isSelf, type CountedVote } from './reviewers.js'

const swept = 500
const listed = 100

/** What may cover a command, and what is to be told of those that no longer do. */
export interface Covering {
  readonly by?: { readonly remembered: RememberedApproval; readonly reviewers: readonly string[] }
  readonly events: readonly ControlPlaneEventBody[]
}

/**
 * Approvals that stand for what comes next. Whether one still does is asked anew at every use: the documents behind it, who
 * approved it, and who asks now. Agents know nothing of it: they get a decision for each command.
 */
@Injectable()
export class RememberedService {
  readonly #log = new Logger(RememberedService.name)

  constructor(
    private readonly repository: RememberedRepository,
    private readonly directory: DirectoryService,
    private readonly documents: DocumentsService,
    private readonly events: EventsService,
  ) {
    documents.onApplied(() => this.sweep())
    events.onSessionEnded(async (session) => {
      for (const row of await this.repository.active(new Date(), swept, session)) await this.#end(row.approvalId, 'sallyport:approvals', 'the session ended')
    })
  }

  /** What an approval may stand for, as its rules stand in the documents now; undefined when they offer nothing for this command. */
  async offered(approval: ApprovalWithVotes): Promise<RememberTerms | undefined> {
    const requirements = requirementsOf(approval)
    const terms = rememberTerms(requirements)
    if (!terms || isOpaque(effectsOf(approval))) return undefined
    return (await this.#areInForce(requirements)) ? terms : undefined
  }

  /** Remembers an approval when those who want that would have been enough to give it. Returns what is to be told. */
  async keep(tx: Transaction, approval: ApprovalWithVotes, session: Session, votes: readonly CountedVote[], at: Date): Promise<ControlPlaneEventBody[]> {
    const willing = votes.filter(wantsMemory)
    const terms = willing.length === 0 ? undefined : await this.offered(approval)
    if (!terms || !isSatisfied(askedOf(approval), willing)) return []
    const seconds = Math.min(terms.for_seconds, ...willing.flatMap(({ rememberSeconds }) => rememberSeconds ?? []))
    const until = at.getTime() + seconds * 1000
    const expiresAt = new Date(terms.scope === 'session' ? Math.min(until, session.expiresAt.getTime()) : until)
    const { identityKind, identity, target } = session
    const keys = { requirementsKey: requirementsKey(requirementsOf(approval)), commandKey: commandKey(commandOf(approval), session), documentsKey: await this.#documentsKey(session, requirementsOf(approval)) }
    await this.repository.create(tx, { approvalId: approval.id, scope: terms.scope, sessionId: session.id, identityKind, identity, target, ...keys, createdAt: at, expiresAt })
    const reviewers = willing.map(({ user }) => user)
    return [
      { kind: 'approval.remembered', approval: approval.id, session: session.id, command: approval.command, scope: terms.scope, reviewers, expires_at: expiresAt.toISOString() },
    ]
  }

  /** Whether an earlier approval covers a command that is about to be held. */
  async covering(tx: Transaction, session: Session, command: Command, requirements: readonly HoldRequirement[]): Promise<Covering> {
    if (isOpaque(command.effects) || !rememberTerms(requirements)) return { events: [] }
    const now = new Date()
    const events: ControlPlaneEventBody[] = []
    const keys = { requirements: requirementsKey(requirements), command: commandKey(command, session) }
    for (const remembered of await this.repository.candidates(tx, session, keys, now)) {
      const lapsed = await this.#whyLapsed(tx, remembered, session)
      if (lapsed !== undefined) {
        const ended = await this.repository.end(tx, remembered.approvalId, 'sallyport:approvals', lapsed, now)
        if (ended) events.push(forgotten(ended))
        continue
      }
      const votes = await this.#standing(remembered, session)
      if (!isSatisfied(askedOf(remembered.approval), votes)) continue
      await this.repository.used(tx, remembered.approvalId, now)
      return { by: { remembered, reviewers: votes.map(({ user }) => user) }, events }
    }
    return { events }
  }

  /** Ends what no longer counts, so that people don't see it listed as if it did. */
  async sweep(): Promise<void> {
    try {
      for (const row of await this.repository.active(new Date(), swept)) {
        const lapsed = await this.repository.transaction((tx) => this.#whyLapsed(tx, row, row))
        if (lapsed !== undefined) await this.#end(row.approvalId, 'sallyport:approvals', lapsed)
      }
    } catch (error) {
      // At its next use it is asked again: nothing rests on this.
      this.#log.warn({ message: 'remembered approvals could not be swept', error: error instanceof Error ? error.name : '' })
    }
  }

  /** The newest first. */
  async list(query: { readonly active: boolean; readonly cursor?: string | undefined; readonly limit?: number | undefined }, user: Principal) {
    const limit = query.limit ?? listed
    const now = new Date()
    const rows = await this.repository.list({ active: query.active, before: query.cursor, limit: limit + 1, visibleTo: overseesAll(user) ? undefined : user }, now)
    const items = rows.slice(0, limit).map((row) => rememberedItem(row, now))
    const last = items.at(-1)
    return rows.length > limit && last ? { items, next: last.approval } : { items }
  }

  /**
   * Ends one: whoever may see it may, except auditors, who change nothing.
   * @throws {Problem} 404; 403 for an auditor
   */
  async revoke(id: string, user: Principal): Promise<void> {
    const row = await this.repository.find(id)
    if (!row || (!concerns(row.approval, row, user) && !overseesAll(user))) throw notFound('such remembered approval')
    if (!mayAct(row.approval, row, user)) throw forbidden('FORBIDDEN', 'An auditor changes nothing.')
    await this.#end(id, user.user, 'revoked')
  }

  async #end(id: string, by: string, reason: string): Promise<void> {
    await this.repository.transaction(async (tx) => {
      const ended = await this.repository.end(tx, id, by, reason, new Date())
      if (ended) await this.events.appendWithin(tx, [forgotten(ended)])
    })
  }

  /** Why it can't count for anybody any more. */
  async #whyLapsed(tx: Transaction, remembered: RememberedWithApproval, of: { readonly identityKind: string; readonly identity: string; readonly target: string }): Promise<string | undefined> {
    const requirements = requirementsOf(remembered.approval)
    if ((await this.#documentsKey(of, requirements)) !== remembered.documentsKey) return 'the policy, the target or the identity changed'
    if (!isSatisfied(askedOf(remembered.approval), await this.#standing(remembered))) return 'somebody who approved it could not approve it any more'
    return (await this.repository.isCredentialRevoked(tx, remembered.sessionId)) ? 'the credential was revoked' : undefined
  }

  /**
   * Votes on which it still rests.
   * @param asking whose command it is to cover: nobody's own vote lets their own run through, though it was given to another's
   */
  async #standing(remembered: RememberedWithApproval, asking?: Session): Promise<CountedVote[]> {
    const votes = votesOf(remembered.approval).filter(wantsMemory)
    const people = await Promise.all(votes.map((vote) => this.directory.find(vote.user)))
    return votes.flatMap((vote, i) => {
      const person = people[i]
      if (!person || person.disabled || (asking && isSelf(person, requesterOf(asking)))) return []
      return [{ ...vote, groups: vote.groups.filter((group) => person.groups.includes(group)) }]
    })
  }

  /** Whether the documents say now what the session's grant says: that an agent asks for it isn't enough. */
  async #areInForce(requirements: readonly HoldRequirement[]): Promise<boolean> {
    for (const requirement of requirements) {
      const policy = await this.documents.get('Policy', policyOf(requirement.rule))
      const rule = policy?.spec.rules[Number(requirement.rule.slice(requirement.rule.lastIndexOf('#') + 1))]
      if (rule?.verdict !== 'hold' || canonical({ ...rule.approvers, rule: requirement.rule }) !== canonical(requirement)) return false
    }
    return true
  }

  async #documentsKey(of: { readonly identityKind: string; readonly identity: string; readonly target: string }, requirements: readonly HoldRequirement[]): Promise<string> {
    const policies = [...new Set(requirements.map(({ rule }) => policyOf(rule)))].sort()
    const texts = [
      ...(await Promise.all(policies.map(async (name) => (await this.documents.get('Policy', name))?.text ?? null))),
      (await this.documents.get('Target', of.target))?.text ?? null,
      (of.identityKind === 'user' ? await this.documents.get('User', of.identity) : await this.documents.get('Workload', of.identity))?.text ?? null,
    ]
    return sha256(JSON.stringify(texts))
  }
}

const wantsMemory = (vote: CountedVote): boolean => vote.verdict === 'approve' && (vote.rememberSeconds ?? 0) > 0

/** What a command must be to be the same: text, parameters and facts of the protocol, what they come to, target and identity. */
function commandKey(command: Command, { target, identityKind, identity }: Pick<Session, 'target' | 'identityKind' | 'identity'>): string {
  const { text, parameters, facts, effects } = command
  return sha256(canonical([text, parameters ?? null, facts ?? {}, effects, target, identityKind, identity]))
}

function commandOf(approval: ApprovalWithVotes): Command {
  const parameters = Array.isArray(approval.parameters) ? approval.parameters.map((value) => (typeof value === 'string' ? value : null)) : undefined
  const facts: Command['facts'] = approval.facts === null ? undefined : JSON.parse(JSON.stringify(approval.facts))
  return { text: approval.text, effects: effectsOf(approval), ...(parameters ? { parameters } : {}), ...(facts ? { facts } : {}) }
}

function forgotten({ approvalId, endedBy, endReason, uses }: RememberedApproval): ControlPlaneEventBody {
  return { kind: 'approval.forgotten', approval: approvalId, by: endedBy ?? '', reason: endReason ?? '', uses }
}
