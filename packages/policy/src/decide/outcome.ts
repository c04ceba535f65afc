import type { Effect } from '../effect.js'
import type { Verdict } from '../rule.js'
import type { CompiledRule } from './compiled-rule.js'

/** How one effect came out. */
export interface Outcome {
  readonly verdict: Verdict
  /** The rule that decided, or the built-in reason. */
  readonly by: CompiledRule | Builtin
  /** Every hold rule that fired. */
  readonly holds: readonly CompiledRule[]
  /** Rules that reach the effect, but whose condition doesn't hold. */
  readonly unmet: readonly CompiledRule[]
  /** Every rule that permits the effect. */
  readonly permitting: readonly CompiledRule[]
}

export type Builtin = 'builtin:harmless' | 'builtin:implied' | 'default-deny'

/** A rule that reaches an effect. `permits` is false when a wildcard met something that must be named: then it only restricts. */
export interface Candidate {
  readonly rule: CompiledRule
  readonly permits: boolean
}

export function ruleName(by: CompiledRule | Builtin): string {
  return typeof by === 'string' ? by : by.id
}

/** One effect against the rules that reach it: deny beats hold beats allow, and what nothing permits is denied. */
export function resolve(effect: Effect, candidates: readonly Candidate[], text: string): Outcome {
  const holds: CompiledRule[] = []
  const unmet: CompiledRule[] = []
  const permitting: CompiledRule[] = []
  let deny: CompiledRule | undefined
  let allow: CompiledRule | undefined
  let held = false
  for (const { rule, permits } of candidates) {
    if (rule.conditional && !rule.matchesText(text)) {
      if (rule.verdict !== 'deny') unmet.push(rule)
      continue
    }
    // As a restriction the rule fires on any entry of a list fact, as a permission only if all of them fit.
    const restricts = !rule.conditional || rule.conditionsHold(effect.details, false)
    const allowsIt = permits && (!rule.conditional || rule.conditionsHold(effect.details, true))
    if (allowsIt && rule.verdict !== 'deny') permitting.push(rule)
    if (rule.verdict === 'deny') {
      if (restricts) deny ??= rule
    } else if (rule.verdict === 'hold') {
      if (restricts) holds.push(rule)
      if (allowsIt) held = true
      if (!restricts) unmet.push(rule)
    } else if (allowsIt) allow ??= rule
    else if (permits) unmet.push(rule)
  }
  if (deny) return { verdict: 'deny', by: deny, holds: [], unmet: [], permitting: [] }
  const exempt: Builtin | undefined = effect.harmless ? 'builtin:harmless' : effect.implied ? 'builtin:implied' : undefined
  if (!allow && !held && !exempt) return { verdict: 'deny', by: 'default-deny', holds: [], unmet, permitting: [] }
  const first = holds[0]
  if (first) return { verdict: 'hold', by: first, holds, unmet: [], permitting }
  return { verdict: 'allow', by: allow ?? exempt ?? 'default-deny', holds: [], unmet: [], permitting }
}
