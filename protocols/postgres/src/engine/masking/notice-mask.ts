import type { CompiledMasks } from '@sallyport/policy'
import type { StatementAnalysis } from '../../analyse/index.js'
import type { NoticeFields } from '../../codec/index.js'

/**
 * Errors raised while a statement runs whose message is constant or names an object: permission, transaction state, rollback,
 * connection, resources, operator's doing. Any other may quote a value, also in the classes of names and of internal errors:
 * `ssn::regclass` is 42P01, `date_trunc(ssn, …)` 0A000, `chr(ssn::int)` 54000.
 */
const valueless = /^(42501|25...|2D...|26...|34...|40...|42P0[3-7]|08...|53...|57...|55P0[36]|54001|54023)$/

/** What is said in place of a message that may quote. The SQLSTATE stays, so programs can tell errors apart as before. */
const conditions: { readonly [sqlstate: string]: string } = {
  '22001': 'value too long for its type',
  '22003': 'number out of range',
  '22007': 'invalid date or time',
  '22008': 'date or time out of range',
  '22012': 'division by zero',
  '22023': 'invalid parameter value',
  '22P02': 'invalid input syntax for a type',
  '22P03': 'incorrect binary data',
  '22P05': 'character without equivalent in the encoding',
  '23502': 'null value violates a not-null constraint',
  '23503': 'a foreign key constraint is violated',
  '23505': 'duplicate key value violates a unique constraint',
  '23514': 'a check constraint is violated',
  '23P01': 'an exclusion constraint is violated',
  '21000': 'more than one row where one is possible',
}

/**
 * What a client may see of an error or a notice. The content detectors run over every text. When the statement reads or
 * writes a masked column, or what runs isn't known (deferred constraints at COMMIT or Sync), a message that may quote values
 * (`invalid input syntax for type integer: "123-45-6789"`, `Key (email)=(…) already exists`) is replaced as a whole: quotes inside
 * of the value, or numbers without any, leave nothing to go by. Details go.
 */
export function maskNotice(fields: NoticeFields, analysis: StatementAnalysis | undefined, masks: CompiledMasks): NoticeFields {
  if (!masks.hasColumnMasks && !masks.hasDetectors) return fields
  const mayQuote = masks.hasColumnMasks && !foundByParser(fields) && !valueless.test(fields.get('C') ?? '') && touches(analysis, masks)
  const masked: NoticeFields = new Map()
  for (const [field, value] of fields) {
    if (!free.has(field)) masked.set(field, value)
    else if (!mayQuote) masked.set(field, maskText(value, masks))
    // Detail, hint, where, internal query: they exist to quote.
    else if (field === 'M') masked.set(field, `${conditions[fields.get('C') ?? ''] ?? 'message withheld'} (Sallyport: the statement touches masked columns, so the text is not shown)`)
  }
  return masked
}

/**
 * Found before anything ran: it points into the statement's own text. A text that a function parses while it runs
 * (`ssn::regtype`) has a context or an internal query beside its position.
 */
function foundByParser(fields: NoticeFields): boolean {
  return fields.has('P') && !fields.has('W') && !fields.has('q') && !fields.has('p')
}

/** What was deferred by statements before is checked by these; what it is about isn't known any more. */
const checksDeferred = new Set(['TransactionStmt', 'ConstraintsSetStmt'])

function touches(analysis: StatementAnalysis | undefined, masks: CompiledMasks): boolean {
  return analysis === undefined || checksDeferred.has(analysis.node) || touchesMasked(analysis, masks)
}

/** Fields with free text: message, detail, hint, where, internal query. */
const free = new Set(['M', 'D', 'H', 'W', 'q'])

export function maskText(text: string, masks: CompiledMasks): string {
  return masks.hasDetectors ? masks.detectors(text).text : text
}

/** Whether a column mask concerns anything that the statement reads, or any table whose rows it writes. */
export function touchesMasked(analysis: StatementAnalysis, masks: CompiledMasks): boolean {
  return analysis.reads.some((column) => isMasked(column, masks)) || analysis.rows.some((column) => isMasked(column, masks))
}

export function isMasked(column: string, masks: CompiledMasks): boolean {
  const name = column.slice(column.lastIndexOf('.') + 1)
  return masks.forColumn({ name, sources: [column], direct: true, lineageKnown: true }) !== undefined
}
