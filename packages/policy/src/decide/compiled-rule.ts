import { RE2JS } from 're2js'
import type { ActionIndex, ActionReach } from '../action-tree.js'
import { ArgvPattern, argvOf } from '../argv.js'
import type { Effect } from '../effect.js'
import { PatternError, ResourcePattern, type ResourceReach } from '../resource.js'
import type { HoldRequirement, Rule, Verdict } from '../rule.js'
import { factsHold, type Facts } from './conditions.js'

/** A rule that can't be enforced as it stands: the session must not start with it. */
export class RuleError extends Error {
  override readonly name = 'RuleError'
}

/** One rule, ready to be asked. */
export class CompiledRule {
  /** `policy#index`. */
  readonly id: string
  readonly verdict: Verdict
  readonly requirement: HoldRequirement | undefined
  readonly conditional: boolean
  readonly #facts: Facts | undefined
  readonly #argv: readonly ArgvPattern[] | undefined
  readonly #actions: readonly string[]
  readonly #patterns: readonly ResourcePattern[]
  readonly #matching: RE2JS | undefined

  /**
   * @throws {RuleError} for a pattern that doesn't compile, and for a restriction on an action of this protocol's family
   * that this version doesn't know: it could not be enforced. Actions of other families are another protocol's business.
   */
  constructor(
    readonly rule: Rule,
    private readonly index: ActionIndex,
  ) {
    this.id = `${rule.policy}#${rule.index}`
    this.verdict = rule.verdict
    for (const action of rule.actions) {
      if (rule.verdict !== 'allow' && !index.has(action) && index.hasRoot(action)) {
        throw new RuleError(`rule ${this.id} restricts the unknown action ${action}`)
      }
    }
    this.#actions = rule.actions
    try {
      this.#patterns = rule.on.map((pattern) => new ResourcePattern(pattern))
      this.#argv = rule.argv?.map((pattern) => new ArgvPattern(pattern))
    } catch (error) {
      throw error instanceof PatternError ? new RuleError(`rule ${this.id}: ${error.message}`) : error
    }
    this.#matching = rule.matching === undefined ? undefined : compileMatching(rule.matching, this.id)
    this.#facts = rule.when
    this.conditional = this.#matching !== undefined || this.#facts !== undefined || this.#argv !== undefined
    this.requirement = rule.verdict === 'hold' ? { rule: this.id, groups: [], quorum: 1, ...rule.approvers } : undefined
  }

  reachAction(action: string): ActionReach {
    let best: ActionReach
    for (const name of this.#actions) {
      const reach = this.index.reach(name, action)
      if (reach === 'named') return reach
      best ??= reach
    }
    return best
  }

  /** Those of the rule's action names that don't reach this action. */
  actionsBeside(action: string): readonly string[] {
    return this.#actions.filter((name) => this.index.reach(name, action) === undefined)
  }

  reachResource(resource: string, sensitive: boolean): ResourceReach {
    if (this.#patterns.length === 0) return sensitive ? 'loose' : 'strict'
    let best: ResourceReach
    for (const pattern of this.#patterns) {
      const reach = pattern.reach(resource, sensitive)
      if (reach === 'strict') return reach
      best ??= reach
    }
    return best
  }

  /**
   * Whether the effect has what `when` and `argv` ask for. In doubt (an entry of a list, a word that isn't known) a
   * restriction holds and a permission doesn't.
   */
  conditionsHold(details: Effect['details'], permission: boolean): boolean {
    if (this.#facts !== undefined && !factsHold(this.#facts, details, permission)) return false
    if (this.#argv === undefined) return true
    const words = argvOf(details)
    if (words === undefined) return !permission
    return this.#argv.some((pattern) => pattern.matches(words.argv, words.unknown, permission))
  }

  matchesText(text: string): boolean {
    return this.#matching?.test(text) ?? true
  }
}

/** User patterns go through RE2 only: a native RegExp can be made to run for hours by its text. */
function compileMatching(pattern: string, id: string): RE2JS {
  try {
    return RE2JS.compile(pattern)
  } catch {
    throw new RuleError(`rule ${id}: "matching" is not an RE2 pattern`)
  }
}
