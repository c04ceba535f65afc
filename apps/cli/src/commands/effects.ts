import { asTexts, asFields, text, type Fields } from '../http/record.js'
import { visible } from '../output/visible.js'

/** One effect on one line: `sql.select public.orders (reads id, status)`. */
export function effectLine(effect: Fields): string {
  const details = asFields(effect['details'])
  const reads = asTexts(details['reads'])
  const writes = asTexts(details['writes'])
  const notes = [
    reads.length > 0 ? `reads ${reads.join(', ')}` : '',
    writes.length > 0 ? `writes ${writes.join(', ')}` : '',
    details['missing_where'] === true ? 'no WHERE' : '',
    effect['implied'] === true ? 'implied' : '',
    effect['harmless'] === true ? 'harmless' : '',
  ].filter((note) => note !== '')
  return visible(`  ${text(effect, 'action')} ${text(effect, 'resource')}${notes.length === 0 ? '' : ` (${notes.join('; ')})`}`.trimEnd())
}
