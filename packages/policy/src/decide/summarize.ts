import type { Effect } from '../effect.js'
import { defaultLimits } from '../limits.js'
import type { Decision, HoldRequirement } from '../rule.js'
import type { CompiledRule } from './compiled-rule.js'
import { ruleName, type Outcome } from './outcome.js'
import { denialHint } from './hints.js'
import { approversText, because, describeEffect, durationText } from './wording.js'

/**
 * One decision for a command from what its effects came to. An explicit deny is reported before a missing permission:
 * its reason says more.
 */
export function summarize(effects: readonly Effect[] | undefined, outcomes: readonly Outcome[], rules: readonly CompiledRule[]): Decision {
  if (!effects)
    return refused(
      'default-deny',
      'the command could not be analysed, so nothing allows it',
      'Do not retry it. Send a command that can be parsed and resolved.',
    )
  if (effects.length === 0) return { verdict: 'allow', rule: 'builtin:empty', reason: 'the command is empty', hint: '' }

  const denied =
    pick(outcomes, (outcome) => outcome.verdict === 'deny' && typeof outcome.by !== 'string') ??
    pick(outcomes, (outcome) => outcome.verdict === 'deny')
  if (denied !== undefined) return denial(effects, outcomes, denied, rules)

  // Implied effects ride on another effect of the same command. Alone they mean that the analysis lost that one: fail closed.
  if (effects.every((effect) => effect.implied)) {
    return {
      ...refused(
        'default-deny',
        'the command has only implied effects, so nothing allows it',
        'Do not retry it. Report this to an administrator.',
      ),
      effect: 0,
    }
  }

  const held = pick(outcomes, (outcome) => outcome.verdict === 'hold')
  return held === undefined ? allowance(effects, outcomes) : holding(effects, outcomes, held)
}

function refused(rule: string, reason: string, hint: string): Decision {
  return { verdict: 'deny', rule, reason, hint }
}

function pick(outcomes: readonly Outcome[], test: (outcome: Outcome) => boolean): number | undefined {
  const index = outcomes.findIndex(test)
  return index < 0 ? undefined : index
}

function denial(effects: readonly Effect[], outcomes: readonly Outcome[], index: number, rules: readonly CompiledRule[]): Decision {
  const effect = effects[index]
  const outcome = outcomes[index]
  if (!effect || !outcome) return refused('default-deny', 'the command could not be decided', 'Do not retry it.')
  const by = typeof outcome.by === 'string' ? undefined : outcome.by
  const what = describeEffect(effect)
  return {
    verdict: 'deny',
    rule: ruleName(outcome.by),
    reason: by ? `${what} is denied by rule ${by.id}${because(by)}` : `no rule allows ${what} (default-deny)`,
    hint: denialHint({ effect, rules, by, unmet: outcome.unmet }),
    effect: index,
  }
}

/** Every distinct hold rule that fired is one requirement; the shortest of their timeouts ends the wait. */
function holding(effects: readonly Effect[], outcomes: readonly Outcome[], index: number): Decision {
  const fired = new Set(outcomes.flatMap((outcome) => outcome.holds))
  const requirements: HoldRequirement[] = []
  let timeout = Number.POSITIVE_INFINITY
  for (const rule of fired) {
    if (rule.requirement) requirements.push(rule.requirement)
    timeout = Math.min(timeout, rule.rule.timeout_seconds ?? defaultLimits.hold_timeout_seconds)
  }
  const effect = effects[index]
  const by = outcomes[index]?.by
  const why = typeof by === 'object' ? because(by) : ''
  const what = effect ? describeEffect(effect) : 'the command'
  const terms = shellTerms(effects, outcomes)
  const others = fired.size > 1 ? ` (and ${fired.size - 1} more)` : ''
  return {
    verdict: 'hold',
    rule: by ? ruleName(by) : 'default-deny',
    reason: `${what} needs approval by rule ${by ? ruleName(by) : 'unknown'}${others}${why}${termsText(terms)}`,
    hint: `Keep the connection open and wait up to ${durationText(timeout)}: ${approversText(requirements)} must approve exactly this command. Do not send it again and do not change it; a changed command needs an approval of its own.`,
    hold: { requirements, timeout_seconds: timeout },
    effect: index,
    ...terms,
  }
}

function allowance(effects: readonly Effect[], outcomes: readonly Outcome[]): Decision {
  const index =
    pick(outcomes, (outcome) => typeof outcome.by !== 'string') ?? pick(outcomes, (outcome) => outcome.by === 'builtin:harmless') ?? 0
  const effect = effects[index]
  const by = outcomes[index]?.by ?? 'default-deny'
  const what = effect ? describeEffect(effect) : 'the command'
  const others = effects.length > 1 ? ` (with ${effects.length - 1} more)` : ''
  const how = typeof by === 'string' ? 'is harmless' : `is allowed by rule ${by.id}`
  const terms = shellTerms(effects, outcomes)
  return { verdict: 'allow', rule: ruleName(by), reason: `${what}${others} ${how}${termsText(terms)}`, hint: '', effect: index, ...terms }
}

/** One rule that wants the shell guarded is enough; to be typed into, every effect that needs a rule needs one that says so. */
function shellTerms(effects: readonly Effect[], outcomes: readonly Outcome[]): Pick<Decision, 'shell' | 'interactive'> {
  const guarded = outcomes.some(({ permitting, holds }) => [...permitting, ...holds].some(({ rule }) => rule.shell === 'guarded'))
  const needing = outcomes.filter((_, index) => !effects[index]?.harmless && !effects[index]?.implied)
  const interactive = needing.length > 0 && needing.every(({ permitting }) => permitting.some(({ rule }) => rule.interactive === true))
  return { ...(guarded ? { shell: 'guarded' as const } : {}), ...(interactive ? { interactive: true as const } : {}) }
}

function termsText({ shell, interactive }: Pick<Decision, 'shell' | 'interactive'>): string {
  return (shell === undefined ? '' : '; guarded: each of its lines is decided by itself') + (interactive ? '; interactive in a guarded shell' : '')
}
