import type { Effect } from '../effect.js'
import type { HoldRequirement } from '../rule.js'
import type { CompiledRule } from './compiled-rule.js'

/** Names of objects come from the client: in messages they are kept short and can't move a terminal's cursor or hide text. */
const unprintable = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g
const maxNameLength = 120
const maxListed = 4

export function printable(text: string): string {
  const short = text.length > maxNameLength ? `${text.slice(0, maxNameLength)}…` : text
  return short.replace(unprintable, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`)
}

/** `sql.delete on public.customers`. */
export function describeEffect(effect: Effect): string {
  return effect.resource === '' ? printable(effect.action) : `${printable(effect.action)} on ${printable(effect.resource)}`
}

/** Keeps a list in a hint readable: the first few and how many more. */
export function listed(words: Iterable<string>): string {
  const all = [...new Set(words)].map(printable)
  const more = all.length - maxListed
  return all.slice(0, maxListed).join(', ') + (more > 0 ? ` and ${more} more` : '')
}

export function because(rule: CompiledRule): string {
  return rule.rule.reason === undefined ? '' : `: ${printable(rule.rule.reason)}`
}

export function approversText(requirements: readonly HoldRequirement[]): string {
  const texts = new Set<string>()
  for (const { groups, quorum } of requirements) {
    const who = groups.length === 0 ? 'reviewers' : `group ${groups.map(printable).join(' or ')}`
    texts.add(`${quorum} ${quorum === 1 ? 'person' : 'people'} of ${who}`)
  }
  const others = [...requirements].some(({ separate }) => separate) && texts.size > 1 ? ' (each for one of these only)' : ''
  return [...texts].join(', and ') + others
}

/** `30 minutes`, `90 seconds`. */
export function durationText(seconds: number): string {
  const [count, unit] =
    seconds % 3600 === 0 ? [seconds / 3600, 'hour'] : seconds % 60 === 0 ? [seconds / 60, 'minute'] : [seconds, 'second']
  return `${count} ${unit}${count === 1 ? '' : 's'}`
}
