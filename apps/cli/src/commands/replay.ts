import { asFields, asList, asText, asTexts, text, type Fields } from '../http/record.js'
import { displayWidth } from '../output/table.js'
import { visible, visibleBlock } from '../output/visible.js'
import { effectLine } from './effects.js'
import { gapText } from './gap.js'
import { recordedText, recordings, type Recorded } from './recorded.js'

/** Part of a session as it is replayed: text to print, or a terminal to play. */
export type ReplayPart = string | Recorded

/**
 * A session as a person reads it: every command with its decision, its way through approval, what it printed, and its
 * masked result, in the order of the agent's own record. Times are UTC. What was recorded of a terminal is a part of its own.
 */
export function replayParts(events: readonly Fields[]): ReplayPart[] {
  const ordered = inOrder(events)
  const recorded = recordings(ordered)
  const shown = new Set<string>()
  return ordered.flatMap((event): ReplayPart[] => {
    const command = text(event, 'command')
    if (text(event, 'kind') !== 'recording') return [entry(event, recorded.has(command))]
    // The whole recording stands where it begins, also when another command ran at the same time.
    const recording = recorded.get(command)
    if (recording === undefined || shown.has(command)) return []
    shown.add(command)
    return [recording.terminal ? recording : recordedText(recording)]
  })
}

/** {@link replayParts} as text alone, in which terminals are written out instead of played. */
export function replay(events: readonly Fields[]): string {
  return replayParts(events).map((part) => (typeof part === 'string' ? part : recordedText(part))).join('\n')
}

/**
 * The agent's events (they carry its counter) in the agent's own order, whatever its clock did and however they
 * arrived; what the control plane wrote goes between them by time.
 */
function inOrder(events: readonly Fields[]): Fields[] {
  const own = events.filter((event) => text(event, 'seq') !== '').sort((a, b) => Number(text(a, 'seq')) - Number(text(b, 'seq')))
  const others = events.filter((event) => text(event, 'seq') === '')
  const merged: Fields[] = []
  for (const event of own) {
    while (others[0] !== undefined && Date.parse(text(others[0], 'time')) < Date.parse(text(event, 'time'))) merged.push(...others.splice(0, 1))
    merged.push(event)
  }
  return [...merged, ...others]
}

function entry(event: Fields, recorded: boolean): string {
  const kind = text(event, 'kind')
  const at = clock(text(event, 'time'))
  const command = text(event, 'command')
  switch (kind) {
    case 'session.start':
      return visible(`${at}  session starts`)
    case 'session.end':
      return visible(`${at}  session ends: ${text(event, 'reason')}${suffix(text(event, 'detail'))}`)
    case 'session.viewed':
      return visible(`${at}  looked at by ${text(event, 'by')} (${text(event, 'how')})`)
    case 'command':
      return `\n${at}  #${visible(command)}\n${statement(event)}`
    case 'command.held':
      return visible(`${at}  #${command} waits for approval ${text(event, 'approval')}`)
    case 'command.released': {
      const reviewers = asTexts(event['reviewers']).join(', ')
      return visible(`${at}  #${command} ${text(event, 'verdict')}${reviewers === '' ? '' : ` by ${reviewers}`}${suffix(text(event, 'reason'))}`)
    }
    case 'gap':
      return visible(`${at}  GAP ${gapText(event)}`)
    case 'command.end':
      return ended(event, at, recorded)
    default:
      return visible(`${at}  ${kind}${suffix(text(event, 'reason') || text(event, 'detail'))}`)
  }
}

function statement(event: Fields): string {
  const lines = visibleBlock(text(event, 'text')).split('\n').map((line) => `    ${line}`)
  if (event['text_truncated'] === true) lines.push('    … (the record is cut here)')
  if (typeof event['statement_excluded'] === 'string') lines.push(`    (the policy keeps statements out of the record${event['statement_excluded'] === 'normalised' ? ': values are missing' : ''})`)
  const parameters = event['parameters']
  if (typeof event['parameters_excluded'] === 'number') lines.push(`    ${event['parameters_excluded']} parameters, which the policy keeps out of the record`)
  if (Array.isArray(parameters)) {
    for (const [index, value] of parameters.entries()) lines.push(`    $${index + 1} = ${value === null ? 'NULL' : visible(JSON.stringify(asText(value)))}`)
  }
  for (const effect of asList(event['effects'])) if (effect['harmless'] !== true) lines.push(`    ${effectLine(effect).trimStart()}`)
  const decision = asFields(event['decision'])
  lines.push(visible(`    → ${text(decision, 'verdict')} (${text(decision, 'rule')}): ${text(decision, 'reason')}`))
  return lines.join('\n')
}

/** @param recorded the recording shows the result, so that its beginning isn't shown again */
function ended(event: Fields, at: string, recorded: boolean): string {
  const milliseconds = Number(text(event, 'duration_us')) / 1000
  const masked = text(event, 'masked')
  const facts = [
    text(event, 'status') === 'ok' ? text(event, 'tag') || 'ok' : `${text(event, 'status')} ${text(event, 'error_code')} ${text(event, 'error_message')}`.trimEnd(),
    `${text(event, 'rows')} rows`,
    masked === '' || masked === '0' ? '' : `${masked} masked`,
    Number.isFinite(milliseconds) ? `${milliseconds.toFixed(1)} ms` : '',
  ].filter((fact) => fact !== '')
  const result = asFields(event['result'])
  const shown = !recorded && asTexts(result['columns']).length > 0 ? '\n' + preview(result) : ''
  return visible(`${at}  #${text(event, 'command')} ${facts.join(', ')}`) + shown
}

function preview(result: Fields): string {
  const header = asTexts(result['columns']).map(visible)
  const rows = (Array.isArray(result['rows']) ? result['rows'] : []).map((row: unknown) =>
    (Array.isArray(row) ? row : []).map((value: unknown) => (value === null ? 'NULL' : visible(asText(value)))))
  const widths = header.map((title, index) => Math.max(displayWidth(title), ...rows.map((row) => displayWidth(row[index] ?? ''))))
  const line = (cells: readonly string[]): string =>
    `    ${cells.map((cell, index) => cell + ' '.repeat(Math.max(0, (widths[index] ?? 0) - displayWidth(cell)))).join(' | ').trimEnd()}`
  const lines = [line(header), `    ${widths.map((width) => '-'.repeat(width)).join('-+-')}`, ...rows.map(line)]
  if (result['truncated'] === true) lines.push('    … (the record is cut here)')
  return lines.join('\n')
}

function clock(time: string): string {
  return /T(\d\d:\d\d:\d\d(?:\.\d{1,3})?)/.exec(time)?.[1] ?? visible(time)
}

function suffix(detail: string): string {
  return detail === '' ? '' : ` (${detail})`
}
