import type { Effect } from '../effect.js'
import type { CompiledRule } from './compiled-rule.js'
import { approversText, listed } from './wording.js'

/** What the hint of a denial is made from. */
export interface DenialContext {
  readonly effect: Effect
  readonly rules: readonly CompiledRule[]
  /** The deny rule that fired; undefined when nothing allowed the effect. */
  readonly by: CompiledRule | undefined
  /** Rules that reach the effect, but whose `when` or `matching` doesn't hold. */
  readonly unmet: readonly CompiledRule[]
}

/**
 * What an AI agent (or a person) should do after a denial: what is possible instead, who could approve, and that trying
 * again in other words is of no use. Built on denials only, so it may look at every rule.
 */
export function denialHint({ effect, rules, by, unmet }: DenialContext): string {
  const onObject = effect.resource === '' ? '' : ' on this object'
  const sentences = [...(by ? [] : nearMisses(effect, rules, unmet)), ...alternatives(effect, rules)]
  sentences.push('Do not retry it or rephrase it: the decision is on what the command does, not on its wording.')
  sentences.push(
    by
      ? `If the task needs it, ask the owner of policy ${by.rule.policy}.`
      : `If the task needs it, ask an administrator for a rule that allows ${effect.action}${onObject}.`,
  )
  return sentences.join(' ')
}

/** Where the same action is possible, or under which condition. */
function nearMisses(effect: Effect, rules: readonly CompiledRule[], unmet: readonly CompiledRule[]): string[] {
  const sentences = unmet.slice(0, 2).map((rule) => `Rule ${rule.id} ${rule.verdict}s it only ${conditionText(rule)}.`)
  if (sentences.length === 0) {
    const reaching = rules.filter((rule) => rule.rule.on.length > 0 && rule.reachAction(effect.action) !== undefined)
    const allowed = listed(reaching.filter((rule) => rule.verdict === 'allow').flatMap((rule) => rule.rule.on))
    if (allowed !== '') sentences.push(`${effect.action} is allowed on: ${allowed}.`)
    const holding = reaching.filter((rule) => rule.verdict === 'hold')
    if (holding.length > 0)
      sentences.push(
        `${effect.action} is possible with approval by ${whoApproves(holding)} on: ${listed(holding.flatMap((rule) => rule.rule.on))}.`,
      )
  }
  if (effect.details?.['sensitive'] === true || effect.details?.['mustName'] === true)
    sentences.push('Wildcards never permit this: a rule has to name it.')
  return sentences
}

/** What else is possible on the same object. */
function alternatives(effect: Effect, rules: readonly CompiledRule[]): string[] {
  if (effect.resource === '') return []
  const sensitive = effect.details?.['sensitive'] === true
  const here = rules.filter((rule) => rule.reachResource(effect.resource, sensitive) === 'strict')
  const denied = new Set(here.filter((rule) => rule.verdict === 'deny' && !rule.conditional).flatMap((rule) => rule.rule.actions))
  const actions = (of: readonly CompiledRule[]): string =>
    listed(of.flatMap((rule) => rule.actionsBeside(effect.action)).filter((name) => !denied.has(name)))

  const sentences: string[] = []
  const allowed = actions(here.filter((rule) => rule.verdict === 'allow'))
  if (allowed !== '') sentences.push(`On this object you may: ${allowed}.`)
  const holding = here.filter((rule) => rule.verdict === 'hold')
  const held = actions(holding)
  if (held !== '') sentences.push(`With approval by ${whoApproves(holding)}: ${held}.`)
  return sentences
}

function whoApproves(rules: readonly CompiledRule[]): string {
  return approversText(rules.flatMap((rule) => rule.requirement ?? []))
}

function conditionText(rule: CompiledRule): string {
  const facts = Object.entries(rule.rule.when ?? {}).map(([fact, value]) => `${fact} is ${String(value)}`)
  const parts = facts.length > 0 ? [`when ${facts.join(' and ')}`] : []
  if (rule.rule.argv !== undefined) parts.push(`for commands like ${listed(rule.rule.argv)}`)
  if (rule.rule.matching !== undefined) parts.push(`for commands that match ${JSON.stringify(rule.rule.matching)}`)
  return parts.join(' and ')
}
