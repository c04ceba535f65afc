import type { Detector } from '../detectors/detector.js'
import { Features, NeedsTable } from '../detectors/features.js'
import type { DetectorName } from '../detectors/names.js'
import { detectorsNamed } from '../detectors/registry.js'
import type { Mask, MaskMethod } from '../rule.js'
import { BulkFilter } from './bulk.js'
import { strictest } from './methods.js'

export interface ContentResult {
  /** The masked text; the very same string when nothing was found. */
  readonly text: string
  /** Finds that were replaced. */
  readonly count: number
}

interface Find {
  readonly start: number
  end: number
  method: MaskMethod
  /** Undefined once finds of different kinds were merged. */
  kind: DetectorName | undefined
}

type Replace = (method: MaskMethod, value: string, kind: DetectorName | undefined) => string

/** From here on, the coarse look at many bytes is cheaper than the exact one. */
const bulkBytes = 256

/** All content detectors of a session's masks, run together over one value. */
export class ContentMasker {
  readonly #enabled: readonly { readonly detector: Detector; readonly method: MaskMethod }[]
  readonly #features = new Features()
  readonly #needs: NeedsTable
  /** One look for the literal beginnings of all detectors that have any. */
  readonly #anchors: RegExp | undefined
  readonly #bulk: BulkFilter | undefined

  constructor(
    masks: readonly Mask[],
    private readonly replace: Replace,
  ) {
    const methods = new Map<Detector, MaskMethod>()
    for (const mask of masks) {
      for (const name of mask.detect ?? []) {
        for (const detector of detectorsNamed(name)) {
          const method = mask.with === 'null' ? 'redact' : mask.with
          methods.set(detector, strictest(methods.get(detector) ?? method, method))
        }
      }
    }
    this.#enabled = [...methods].map(([detector, method]) => ({ detector, method }))
    this.#bulk = BulkFilter.for(this.#enabled.map(({ detector }) => detector))
    this.#needs = new NeedsTable(this.#enabled.map(({ detector }) => detector.needs))
    const anchors = this.#enabled.flatMap(({ detector }) => detector.anchors ?? [])
    this.#anchors =
      anchors.length === 0 ? undefined : new RegExp(anchors.map((anchor) => anchor.replace(/[$.*+?()[\]{}|\\^]/g, '\\$&')).join('|'))
  }

  get active(): boolean {
    return this.#enabled.length > 0
  }

  /** False when no value inside these UTF-8 bytes can hold anything. Safe for a whole row or buffer at once. */
  mayHold(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#enabled.length === 0) return false
    if (this.#bulk && end - start >= bulkBytes) return this.#bulk.mayHold(bytes, start, end)
    return this.#needs.possible(this.#features.ofBytes(bytes, start, end)) !== 0
  }

  mask(text: string): ContentResult {
    const possible = this.#enabled.length === 0 ? 0 : this.#needs.possible(this.#features.ofText(text))
    if (possible === 0) return { text, count: 0 }
    const finds = this.#finds(text, possible)
    return finds.length === 0 ? { text, count: 0 } : this.#rewrite(text, finds)
  }

  #finds(text: string, possible: number): Find[] {
    const finds: Find[] = []
    let anchored: boolean | undefined
    for (let index = 0, left = possible; left !== 0; index++, left >>>= 1) {
      const enabled = (left & 1) === 0 ? undefined : this.#enabled[index]
      if (!enabled) continue
      const { detector, method } = enabled
      if (detector.anchors) {
        anchored ??= this.#anchors?.test(text) ?? false
        if (!anchored) continue
      }
      detector.find(text, (start, end) => finds.push({ start, end, method, kind: detector.name }))
    }
    return finds
  }

  /** Overlapping finds become one: its union, by the strictest method. Of different kinds, nothing partial is kept. */
  #rewrite(text: string, finds: Find[]): ContentResult {
    finds.sort((a, b) => a.start - b.start || b.end - a.end)
    const merged: Find[] = []
    for (const find of finds) {
      const last = merged[merged.length - 1]
      if (!last || find.start >= last.end) {
        merged.push(find)
        continue
      }
      last.end = Math.max(last.end, find.end)
      last.method = strictest(last.method, find.method)
      if (last.kind !== find.kind) {
        last.kind = undefined
        if (last.method === 'partial') last.method = 'redact'
      }
    }
    let result = ''
    let position = 0
    for (const { start, end, method, kind } of merged) {
      result += text.slice(position, start) + this.replace(method, text.slice(start, end), kind)
      position = end
    }
    return { text: result + text.slice(position), count: merged.length }
  }
}
