import type { CompiledMasks, MaskMethod } from '@sallyport/policy'
import { canonical, quoteIdent, type Relation, type StatementAnalysis } from '../../analyse/index.js'
import { backend, ProtocolError, type FieldDescription } from '../../codec/index.js'
import { replaceValue } from './replacement.js'
import { binaryNumber, detectable, encodeValue, valueText } from './value-types.js'

type ColumnPlan =
  | { readonly kind: 'replace'; readonly method: MaskMethod; readonly typeOid: number; readonly format: number }
  | { readonly kind: 'detect'; readonly typeOid: number; readonly format: number }
  | undefined

/** Counts what was masked. */
export interface MaskCount {
  masked: number
}

/** Rewrites the rows of one result. */
export class RowMask {
  readonly #columns: readonly ColumnPlan[]
  readonly #masks: CompiledMasks
  readonly #replaces: boolean

  constructor(columns: readonly ColumnPlan[], masks: CompiledMasks) {
    this.#columns = columns
    this.#masks = masks
    this.#replaces = columns.some((plan) => plan?.kind === 'replace' || (plan?.kind === 'detect' && binaryNumber(plan.typeOid, plan.format)))
  }

  /** Whether any of the rows in `buffer[from, to)` could need rewriting: one look for many rows when only contents matter. */
  touches(buffer: Buffer, from: number, to: number): boolean {
    return this.#replaces || this.#masks.mayDetect(buffer, from, to)
  }

