import { createHash } from 'node:crypto'
import type { Effect, HoldRequirement, RememberTerms } from '@sallyport/policy'

/** The requirements with everybody who is asked by now: those of rules that escalated ask further groups as well. */
export function requirementsNow(requirements: readonly HoldRequirement[], escalated: readonly string[]): HoldRequirement[] {
  return requirements.map((requirement) =>
    requirement.escalate && escalated.includes(requirement.rule) ? { ...requirement, groups: [...new Set([...requirement.groups, ...requirement.escalate.groups])] } : requirement,
  )
}

/** Rules that are to ask others by `now`. */
export function escalating(requirements: readonly HoldRequirement[], createdAt: Date, escalated: readonly string[], now: Date): HoldRequirement[] {
  return requirements.filter(({ rule, escalate }) => escalate && !escalated.includes(rule) && createdAt.getTime() + escalate.after_seconds * 1000 <= now.getTime())
}

/** When the next of them does; null: none. */
export function nextEscalation(requirements: readonly HoldRequirement[], createdAt: Date, escalated: readonly string[]): Date | null {
  const times = requirements.flatMap(({ rule, escalate }) => (escalate && !escalated.includes(rule) ? [createdAt.getTime() + escalate.after_seconds * 1000] : []))
  return times.length === 0 ? null : new Date(Math.min(...times))
}

/**
 * What an approval of all these requirements may stand for besides the command: what every one of them offers, so the
 * narrowest scope and the shortest time.
 */
export function rememberTerms(requirements: readonly HoldRequirement[]): RememberTerms | undefined {
  const offered = requirements.flatMap(({ remember }) => remember ?? [])
  if (offered.length === 0 || offered.length < requirements.length) return undefined
  return { scope: offered.some(({ scope }) => scope === 'command') ? 'command' : 'session', for_seconds: Math.min(...offered.map(({ for_seconds }) => for_seconds)) }
}

/** Whether some effect could be anything: nobody can say what an approval of such a command would stand for. */
export const isOpaque = (effects: readonly Effect[]): boolean => effects.length === 0 || effects.some(({ details }) => details?.['mustName'] === true)

/** Equal for holds by the same rules, as these stood in the session's grant. Hex. */
export function requirementsKey(requirements: readonly HoldRequirement[]): string {
  return sha256(JSON.stringify(requirements.map(canonical).sort()))
}

/** The name of the policy in `policy#index`. */
export const policyOf = (rule: string): string => rule.slice(0, rule.lastIndexOf('#'))

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** Written the same way whatever order the fields have: they come from an agent once, from the database's jsonb another time. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner,
  )
}
