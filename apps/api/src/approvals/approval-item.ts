import { z } from 'zod'
import type { HoldRequirement, RememberScope, RememberTerms } from '@sallyport/policy'
import type { RememberedApproval, Session } from '../generated/prisma/client.js'
import { commandSchema, holdSchema, type ApprovalItem } from './approvals.dto.js'
import type { ApprovalWithVotes } from './approvals.repository.js'
import { ciContext } from './ci.js'
import type { RememberedWithApproval } from './remembered.repository.js'
import { requirementsNow } from './requirements.js'
import type { CountedVote, Requester } from './reviewers.js'
import { visibleText } from './visible.js'

const stringsSchema = z.array(z.string()).catch([])

/** Claims of a session as strings; what is none is left out. */
export function claimsOf(session: Session): Record<string, string> {
  const claims = session.claims
  if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) return {}
  return Object.fromEntries(Object.entries(claims).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])))
}

export const requirementsOf = (approval: ApprovalWithVotes): HoldRequirement[] => holdSchema.shape.requirements.parse(approval.requirements)

export const escalatedOf = (approval: ApprovalWithVotes): string[] => stringsSchema.parse(approval.escalated)

/** Who is asked by now. */
export const askedOf = (approval: ApprovalWithVotes): HoldRequirement[] => requirementsNow(requirementsOf(approval), escalatedOf(approval))

export const effectsOf = (approval: ApprovalWithVotes) => commandSchema.shape.effects.parse(approval.effects).map(effectOf)

/** Whose command it is, for the rule that nobody decides on their own. */
export const requesterOf = (session: Session): Requester => ({ identityKind: session.identityKind, identity: session.identity, actor: session.actor, claims: claimsOf(session) })

export const votesOf = (approval: ApprovalWithVotes): CountedVote[] =>
  approval.votes.map((vote) => ({
    user: vote.user,
    verdict: vote.verdict,
    groups: stringsSchema.parse(vote.groups),
    ...(vote.rememberSeconds === null ? {} : { rememberSeconds: vote.rememberSeconds }),
  }))

/**
 * An approval as the API shows it: everything a reviewer must weigh.
 * @param offered what it may stand for, while it waits
 */
export function approvalItem(approval: ApprovalWithVotes, session: Session, offered?: RememberTerms): ApprovalItem {
  const requirements = requirementsOf(approval)
  const besides = approval.askedGroups.filter((group) => !requirements.some(({ groups }) => groups.includes(group)))
  const parameters = commandSchema.shape.parameters.parse(approval.parameters ?? undefined)
  const claims = claimsOf(session)
  const ci = ciContext(claims, session.actor)
  return {
    id: approval.id,
    state: approval.state,
    created_at: approval.createdAt.toISOString(),
    expires_at: approval.expiresAt.toISOString(),
    ...(approval.decidedAt ? { decided_at: approval.decidedAt.toISOString() } : {}),
    ...(approval.reason === null ? {} : { reason: approval.reason }),
    session_id: approval.sessionId,
    command_id: approval.command,
    identity: { kind: session.identityKind, name: session.identity, groups: session.groups, claims },
    ...(ci ? { ci } : {}),
    target: session.target,
    text: approval.text,
    text_visible: visibleText(approval.text),
    ...(parameters ? { parameters, parameters_visible: parameters.map((p) => (p === null ? null : visibleText(p))) } : {}),
    effects: effectsOf(approval),
    ...(approval.facts === null ? {} : { facts: approval.facts }),
    digest: approval.digest,
    rules: requirements.map((requirement) => requirement.rule),
    requirements,
    votes: approval.votes.map((vote) => ({
      user: vote.user,
      verdict: vote.verdict,
      ...(vote.reason === null ? {} : { reason: vote.reason }),
      ...(vote.rememberSeconds === null ? {} : { remember_seconds: vote.rememberSeconds }),
      at: vote.createdAt.toISOString(),
    })),
    ...(besides.length === 0 ? {} : { escalated_groups: besides }),
    ...(approval.escalateAt === null || approval.state !== 'pending' ? {} : { escalates_at: approval.escalateAt.toISOString() }),
    ...(offered && approval.state === 'pending' ? { remember: offered } : {}),
    ...(approval.remembered ? { remembered: standsFor(approval.remembered) } : {}),
    ...(approval.restsOn === null ? {} : { rests_on: approval.restsOn }),
  }
}

function standsFor({ scope, expiresAt, uses, endedAt }: RememberedApproval): NonNullable<ApprovalItem['remembered']> {
  return { scope: scopeOf(scope), expires_at: expiresAt.toISOString(), uses, ...(endedAt ? { ended_at: endedAt.toISOString() } : {}) }
}

const scopeOf = (text: string): RememberScope => (text === 'session' ? 'session' : 'command')

/** A remembered approval in a list. */
export function rememberedItem(row: RememberedWithApproval, now: Date) {
  const { approval, endedAt, endedBy, endReason, usedAt } = row
  return {
    approval: row.approvalId,
    scope: scopeOf(row.scope),
    session_id: row.sessionId,
    identity: { kind: row.identityKind === 'user' ? ('user' as const) : ('workload' as const), name: row.identity },
    target: row.target,
    text_visible: visibleText(approval.text),
    rules: requirementsOf(approval).map(({ rule }) => rule),
    reviewers: votesOf(approval).flatMap(({ user, rememberSeconds }) => (rememberSeconds === undefined ? [] : [user])),
    created_at: row.createdAt.toISOString(),
    expires_at: row.expiresAt.toISOString(),
    state: endedAt ? ('ended' as const) : row.expiresAt <= now ? ('expired' as const) : ('active' as const),
    ...(endedAt ? { ended_at: endedAt.toISOString() } : {}),
    ...(endedBy === null ? {} : { ended_by: endedBy }),
    ...(endReason === null ? {} : { end_reason: endReason }),
    uses: row.uses,
    ...(usedAt ? { used_at: usedAt.toISOString() } : {}),
  }
}

type ParsedEffect = z.infer<typeof commandSchema>['effects'][number]

/** A parsed effect without its absent optional fields. */
export function effectOf({ action, resource, implied, harmless, details }: ParsedEffect): ApprovalItem['effects'][number] {
  return { action, resource, ...(implied ? { implied } : {}), ...(harmless ? { harmless } : {}), ...(details ? { details } : {}) }
}
