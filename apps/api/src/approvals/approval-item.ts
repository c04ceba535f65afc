import { z } from 'zod'
import type { Session } from '../generated/prisma/client.js'
import { commandSchema, holdSchema, type ApprovalItem } from './approvals.dto.js'
import type { ApprovalWithVotes } from './approvals.repository.js'
import { ciContext } from './ci.js'
import type { CountedVote } from './reviewers.js'
import { visibleText } from './visible.js'

const stringsSchema = z.array(z.string()).catch([])

/** Claims of a session as strings; what is none is left out. */
export function claimsOf(session: Session): Record<string, string> {
  const claims = session.claims
  if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) return {}
  return Object.fromEntries(Object.entries(claims).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])))
}

export const requirementsOf = (approval: ApprovalWithVotes) => holdSchema.shape.requirements.parse(approval.requirements)

export const votesOf = (approval: ApprovalWithVotes): CountedVote[] =>
  approval.votes.map((vote) => ({ user: vote.user, verdict: vote.verdict, groups: stringsSchema.parse(vote.groups) }))

/** An approval as the API shows it: everything a reviewer must weigh. */
export function approvalItem(approval: ApprovalWithVotes, session: Session): ApprovalItem {
  const requirements = requirementsOf(approval)
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
    effects: commandSchema.shape.effects.parse(approval.effects).map(effectOf),
    ...(approval.facts === null ? {} : { facts: approval.facts }),
    digest: approval.digest,
    rules: requirements.map((requirement) => requirement.rule),
    requirements,
    votes: approval.votes.map((vote) => ({
      user: vote.user,
      verdict: vote.verdict,
      ...(vote.reason === null ? {} : { reason: vote.reason }),
      at: vote.createdAt.toISOString(),
    })),
  }
}

type ParsedEffect = z.infer<typeof commandSchema>['effects'][number]

/** A parsed effect without its absent optional fields. */
export function effectOf({ action, resource, implied, harmless, details }: ParsedEffect): ApprovalItem['effects'][number] {
  return { action, resource, ...(implied ? { implied } : {}), ...(harmless ? { harmless } : {}), ...(details ? { details } : {}) }
}
