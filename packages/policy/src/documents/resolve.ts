import { ActionIndex } from '../action-tree.js'
import type { ActionTree } from '../effect.js'
import { Glob } from '../glob.js'
import { defaultLimits } from '../limits.js'
import { auditModes, type AuditMode, type Mask, type Rule, type SessionTerms } from '../rule.js'
import type { PolicyDocument } from './kinds.js'
import type { PolicySession } from './policy.js'

export interface PolicyIdentity {
  readonly kind: 'workload' | 'user'
  readonly name: string
  readonly groups: readonly string[]
}

export interface PolicyTarget {
  readonly name: string
  readonly protocol: string
  readonly labels: Readonly<Record<string, string>>
}

/** What the policies that match one identity and one target add up to. */
export interface ResolvedPolicy {
  readonly rules: readonly Rule[]
  readonly masks: readonly Mask[]
  readonly terms: SessionTerms
}

/**
 * Everything that the policies say about one identity on one target; undefined when none names both: no session then.
 *
 * Rules and masks of all of them hold together. Of the session's terms the tightest holds: the smallest ttl, idle,
 * recordResults and recordTerminal that any of them states, strict audit if any asks for it and best_effort only if all of
 * them do, typed input only if none that speaks of it forbids to record it; what none states is the default.
 * @param actions the target protocol's actions. With it, actions of other protocols are left out of the rules, and a rule
 *   left with none is left out itself
 */
export function resolvePolicies(
  policies: readonly PolicyDocument[],
  identity: PolicyIdentity,
  target: PolicyTarget,
  actions?: ActionTree,
): ResolvedPolicy | undefined {
  const matching = policies
    .filter((policy) => namesIdentity(policy, identity) && selectsTarget(policy, target))
    // The same order on every control plane, so that equal policies make equal grants.
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
  if (matching.length === 0) return undefined
  const index = actions && new ActionIndex(actions)
  const rules: Rule[] = []
  for (const { name, spec } of matching) {
    spec.rules.forEach((rule, position) => {
      const names = index ? rule.actions.filter((action) => index.has(action)) : rule.actions
      if (names.length > 0) rules.push({ ...rule, actions: names, policy: name, index: position })
    })
  }
  const masks = matching.flatMap(({ name, spec }) => spec.mask.map((mask, position): Mask => ({ ...mask, policy: name, index: position })))
  return { rules, masks, terms: tightest(matching.map((policy) => policy.spec.session)) }
}

/** Whether a policy is about this identity. */
export function namesIdentity(policy: PolicyDocument, identity: PolicyIdentity): boolean {
  return policy.spec.subjects.some((subject) =>
    subject.kind === 'group' ? identity.groups.includes(subject.name) : subject.kind === identity.kind && subject.name === identity.name,
  )
}

/** Whether a policy is about this target: name, labels and protocol must all fit. */
export function selectsTarget(policy: PolicyDocument, target: PolicyTarget): boolean {
  const { names, labels, protocol } = policy.spec.targets
  if (protocol !== undefined && protocol !== target.protocol) return false
  if (!names.some((name) => new Glob(name).test(target.name))) return false
  return Object.entries(labels).every(([label, value]) => Object.hasOwn(target.labels, label) && target.labels[label] === value)
}

function tightest(sessions: readonly PolicySession[]): SessionTerms {
  const least = (key: 'ttl_seconds' | 'idle_seconds' | 'record_result_bytes' | 'record_terminal_bytes'): number => {
    const stated = sessions.flatMap((session) => session[key] ?? [])
    return stated.length === 0 ? defaultLimits[key] : Math.min(...stated)
  }
  const input = sessions.flatMap((session) => session.record_input ?? [])
  const parameters = sessions.flatMap((session) => session.record_parameters ?? [])
  const statements = sessions.flatMap((session) => session.record_statements ?? [])
  return {
    ttl_seconds: least('ttl_seconds'),
    idle_seconds: least('idle_seconds'),
    audit: strictest(sessions.map(({ audit }) => audit ?? defaultLimits.audit)),
    record_result_bytes: least('record_result_bytes'),
    record_terminal_bytes: least('record_terminal_bytes'),
    record_input: input.length === 0 ? defaultLimits.record_input : input.every(Boolean),
    record_parameters: parameters.every(Boolean),
    ...(statements.length === 0 ? {} : { record_statements: statements.includes('digest') ? ('digest' as const) : ('normalised' as const) }),
  }
}

/** A policy that says nothing asks for the default: no other one may take that away from the commands that it allows. */
function strictest(modes: readonly AuditMode[]): AuditMode {
  return auditModes[Math.max(...modes.map((mode) => auditModes.indexOf(mode)))] ?? 'strict'
}
