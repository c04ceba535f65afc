import { asFields, asText, type Fields } from '../http/record.js'
import { shortTime } from '../output/printer.js'
import { fields } from '../output/table.js'
import { visible } from '../output/visible.js'

/** Every scalar the API tells about the session, nested ones by their path. */
export function sessionHead(session: Fields): string {
  return fields(scalars(session))
}

function scalars(value: Fields, prefix = ''): [string, string][] {
  return Object.entries(value).flatMap(([key, entry]): [string, string][] => {
    const name = prefix === '' ? key : `${prefix}.${key}`
    if (Array.isArray(entry)) return [[name, entry.map(asText).join(', ')]]
    if (typeof entry === 'object' && entry !== null) return scalars(asFields(entry), name)
    return [[name, /_at$/.test(key) ? shortTime(asText(entry)) : asText(entry)]]
  }).map(([name, entry]) => [visible(name), entry])
}
