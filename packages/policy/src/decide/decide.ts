import type { ActionTree, Effect } from '../effect.js'
import type { Decision, Rule } from '../rule.js'
import { CompiledRules, type Explanation } from './compiled-rules.js'

/**
 * Prepares rules for one protocol. Do it once per grant version: deciding is then a few look-ups per effect.
 * @throws {RuleError} when a rule can't be enforced; the session must not start then
 */
export function compileRules(rules: readonly Rule[], tree: ActionTree): CompiledRules {
  return new CompiledRules(rules, tree)
}

export interface DecisionContext {
  /** The command, for `matching`. */
  readonly text: string
  readonly actions: ActionTree
}

/** {@link CompiledRules.decide} for one use (tests, simulation). */
export function decide(effects: readonly Effect[] | undefined, rules: readonly Rule[], context: DecisionContext): Decision {
  return compileRules(rules, context.actions).decide(effects, context.text)
}

/** {@link CompiledRules.explain} for one use: the decision, and verdict and rule per effect. */
export function explainDecision(effects: readonly Effect[] | undefined, rules: readonly Rule[], context: DecisionContext): Explanation {
  return compileRules(rules, context.actions).explain(effects, context.text)
}
