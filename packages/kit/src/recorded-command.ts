import type { Decision, Effect, JsonObject, SessionTerms } from '@sallyport/policy'
import { commandDigest, type Command, type CommandScope } from './command.js'
import type { CommandEvent } from './event.js'
import type { CommandResult } from './guard.js'

/** Policies that keep statements out of records say how much of one stays. */
export type StatementsExcluded = NonNullable<SessionTerms['record_statements']>

export interface RecordedText {
  readonly text: string
  readonly effects: readonly Effect[]
  readonly statement_excluded: StatementsExcluded
}

export interface RecordingTerms {
  readonly terms: SessionTerms
  readonly scope: CommandScope
  /** The protocol's own reading of a text without its values; undefined: it can't tell them apart. */
  readonly withoutValues?: ((text: string) => string | undefined) | undefined
  /** UTF-8 bytes. */
  readonly maxTextBytes: number
}

type Recorded = Pick<CommandEvent, 'text' | 'text_truncated' | 'statement_excluded' | 'parameters' | 'parameters_excluded' | 'digest' | 'effects' | 'decision' | 'facts'>

const maxParameterBytes = 4 * 1024

/** Facts of an effect that name objects or say how, and never hold a value that a client wrote. Booleans stay in any case. */
const openDetails = new Set([
  'columns', 'columns_read', 'columns_written', 'namespace', 'verb', 'group', 'version', 'resource', 'subresource', 'because', 'method', 'kind', 'via', 'login', 'volatility',
])

/** What of a command stands in its record, by the policy's leave. */
export function recordedCommand(command: Command, decision: Decision, digest: string | undefined, how: RecordingTerms): Recorded {
  const { terms, scope, maxTextBytes } = how
  const short = recordedText(command, how)
  if (short !== undefined) {
    const cut = cutTo(short.text, maxTextBytes)
    return {
      ...short,
      ...cut,
      ...(command.parameters ? { parameters_excluded: command.parameters.length } : {}),
      // Of the exact command: who has it can show that it was this one.
      digest: digest ?? commandDigest(command, scope),
      // Reasons quote what they are about.
      decision: { ...decision, reason: '', hint: '' },
    }
  }
  return {
    ...cutTo(command.text, maxTextBytes),
    ...(command.parameters ? parametersOf(command.parameters, terms) : {}),
    ...(digest === undefined ? {} : { digest }),
    effects: command.effects,
    decision,
    ...(command.facts ? { facts: command.facts } : {}),
  }
}

/** What stays of a command's text and effects; undefined when the policy lets all of it stay. */
export function recordedText(command: Command, { terms, withoutValues }: Pick<RecordingTerms, 'terms' | 'withoutValues'>): RecordedText | undefined {
  const excluded = terms.record_statements
  if (excluded === undefined) return undefined
  const text = excluded === 'normalised' ? (withoutValues?.(command.text) ?? '') : ''
  return { text, effects: command.effects.map(openEffect), statement_excluded: excluded }
}

/** Whether values that a client sent may stand in the record: parameters, and errors, which quote values. */
export const keepsValues = (terms: SessionTerms): boolean => terms.record_parameters && terms.record_statements === undefined

/** The end of a command without what quotes values, unless those may be kept. */
export function recordedResult({ error_message: message, ...rest }: Omit<CommandResult, 'result'>, terms: SessionTerms): Omit<CommandResult, 'result'> {
  return { ...rest, ...(message === undefined || !keepsValues(terms) ? {} : { error_message: message }) }
}

function openEffect({ details, ...effect }: Effect): Effect {
  const open: JsonObject = Object.fromEntries(Object.entries(details ?? {}).filter(([name, value]) => typeof value === 'boolean' || openDetails.has(name)))
  return Object.keys(open).length === 0 ? effect : { ...effect, details: open }
}

function parametersOf(parameters: readonly (string | null)[], terms: SessionTerms): Pick<CommandEvent, 'parameters' | 'parameters_excluded'> {
  return keepsValues(terms) ? { parameters: parameters.map(capped) } : { parameters_excluded: parameters.length }
}

function cutTo(text: string, bytes: number): Pick<CommandEvent, 'text' | 'text_truncated'> {
  // Conservative: a character is at most 4 bytes, so a short text needs no measuring.
  const cut = text.length * 4 > bytes && Buffer.byteLength(text) > bytes
  return cut ? { text: text.slice(0, bytes / 4), text_truncated: true } : { text }
}

function capped(value: string | null): string | null {
  return value !== null && value.length > maxParameterBytes ? `${value.slice(0, maxParameterBytes)}…` : value
}
