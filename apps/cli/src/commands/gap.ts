import { asFields, text, type Fields } from '../http/record.js'

/** Which commands of a session ran, or may have run, without a record. */
export function gapText(event: Fields): string {
  const last = text(event, 'last_command')
  const from = text(event, 'first_command')
  const missing = Object.entries(asFields(event['missing'])).map(([kind, count]) => `${String(count)} ${kind}`)
  const range = last === '' ? `commands from #${from} on may have run without a record` : `without a record: commands #${from} to #${last} (${missing.join(', ')}), ${text(event, 'from')} to ${text(event, 'to')}`
  return `${range}: ${text(event, 'reason')}`
}

