import { ActionIndex } from '../action-tree.js'
import type { ActionTree, Effect } from '../effect.js'
import type { Decision, Rule, Verdict } from '../rule.js'
import { CompiledRule } from './compiled-rule.js'
import { resolve, ruleName, type Candidate, type Outcome } from './outcome.js'
import { summarize } from './summarize.js'

/** Cached look-ups per grant. Hostile object names only make it start over. */
const maxCached = 2048
/** Longer names are decided without the cache, so that it can't be made to hold megabytes. */
const maxCachedName = 256

interface CacheEntry {
  readonly candidates: readonly Candidate[]
  /** Set when no candidate has a condition: then it is the same for every command. */
  readonly outcome: Outcome | undefined
  /** The whole decision of a command that has this effect alone. */
  alone: Decision | undefined
}

export interface EffectDecision {
  readonly effect: Effect
  readonly verdict: Verdict
  /** `policy#index` or a built-in name. */
  readonly rule: string
}

export interface Explanation {
  readonly decision: Decision
  readonly perEffect: readonly EffectDecision[]
}

/**
 * The rules of one grant, compiled against one protocol's actions. `deny` beats `hold` beats `allow`; what nothing allows
 * is denied.
 *
 * - `implied` and `harmless` effects need no permission; deny and hold rules apply to them like to any other.
 * - A permission has to name what is marked `details.mustName` (opaque or unknown actions: exactly this action) or
 *   `details.sensitive` (its namespace literally). A restriction reaches these through wildcards, too.
 */
export class CompiledRules {
  readonly rules: readonly CompiledRule[]
  readonly #byAction = new Map<string, readonly Candidate[]>()
  readonly #cache = new Map<string, CacheEntry>()

  constructor(rules: readonly Rule[], tree: ActionTree) {
    const index = new ActionIndex(tree)
    this.rules = rules.map((rule) => new CompiledRule(rule, index))
  }

  /**
   * Decides one command.
   * @param effects all effects of the command. Empty means an empty statement, which is allowed; undefined (not analysed) is denied
   * @param text the command, for `matching`
   */
  decide(effects: readonly Effect[] | undefined, text: string): Decision {
    const only = effects?.[0]
    if (!effects || !only || effects.length > 1) return summarize(effects, this.#outcomes(effects, text), this.rules)
    const entry = this.#lookUp(only)
    if (entry.alone) return entry.alone
    const decision = summarize(effects, [entry.outcome ?? resolve(only, entry.candidates, text)], this.rules)
    if (entry.outcome) entry.alone = decision
    return decision
  }

  /** The decision, and what each effect came to by itself. */
  explain(effects: readonly Effect[] | undefined, text: string): Explanation {
    const outcomes = this.#outcomes(effects, text)
    const perEffect = (effects ?? []).map((effect, index): EffectDecision => {
      const outcome = outcomes[index]
      return { effect, verdict: outcome?.verdict ?? 'deny', rule: outcome ? ruleName(outcome.by) : 'default-deny' }
    })
    return { decision: summarize(effects, outcomes, this.rules), perEffect }
  }

  #outcomes(effects: readonly Effect[] | undefined, text: string): readonly Outcome[] {
    return (effects ?? []).map((effect) => {
      const entry = this.#lookUp(effect)
      return entry.outcome ?? resolve(effect, entry.candidates, text)
    })
  }

  #lookUp(effect: Effect): CacheEntry {
    const { action, resource, details } = effect
    const sensitive = details?.['sensitive'] === true
    const mustName = details?.['mustName'] === true
    const flags = (sensitive ? 1 : 0) | (mustName ? 2 : 0) | (effect.implied ? 4 : 0) | (effect.harmless ? 8 : 0)
    const cacheable = action.length + resource.length <= maxCachedName
    // Unambiguous whatever the resource holds: action names come from the protocol and have no NUL.
    const key = cacheable ? `${flags} ${action}\0${resource}` : ''
    const cached = cacheable ? this.#cache.get(key) : undefined
    if (cached) return cached
    const candidates: Candidate[] = []
    for (const { rule, permits } of this.#candidatesFor(action, mustName)) {
      const reach = rule.reachResource(resource, sensitive)
      if (reach) candidates.push({ rule, permits: permits && reach === 'strict' })
    }
    const conditional = candidates.some((candidate) => candidate.rule.conditional)
    const entry: CacheEntry = { candidates, outcome: conditional ? undefined : resolve(effect, candidates, ''), alone: undefined }
    if (cacheable) {
      if (this.#cache.size >= maxCached) this.#cache.clear()
      this.#cache.set(key, entry)
    }
    return entry
  }

  #candidatesFor(action: string, mustName: boolean): readonly Candidate[] {
    const key = `${mustName ? '!' : ''}${action}`
    const known = this.#byAction.get(key)
    if (known) return known
    const found: Candidate[] = []
    for (const rule of this.rules) {
      const reach = rule.reachAction(action)
      if (reach) found.push({ rule, permits: !mustName || reach === 'named' })
    }
    if (this.#byAction.size < maxCached) this.#byAction.set(key, found)
    return found
  }
}
