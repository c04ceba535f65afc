import type { CompiledMasks, MaskMethod } from '@sallyport/policy'
import type { CopyInfo, StatementAnalysis } from '../../analyse/index.js'
import { backend, message, ProtocolError } from '../../codec/index.js'
import type { Preview } from '../preview.js'
import type { MaskCount } from './row-mask.js'
import { CopyRowReader } from './copy-rows.js'

export interface CopySink extends MaskCount {
  rows: number
  readonly preview: Preview | undefined
}

/** By position; `all` when the columns aren't known, `none` when no column mask exists. */
type ColumnMethods = readonly (MaskMethod | undefined)[] | 'all' | 'none'

/** A row of COPY may not be larger; the unfinished part of one is all that is buffered. */
const maxRowBytes = 16 * 1024 * 1024

/**
 * Masks COPY … TO STDOUT. CopyData messages needn't end where rows end (PostgreSQL protocol, "COPY Operations"), so rows
 * are found by the format's own rules, and whole rows leave in messages of their own.
 */
export class CopyMask {
  readonly #masks: CompiledMasks
  readonly #methods: ColumnMethods
  readonly #rows: CopyRowReader
  /** Nothing can concern this copy: its messages pass as they are. */
  readonly #transparent: boolean
  readonly #replaces: boolean
  #header: boolean

  constructor(copy: CopyInfo, methods: ColumnMethods, masks: CompiledMasks) {
    this.#masks = masks
    this.#methods = methods
    this.#replaces = methods === 'all' || (methods !== 'none' && methods.some((method) => method !== undefined))
    this.#transparent = !this.#replaces && !masks.hasDetectors
    this.#rows = new CopyRowReader(copy, maxRowBytes)
    this.#header = copy.header
  }

  /** Whether this data is made of whole rows in which no column is replaced: only its contents could be masked. */
  plain(buffer: Buffer, from: number, to: number): boolean {
    return !this.#replaces && !this.#header && this.#rows.wholeRows(buffer, from, to)
  }

  mayDetect(buffer: Buffer, from: number, to: number): boolean {
    return !this.#transparent && this.#masks.mayDetect(buffer, from, to)
  }

  /** Takes one CopyData message; returns the messages to send in its place, undefined when it may pass as it is. */
  push(buffer: Buffer, start: number, end: number, sink: CopySink): Buffer[] | undefined {
    const data = buffer.subarray(start + 5, end)
    if (this.#transparent) {
      this.#preview(data, sink)
      return undefined
    }
    // Whole rows in which nothing is to be replaced and nothing can be found pass as they are.
    if (!this.#replaces && this.#rows.wholeRows(data, 0, data.length) && !this.#masks.mayDetect(data)) {
      this.#header = false
      this.#preview(data, sink)
      return undefined
    }
    const out: Buffer[] = []
    for (const row of this.#rows.push(data)) out.push(this.#row(row, sink))
    return out
  }

  end(sink: CopySink): Buffer[] {
    const rest = this.#rows.end()
    return rest ? [this.#row(rest, sink)] : []
  }

  #row(row: Buffer, sink: CopySink): Buffer {
    const masked = this.#maskRow(row, sink)
    this.#preview(masked, sink)
    return message(backend.copyData, masked)
  }

  #maskRow(row: Buffer, sink: CopySink): Buffer {
    const fields = this.#rows.fields(row)
    // The binary format's header and trailer, and `\.`, hold no values.
    if (fields === undefined) return row
    if (this.#header) {
      this.#header = false
      return row
    }
    if (Array.isArray(this.#methods) && this.#methods.length !== fields.length) throw new ProtocolError('a COPY row does not have the columns that were expected')
    let changed = false
    const values = fields.map((value, index) => {
      if (value === null) return null
      const method = this.#methods === 'all' ? 'redact' : this.#methods === 'none' ? undefined : this.#methods[index]
      const masked = method === undefined ? this.#detect(value) : this.#replace(method, value)
      if (masked !== value) {
        changed = true
        sink.masked += 1
      }
      return masked
    })
    return changed ? this.#rows.encode(values) : row
  }

  #replace(method: MaskMethod, value: Buffer): Buffer | null {
    const text = this.#masks.applyText(this.#rows.binary && method !== 'null' ? 'redact' : method, value.toString('utf8'))
    // A binary value's type isn't known here: NULL is the one thing that fits every type.
    return text === null || this.#rows.binary ? null : Buffer.from(text, 'utf8')
  }

  #detect(value: Buffer): Buffer | null {
    if (!this.#masks.mayDetect(value)) return value
    const found = this.#masks.detectors(this.#rows.binary ? value.toString('latin1') : value.toString('utf8'))
    if (found.count === 0) return value
    return this.#rows.binary ? null : Buffer.from(found.text, 'utf8')
  }

  #preview(data: Buffer, sink: CopySink): void {
    if (sink.preview?.open && !this.#rows.binary) sink.preview.line(data.toString('utf8', 0, 2048).replace(/\r?\n$/, ''))
    else sink.preview?.skipped()
  }
}

/** @throws {ProtocolError} when the copy's rows can't be told apart (an encoding other than UTF-8): nothing is shown then */
export function buildCopyMask(analysis: StatementAnalysis, copy: CopyInfo, masks: CompiledMasks): CopyMask {
  if (copy.encoding !== undefined && !/^utf-?8$/i.test(copy.encoding) && (masks.hasColumnMasks || masks.hasDetectors)) {
    throw new ProtocolError('COPY with an ENCODING other than UTF8 can not be masked', '0A000')
  }
  const { output } = analysis
  if (output.kind !== 'columns') return new CopyMask(copy, masks.hasColumnMasks ? 'all' : 'none', masks)
  const methods = output.columns.map((column) => masks.forColumn({ name: column.name, sources: column.sources, direct: column.direct, lineageKnown: true })?.method)
  return new CopyMask(copy, methods, masks)
}
