import type { Principal } from '../access/principal.js'
import type { ApprovalWithVotes } from './approvals.repository.js'

/** Roles that see every approval. */
export function overseesAll(user: Principal): boolean {
  return user.roles.some((role) => role === 'admin' || role === 'auditor' || role === 'operator')
}

/** Whether an approval is the user's business: asked, asking, or one who voted (also after leaving the group). */
export function concerns(approval: ApprovalWithVotes, asking: { readonly identityKind: string; readonly identity: string }, user: Principal): boolean {
  const own = asking.identityKind === 'user' && asking.identity === user.user
  return own || approval.askedGroups.some((group) => user.groups.includes(group)) || approval.votes.some((vote) => vote.user === user.user)
}

/** Who may change something about an approval: whose business it is, and who runs the place. An auditor only looks. */
export function mayAct(approval: ApprovalWithVotes, asking: { readonly identityKind: string; readonly identity: string }, user: Principal): boolean {
  return concerns(approval, asking, user) || user.roles.some((role) => role === 'admin' || role === 'operator')
}
