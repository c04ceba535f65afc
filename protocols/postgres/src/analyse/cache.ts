import type { Analysis, Catalog, NameContext } from './types.js'

type Analyse = (text: string, catalog: Catalog, names: NameContext) => Analysis

interface Entry {
  readonly analysis: Analysis
  readonly bytes: number
}

/** Slots of the table of texts seen once: 32 KiB. */
const rememberedTexts = 8192

/** What an entry costs besides its text: the analysis, two map slots. Measured on ordinary statements, rounded up. */
const overheadBytes = 2048

/**
 * Analyses by text, least recently used first out, bounded in bytes. One level by catalog and name context, one by text: a hit is
 * two look-ups and allocates nothing. What looks at prepared statements or cursors is not kept, for those change under the same text.
 */
export class AnalysisCache {
  readonly #maxBytes: number
  readonly #byNames = new Map<string, Map<string, Entry>>()
  readonly #generations = new WeakMap<Catalog, number>()
  readonly #remembered = new Int32Array(rememberedTexts)
  #generation = 0
  #bytes = 0
  #lastKey = ''
  #lastCatalog: Catalog | undefined
  #lastClean: boolean | undefined
  #last: Map<string, Entry> | undefined

  /** @param maxBytes estimate of memory held */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Bytes held, as estimated. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * The analysis from the cache, or a new one.
   * @param key tells name contexts apart: equal keys must mean equal search path, role, database and temporary relations
   * @throws {AnalysisError} what `analyse` throws; failures aren't kept
   */
  analyse(text: string, catalog: Catalog, names: NameContext, key: string, analyse: Analyse): Analysis {
    const level = this.#level(catalog, names, key)
    const hit = level.get(text)
    if (hit) {
      // Moving every hit to the end would cost two writes; a hit moves only when the map has grown since.
      if (this.#bytes * 2 > this.#maxBytes) {
        level.delete(text)
        level.set(text, hit)
      }
      return hit.analysis
    }
    const analysis = analyse(text, catalog, names)
    if (this.#seenBefore(text) && keepable(analysis)) this.#put(level, text, analysis)
    return analysis
  }

  /**
   * Whether this text came before, as far as a small table of hashes remembers. A text that comes once (literals in a simple
   * query) is not kept: thousands of such analyses would only feed the garbage collector.
   */
  #seenBefore(text: string): boolean {
    let hash = 0x811c9dc5
    for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
    const slot = (hash >>> 0) % rememberedTexts
    if (this.#remembered[slot] === hash) return true
    this.#remembered[slot] = hash
    return false
  }

  #level(catalog: Catalog, names: NameContext, key: string): Map<string, Entry> {
    if (this.#last && this.#lastCatalog === catalog && this.#lastKey === key && this.#lastClean === names.transactionClean) {
      return this.#last
    }
    let generation = this.#generations.get(catalog)
    if (generation === undefined) this.#generations.set(catalog, (generation = ++this.#generation))
    const full = `${String(generation)}\0${names.transactionClean === true ? 'c' : ''}\0${key}`
    let level = this.#byNames.get(full)
    if (level) this.#byNames.delete(full)
    else level = new Map<string, Entry>()
    this.#byNames.set(full, level)
    this.#last = level
    this.#lastKey = key
    this.#lastCatalog = catalog
    this.#lastClean = names.transactionClean
    return level
  }

  #put(level: Map<string, Entry>, text: string, analysis: Analysis): void {
    const bytes = text.length * 4 + overheadBytes * Math.max(1, analysis.statements.length)
    if (bytes * 8 > this.#maxBytes) return
    level.set(text, { analysis, bytes })
    this.#bytes += bytes
    while (this.#bytes > this.#maxBytes && this.#evict(level)) continue
  }

  /** Removes the oldest entry of the level used longest ago. */
  #evict(current: Map<string, Entry>): boolean {
    for (const [key, level] of this.#byNames) {
      for (const [text, entry] of level) {
        level.delete(text)
        this.#bytes -= entry.bytes
        return true
      }
      if (level !== current) this.#byNames.delete(key)
    }
    return false
  }
}

const stateful = new Set(['ExecuteStmt', 'FetchStmt', 'PrepareStmt', 'DeclareCursorStmt', 'ExplainStmt', 'CreateTableAsStmt'])

function keepable(analysis: Analysis): boolean {
  return analysis.statements.every((statement) => !stateful.has(statement.node))
}
