import type { DetectorName } from '../detectors/names.js'
import { detectorsNamed } from '../detectors/registry.js'
import { Glob } from '../glob.js'
import { PatternError, ResourcePattern, splitResource } from '../resource.js'
import type { Mask, MaskMethod } from '../rule.js'
import { ContentMasker, type ContentResult } from './content.js'
import { keyedHash, partial, redacted, strictest } from './methods.js'

/** Masks that can't be applied as they stand: the session must not start with them. */
export class MaskError extends Error {
  override readonly name = 'MaskError'
}

/** What is known of one column of a result. */
export interface ResultColumn {
  /** Canonical `schema.table.column` that the target itself reports for the column, if it does. */
  readonly origin?: string
  /** The output's name. */
  readonly name: string
  /** Canonical columns that the value comes from. A segment `*` stands for an unknown name. */
  readonly sources: readonly string[]
  /** The value is one column's value, unchanged. */
  readonly direct: boolean
  /** False when the sources can't be told. */
  readonly lineageKnown: boolean
}

export interface ColumnMask {
  readonly method: MaskMethod
  /** `policy#mask2`, or `builtin:unknown-lineage`. */
  readonly rule: string
}

interface CompiledMask {
  readonly id: string
  readonly method: MaskMethod
  readonly columns: readonly ResourcePattern[]
  readonly names: readonly Glob[]
}

/** The masks of one grant. The strictest that applies wins: null, then redact, hash, partial. */
export class CompiledMasks {
  /** Whether any mask is by column origin or name. Then a result whose lineage isn't known is redacted as a whole. */
  readonly hasColumnMasks: boolean
  /** Whether any mask is by content. */
  readonly hasDetectors: boolean
  readonly #columns: readonly CompiledMask[]
  readonly #content: ContentMasker

  /** @throws {MaskError} */
  constructor(
    masks: readonly Mask[],
    private readonly key: Uint8Array | undefined,
  ) {
    if (key === undefined && masksNeedKey(masks)) throw new MaskError('a mask hashes, but there is no key to hash with')
    this.#columns = masks.filter((mask) => mask.columns || mask.names).map(compile)
    for (const mask of masks) {
      const unknown = mask.detect?.find((name) => detectorsNamed(name).length === 0)
      if (unknown !== undefined) throw new MaskError(`mask ${maskName(mask)} asks for the unknown detector ${unknown}`)
      if (!mask.columns && !mask.names && !mask.detect) throw new MaskError(`mask ${maskName(mask)} says nothing to mask`)
    }
    this.#content = new ContentMasker(masks, (method, value, kind) => this.applyText(method, value, kind) ?? redacted)
    this.hasColumnMasks = this.#columns.length > 0
    this.hasDetectors = this.#content.active
  }

  /** How a column of a result is masked; undefined when no mask by origin or name applies. Ask once per result, not per row. */
  forColumn(column: ResultColumn): ColumnMask | undefined {
    if (!this.hasColumnMasks) return undefined
    const sources = column.origin === undefined ? column.sources : [column.origin, ...column.sources]
    const names = [column.name, ...sources.flatMap((source) => splitResource(source).at(-1) ?? [])].map((name) => name.toLowerCase())
    let found: ColumnMask | undefined
    for (const mask of this.#columns) {
      if (!covers(mask, sources, names)) continue
      // Part of a value, or a hash of something computed from it, still tells about it: `substr(ssn, 1, 3)` would be its beginning.
      const method = column.direct || mask.method === 'null' ? mask.method : 'redact'
      if (!found || strictest(found.method, method) !== found.method) found = { method, rule: mask.id }
    }
    if (!column.lineageKnown && (!found || strictest(found.method, 'redact') === 'redact'))
      return { method: 'redact', rule: 'builtin:unknown-lineage' }
    return found
  }

  /** Runs the content detectors over a value. */
  detectors(text: string): ContentResult {
    return this.#content.mask(text)
  }

  /**
   * Whether {@link detectors} could find anything in any value inside these UTF-8 bytes. One pass without making strings;
   * works on a cell, a row, or a buffer of many rows.
   */
  mayDetect(bytes: Uint8Array, start = 0, end = bytes.length): boolean {
    return this.#content.mayHold(bytes, start, end)
  }

  /**
   * Replaces one whole value. Null means the value becomes NULL.
   * @param kind what the value is known to be, for `partial`
   */
  applyText(method: MaskMethod, value: string, kind?: DetectorName): string | null {
    switch (method) {
      case 'null':
        return null
      case 'redact':
        return redacted
      case 'partial':
        return partial(value, kind)
      case 'hash':
        // Unreachable without a key (the constructor refuses), and should that change, nothing raw gets out.
        return this.key === undefined ? redacted : keyedHash(value, this.key)
    }
  }
}

/**
 * Prepares the masks of one grant.
 * @param key 32 bytes for `hash`; needed when {@link masksNeedKey}
 * @throws {MaskError} when a mask can't be applied; the session must not start then
 */
export function compileMasks(masks: readonly Mask[], key?: Uint8Array): CompiledMasks {
  return new CompiledMasks(masks, key)
}

/** Whether any mask hashes, so that the grant has to bring a key. */
export function masksNeedKey(masks: readonly Mask[]): boolean {
  return masks.some((mask) => mask.with === 'hash')
}

function maskName(mask: Mask): string {
  return `${mask.policy}#mask${mask.index}`
}

function compile(mask: Mask): CompiledMask {
  try {
    return {
      id: maskName(mask),
      method: mask.with,
      columns: (mask.columns ?? []).map((pattern) => new ResourcePattern(pattern)),
      names: (mask.names ?? []).map((name) => new Glob(name.toLowerCase())),
    }
  } catch (error) {
    throw error instanceof PatternError ? new MaskError(`mask ${maskName(mask)}: ${error.message}`) : error
  }
}

/** A source whose column isn't known (`t.*`) may be any column, so every name pattern covers it. */
function covers(mask: CompiledMask, sources: readonly string[], names: readonly string[]): boolean {
  return (
    mask.columns.some((pattern) => sources.some((source) => pattern.mayCover(source))) ||
    mask.names.some((glob) => names.some((name) => name === '*' || glob.test(name)))
  )
}