  /**
   * The DataRow in `buffer[start, end)` with masked values; only to be used when `count.masked` went up.
   * @throws {ProtocolError} when the row isn't what its description says: then it must not be shown
   */
  apply(buffer: Buffer, start: number, end: number, count: MaskCount): Buffer {
    const columns = buffer.readUInt16BE(start + 5)
    if (columns !== this.#columns.length) throw new ProtocolError('a row does not have the columns that were described')
    const parts: Buffer[] = []
    let kept = start + 7
    let offset = kept
    let length = 6
    for (let index = 0; index < columns; index += 1) {
      if (offset + 4 > end) throw new ProtocolError('insufficient data left in message')
      const size = buffer.readInt32BE(offset)
      const next = offset + 4 + Math.max(size, 0)
      if (size < -1 || next > end) throw new ProtocolError('insufficient data left in message')
      const plan = this.#columns[index]
      if (plan && size >= 0) {
        const value = buffer.subarray(offset + 4, next)
        const masked = this.#value(plan, value)
        if (masked !== value) {
          count.masked += 1
          const head = Buffer.allocUnsafe(4)
          head.writeInt32BE(masked === null ? -1 : masked.length)
          parts.push(buffer.subarray(kept, offset), head)
          length += offset - kept + 4
          if (masked !== null) {
            parts.push(masked)
            length += masked.length
          }
          kept = next
        }
      }
      offset = next
    }
    if (offset !== end) throw new ProtocolError('invalid message format')
    parts.push(buffer.subarray(kept, end))
    length += end - kept
    const head = Buffer.allocUnsafe(7)
    head[0] = backend.dataRow
    head.writeInt32BE(length, 1)
    head.writeUInt16BE(columns, 5)
    return Buffer.concat([head, ...parts], length + 1)
  }

  /** The value itself when nothing is to be masked. */
  #value(plan: NonNullable<ColumnPlan>, value: Buffer): Buffer | null {
    if (plan.kind === 'replace') return replaceValue(this.#masks, plan.method, value, plan.typeOid, plan.format)
    if (!binaryNumber(plan.typeOid, plan.format) && !this.#masks.mayDetect(value)) return value
    const text = valueText(value, plan.typeOid, plan.format)
    if (text === undefined) {
      // A binary form that isn't taken apart (arrays, composites): when it holds something, it is left out as a whole.
      return this.#masks.detectors(value.toString('latin1')).count > 0 ? null : value
    }
    const found = this.#masks.detectors(text)
    if (found.count === 0) return value
    // In text format, a structured value (array, composite, hstore) keeps its shape: replacements hold no delimiters.
    return encodeValue(found.text, plan.typeOid, plan.format) ?? (plan.format === 0 && structured(plan.typeOid) ? Buffer.from(found.text, 'utf8') : null)
  }
}

const numeric = new Set([20, 1700])

function structured(typeOid: number): boolean {
  return !numeric.has(typeOid)
}

/** What is known of the target's tables, this session's temporary ones included. */
export interface RelationSource {
  relationByOid(oid: number): Relation | undefined
  relationNamed(canonical: string): Relation | undefined
}

/** Masks of results by what they were built from; most statements give the same columns again and again. */
export class RowMaskCache {
  readonly #entries = new Map<string, RowMask | null>()
  #masks: CompiledMasks | undefined
  #generation = -1

  get(
    fields: readonly FieldDescription[],
    formats: readonly number[] | undefined,
    analysis: StatementAnalysis,
    relations: RelationSource & { readonly generation: number },
    masks: CompiledMasks,
  ): RowMask | null {
    if (masks !== this.#masks || relations.generation !== this.#generation || this.#entries.size > 256) {
      this.#entries.clear()
      this.#masks = masks
      this.#generation = relations.generation
    }
    let key = formats === undefined ? '' : formats.join(',')
    for (const field of fields) key += `|${field.tableOid}.${field.attribute}.${field.typeOid}.${field.format}.${JSON.stringify(field.name)}`
    const { output } = analysis
    if (output.kind === 'columns') for (const column of output.columns) key += `|${column.direct ? 'd' : 'c'}${column.sources.join(' ')}`
    else key += output.kind
    let mask = this.#entries.get(key)
    if (mask === undefined) {
      mask = buildRowMask(fields, formats, analysis, relations, masks)
      this.#entries.set(key, mask)
    }
    return mask
  }
}

/** Null when no mask of the grant can concern this result. */
export function buildRowMask(
  fields: readonly FieldDescription[],
  formats: readonly number[] | undefined,
  analysis: StatementAnalysis,
  relations: RelationSource,
  masks: CompiledMasks,
): RowMask | null {
  if (!masks.hasColumnMasks && !masks.hasDetectors) return null
  const { output } = analysis
  const lineage = output.kind === 'columns' && output.columns.length === fields.length ? output.columns : undefined
  const plans = fields.map((field, index): ColumnPlan => {
    const format = (formats === undefined ? field.format : formats.length === 1 ? formats[0] : formats[index]) ?? 0
    if (masks.hasColumnMasks) {
      const known = lineage?.[index]
      const origins = originsOf(field, relations)
      const mask = masks.forColumn({
        name: field.name,
        ...(origins?.[0] === undefined ? {} : { origin: origins[0] }),
        sources: [...(origins ?? []).slice(1), ...(known?.sources ?? [])],
        // The target reports an origin for a column that is passed through as it is, and for no other.
        direct: known?.direct ?? field.tableOid !== 0,
        lineageKnown: origins !== undefined && (known !== undefined || origins.length > 0),
      })
      if (mask) return { kind: 'replace', method: mask.method, typeOid: field.typeOid, format }
    }
    return masks.hasDetectors && detectable(field.typeOid) ? { kind: 'detect', typeOid: field.typeOid, format } : undefined
  })
  return plans.some((plan) => plan !== undefined) ? new RowMask(plans, masks) : null
}

/**
 * Canonical names of the table column that the target reports for a result column, with the same column of every
 * ancestor (a partition's rows are its parent's). Empty for a computed column; undefined when the table isn't known.
 */
function originsOf(field: FieldDescription, relations: RelationSource): string[] | undefined {
  if (field.tableOid === 0) return []
  const relation = relations.relationByOid(field.tableOid)
  const column = relation?.columns.find((candidate) => candidate.number === field.attribute)
  if (!relation || (!column && field.attribute > 0)) return undefined
  if (!column) return []
  const suffix = `.${quoteIdent(column.name)}`
  return [canonical(relation.schema, relation.name) + suffix, ...ancestors(relation, relations, 0).map((name) => name + suffix)]
}

function ancestors(relation: Relation, relations: RelationSource, depth: number): string[] {
  if (depth > 16) return []
  return relation.parents.flatMap((name) => {
    const parent = relations.relationNamed(name)
    return parent ? [name, ...ancestors(parent, relations, depth + 1)] : [name]
  })
}
