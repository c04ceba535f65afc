import type { HoldRequirement } from '@sallyport/policy'

/** What is needed of a person to judge whether they may vote. */
export interface Reviewer {
  readonly name: string
  readonly email?: string
  readonly groups: readonly string[]
  readonly aliases: Readonly<Record<string, string>>
  readonly disabled: boolean
}

/** What is needed of the session that asks. */
export interface Requester {
  readonly identityKind: string
  readonly identity: string
  readonly actor: string | null
  readonly claims: Readonly<Record<string, string>>
}

export interface CountedVote {
  readonly user: string
  readonly verdict: string
  readonly groups: readonly string[]
  /** The approval may stand for what comes next, for so long. */
  readonly rememberSeconds?: number
}

/** Claims that name the person behind a run: GitHub, GitLab, and OIDC's own. */
const personClaims = ['actor', 'actor_id', 'user_login', 'user_email', 'user_id', 'email', 'preferred_username'] as const

/** Equal names must compare equal however they are written: compatibility forms, case, and characters that show nothing. */
function canonical(name: string): string {
  return name.normalize('NFKC').toLowerCase().normalize('NFKC').replaceAll(/[\p{Default_Ignorable_Code_Point}\s]/gu, '')
}

/** True when the reviewer is the person who asks: the session's own user, or the one behind the workload's run. */
export function isSelf(reviewer: Reviewer, requester: Requester): boolean {
  const asking = new Set<string>()
  const add = (name: string | null | undefined): void => {
    if (name !== null && name !== undefined && canonical(name) !== '') asking.add(canonical(name))
  }
  if (requester.identityKind === 'user') add(requester.identity)
  add(requester.actor)
  for (const claim of personClaims) add(Object.hasOwn(requester.claims, claim) ? requester.claims[claim] : undefined)
  return [reviewer.name, reviewer.email ?? '', ...Object.values(reviewer.aliases)].some((name) => asking.has(canonical(name)))
}

/** Groups of the reviewer that some requirement asks for. */
export function countingGroups(reviewer: Reviewer, requirements: readonly HoldRequirement[]): string[] {
  const asked = new Set(requirements.flatMap((requirement) => requirement.groups))
  return reviewer.groups.filter((group) => asked.has(group))
}

/**
 * True when every requirement has its quorum of distinct approvers. A person counts for several requirements only by being
 * in a group of each, and for one alone when any of them asks for separate people.
 * @param votes votes of people who may still vote
 */
export function isSatisfied(requirements: readonly HoldRequirement[], votes: readonly CountedVote[]): boolean {
  // A hold without requirements asks for nobody: nobody can grant it.
  if (requirements.length === 0) return false
  const people = requirements.map(({ groups }) => new Set(votes.filter((vote) => vote.verdict === 'approve' && vote.groups.some((group) => groups.includes(group))).map((vote) => vote.user)))
  if (!requirements.every(({ quorum }, i) => (people[i]?.size ?? 0) >= quorum)) return false
  return !requirements.some(({ separate }) => separate) || hasOwnPeople(requirements, people)
}

/** Whether every requirement can have people of its own: an assignment, found along augmenting paths (Kuhn 1955). */
function hasOwnPeople(requirements: readonly HoldRequirement[], people: readonly ReadonlySet<string>[]): boolean {
  const places = requirements.flatMap(({ quorum }, of) => Array.from({ length: quorum }, () => of))
  const takenBy = new Map<string, number>()
  const assign = (place: number, tried: Set<string>): boolean => {
    for (const person of people[places[place] ?? -1] ?? []) {
      if (tried.has(person)) continue
      tried.add(person)
      const other = takenBy.get(person)
      if (other !== undefined && !assign(other, tried)) continue
      takenBy.set(person, place)
      return true
    }
    return false
  }
  return places.every((_, place) => assign(place, new Set()))
}
