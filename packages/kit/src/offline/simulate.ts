import {
  compileRules,
  groupsOfUser,
  resolvePolicies,
  type Document,
  type EffectDecision,
  type PolicyDocument,
  type PolicyIdentity,
  type PolicyTarget,
  type ResolvedPolicy,
  type Verdict,
} from '@sallyport/policy'
import type { OfflineAnalysis, ProtocolDescriptor } from '../descriptor.js'

export interface SimulatedDecision {
  readonly verdict: Verdict
  readonly rule: string
  readonly reason: string
  readonly hint: string
}

export interface SimulatedCommand {
  readonly text: string
  readonly effects: OfflineAnalysis['commands'][number]['effects']
  readonly decision: SimulatedDecision
  readonly perEffect: readonly EffectDecision[]
}

export interface Simulation extends SimulatedDecision {
  readonly commands: readonly SimulatedCommand[]
  readonly resolved: ResolvedPolicy | undefined
}

/** A workload or user by name, with its groups. Workloads first; a set where both exist isn't applied. */
export function identityNamed(name: string, documents: readonly Document[]): PolicyIdentity | undefined {
  const workload = documents.find((document) => document.kind === 'Workload' && document.name === name)
  if (workload?.kind === 'Workload') return { kind: 'workload', name, groups: [...workload.spec.groups].sort() }
  const user = documents.some((document) => document.kind === 'User' && document.name === name)
  return user ? { kind: 'user', name, groups: groupsOfUser(name, documents) } : undefined
}

export const policiesOf = (documents: readonly Document[]): PolicyDocument[] => documents.filter((document) => document.kind === 'Policy')

/**
 * What would be decided if this identity sent this text to this target, as far as it can be told without the target's
 * catalog. Fails closed like the guard: what can't be parsed is denied. The strictest command decides for all.
 * The descriptors must be loaded.
 */
export function simulate(
  documents: readonly Document[],
  identity: PolicyIdentity,
  target: PolicyTarget,
  text: string,
  descriptors: readonly ProtocolDescriptor[],
): Simulation {
  const descriptor = descriptors.find((candidate) => candidate.protocol === target.protocol)
  const resolved = descriptor && resolvePolicies(policiesOf(documents), identity, target, descriptor.actions)
  if (!descriptor || !resolved) {
    const reason = `no policy names ${identity.kind} ${identity.name} and target ${target.name}`
    return { ...denied('no-policy', reason, 'Add a Policy whose subjects and targets cover them.'), commands: [], resolved: undefined }
  }
  const analysis = descriptor.analyse(text)
  if (analysis.error !== undefined) return { ...denied('unparsable', analysis.error, 'Correct the command.'), commands: [], resolved }
  const rules = compileRules(resolved.rules, descriptor.actions)
  const commands = analysis.commands.map((command): SimulatedCommand => {
    const { decision, perEffect } = rules.explain(command.effects, command.text)
    const { verdict, rule, reason, hint } = decision
    return { text: command.text, effects: command.effects, decision: { verdict, rule, reason, hint }, perEffect }
  })
  const strictest = (['deny', 'hold', 'allow'] as const).flatMap((verdict) => commands.find((c) => c.decision.verdict === verdict) ?? [])[0]
  const decision = strictest?.decision ?? { verdict: 'allow' as const, rule: 'builtin:empty', reason: 'there is no command in this text', hint: '' }
  return { ...decision, commands, resolved }
}

function denied(rule: string, reason: string, hint: string): SimulatedDecision {
  return { verdict: 'deny', rule, reason, hint }
}
