import type { CompiledMasks } from '@sallyport/policy'
import type { StatementAnalysis } from '../../analyse/index.js'
import type { NoticeFields } from '../../codec/index.js'

/**
 * SQLSTATE classes whose messages speak of objects, states and resources, not of values: 0A feature, 08 connection,
 * 25/2D transaction state, 26/34 names, 40 rollback, 42 syntax and names, 53–58 resources and operator, XX internal.
 */
const valueless = new Set(['0A', '08', '25', '2D', '26', '34', '40', '42', '53', '54', '55', '57', '58', 'XX', '00', '01', '02', '03'])
/** Codes within those classes that quote data after all: indeterminate type messages don't, invalid input in 42 would. */
const raised = 'P0001'

/**
 * What a client may see of an error or a notice. The content detectors run over every text. When the statement reads or
 * writes a masked column, texts that may quote its values (`invalid input syntax for type integer: "123-45-6789"`,
 * `Key (email)=(…) already exists`) lose what they quote, and details go.
 */
export function maskNotice(fields: NoticeFields, analysis: StatementAnalysis | undefined, masks: CompiledMasks): NoticeFields {
  if (!masks.hasColumnMasks && !masks.hasDetectors) return fields
  const code = fields.get('C') ?? ''
  const mayQuote = masks.hasColumnMasks && (analysis === undefined ? code === raised : touchesMasked(analysis, masks)) && !valueless.has(code.slice(0, 2))
  const masked: NoticeFields = new Map()
  for (const [field, value] of fields) {
    if (!free.has(field)) masked.set(field, value)
    else if (!mayQuote) masked.set(field, maskText(value, masks))
    else if (field === 'M') masked.set(field, code === raised || code === '' ? withheld : maskText(withoutQuoted(value), masks))
    else if (field === 'H') masked.set(field, maskText(withoutQuoted(value), masks))
    // Detail, where, internal query: they exist to quote.
  }
  return masked
}

/** Fields with free text: message, detail, hint, where, internal query. */
const free = new Set(['M', 'D', 'H', 'W', 'q'])

const withheld = 'message withheld: the statement touches masked columns'

export function maskText(text: string, masks: CompiledMasks): string {
  return masks.hasDetectors ? masks.detectors(text).text : text
}

/** Replaces what stands in quotes or parentheses. */
function withoutQuoted(text: string): string {
  return text.replace(/"[^"]*"?/g, '"[redacted]"').replace(/\([^)]*\)?/g, '([redacted])').replace(/'[^']*'?/g, "'[redacted]'")
}

/** Whether a column mask concerns anything that the statement reads or writes. */
export function touchesMasked(analysis: StatementAnalysis, masks: CompiledMasks): boolean {
  return analysis.reads.some((column) => isMasked(column, masks)) || writtenColumns(analysis).some((column) => isMasked(column, masks))
}

export function isMasked(column: string, masks: CompiledMasks): boolean {
  const name = column.slice(column.lastIndexOf('.') + 1)
  return masks.forColumn({ name, sources: [column], direct: true, lineageKnown: true }) !== undefined
}

function writtenColumns(analysis: StatementAnalysis): string[] {
  return analysis.effects.flatMap((effect) => {
    const written = effect.details?.['columns_written']
    return Array.isArray(written) ? written.filter((name) => typeof name === 'string').map((name) => `${effect.resource}.${name}`) : []
  })
}
