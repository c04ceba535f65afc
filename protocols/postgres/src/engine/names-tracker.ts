import {
  AnalysisCache,
  AnalysisError,
  analyse,
  catalogQueries,
  parseCatalogRows,
  parseSessionRow,
  sessionQuery,
  type Analysis,
  type Catalog,
  type NameContext,
  type Relation,
  type SnapshotCatalog,
  type StatementAnalysis,
} from '../analyse/index.js'
import { catalogMaxAgeMilliseconds, type CatalogStore } from './catalog-store.js'

/** Runs one of the engine's own queries on the session's connection; resolves to the single text column's rows. */
export type AskTarget = (query: string) => Promise<string[]>

/** A failed look-up may mean that somebody else has just made the object; asked again at most this often. */
const retryMilliseconds = 1000

/**
 * Knows what names mean on this connection: search path, role, temporary schema, prepared statements, cursors and the
 * catalog. Whatever could have changed them marks them stale, and the target is asked before the next statement is
 * analysed: the server's answer, not our guess, is what names are resolved with.
 */
export class NamesTracker {
  readonly #store: CatalogStore
  readonly #key: string
  readonly #cache: AnalysisCache
  #catalog: SnapshotCatalog | undefined
  #loadedAt = 0
  #context: NameContext = { searchPath: [], currentUser: '', database: '', prepared: new Map(), cursors: new Map(), transactionClean: true }
  #contextText = ''
  #staleNames = true
  #staleCatalog = false
  /** Changed inside the open transaction: its end may undo it. */
  #namesTouched = false
  #catalogTouched = false
  #lastRetry = -Infinity
  #generation = 0

  constructor(store: CatalogStore, key: string, cache: AnalysisCache) {
    this.#store = store
    this.#key = key
    this.#cache = cache
    this.#adoptShared()
  }

  /** Bumped whenever a name may mean something else. */
  get generation(): number {
    return this.#generation
  }

  get catalog(): Catalog {
    if (!this.#catalog) throw new AnalysisError('unresolved', "the target's catalog has not been read yet", 'Try again.')
    return this.#catalog
  }

  get context(): NameContext {
    return this.#context
  }

  relationByOid(oid: number): Relation | undefined {
    return this.#context.temporary?.find((relation) => relation.oid === oid) ?? this.catalog.relationByOid(oid)
  }

  relationNamed(canonical: string): Relation | undefined {
    return this.catalog.relationNamed(canonical)
  }

  get stale(): boolean {
    return this.#staleNames || this.#staleCatalog || !this.#catalog
  }

  /** Marks an aged snapshot; called between statements. */
  checkAge(): void {
    if (performance.now() - this.#loadedAt <= catalogMaxAgeMilliseconds) return
    const shared = this.#store.get(this.#key)
    if (shared && performance.now() - shared.loadedAt <= catalogMaxAgeMilliseconds) this.#adoptShared()
    else this.#staleCatalog = true
  }

  async refresh(ask: AskTarget): Promise<void> {
    if (this.#staleCatalog || !this.#catalog) {
      const rows: string[] = []
      for (const query of catalogQueries) rows.push(...(await ask(query)))
      this.#catalog = parseCatalogRows(rows)
      this.#loadedAt = performance.now()
      // Inside a transaction the snapshot may hold what will be rolled back: it stays this session's own.
      if (!this.#catalogTouched) this.#store.publish(this.#key, this.#catalog)
      this.#staleCatalog = false
      this.#generation += 1
    }
    if (this.#staleNames) {
      const [row] = await ask(sessionQuery)
      if (row === undefined) throw new AnalysisError('unresolved', "the session's search_path could not be read", 'Try again.')
      if (row !== this.#contextText) {
        this.#contextText = row
        this.#context = { ...this.#context, ...parseSessionRow(row) }
        this.#generation += 1
      }
      this.#staleNames = false
    }
  }

  analyse(text: string): Analysis {
    return this.#cache.analyse(text, this.catalog, this.#context, this.#contextText, analyse)
  }

  /** After "unresolved": whether asking the target again is worth it. */
  retryUnresolved(): boolean {
    const now = performance.now()
    if (now - this.#lastRetry < retryMilliseconds || now - this.#loadedAt < retryMilliseconds) return false
    this.#lastRetry = now
    this.#staleCatalog = true
    return true
  }

  /** A statement failed. What it prepared, declared or dropped it did not; what names mean is asked again when it might have. */
  failed(analysis: StatementAnalysis): void {
    if (analysis.changes.length === 0) return
    this.#touchNames()
    if (analysis.changes.some((change) => change.kind === 'catalog')) this.#touchCatalog()
  }

  /** The protocol made or closed a statement of this name: no PREPARE is behind it any more. */
  forgetPrepared(name: string): void {
    if (!this.#context.prepared.has(name)) return
    this.#context = { ...this.#context, prepared: without(this.#context.prepared, name) }
    this.#generation += 1
  }

  /** The protocol made or closed a portal of this name: no DECLARE is behind it any more. */
  forgetCursor(name: string): void {
    if (!this.#context.cursors.has(name)) return
    this.#context = { ...this.#context, cursors: without(this.#context.cursors, name) }
    this.#generation += 1
  }

  /** A statement ran to its end. Returns the names of statements that it deallocated ('all' for every one). */
  completed(analysis: StatementAnalysis): string | undefined {
    let deallocated: string | undefined
    for (const change of analysis.changes) {
      switch (change.kind) {
        case 'search_path':
        case 'session_reset':
          this.#touchNames()
          break
        case 'catalog':
          this.#touchNames()
          this.#touchCatalog()
          break
        case 'prepare':
          // What was parsed under this name is gone, or the server would have refused.
          deallocated = change.name
          this.#context = { ...this.#context, prepared: new Map(this.#context.prepared).set(change.name, change.statement) }
          this.#generation += 1
          break
        case 'deallocate':
          deallocated = change.name
          this.#context = { ...this.#context, prepared: without(this.#context.prepared, change.name) }
          this.#generation += 1
          break
        case 'cursor':
          this.#context = { ...this.#context, cursors: new Map(this.#context.cursors).set(change.name, change.cursor) }
          this.#generation += 1
          break
        case 'close_cursor':
          this.#context = { ...this.#context, cursors: without(this.#context.cursors, change.name) }
          this.#generation += 1
          break
        case 'transaction':
          // In an extended batch the transaction's end is not followed by a ReadyForQuery of its own.
          if (change.verb === 'rollback_to' || change.verb === 'rollback' || change.verb === 'commit') this.#undo()
          break
      }
    }
    // A function's body can do what its caller can: set the search path, create a table.
    if (analysis.effects.some((effect) => effect.action === 'sql.code' || effect.action === 'sql.call')) {
      this.#touchNames()
    }
    if (analysis.effects.some((effect) => effect.action === 'sql.code')) this.#touchCatalog()
    return deallocated
  }

  /** The transaction is over: what it had set may be undone, what it had created is now everybody's. */
  transactionEnded(): void {
    if (this.#context.cursors.size > 0) this.#context = { ...this.#context, cursors: heldOf(this.#context.cursors) }
    if (this.#catalogTouched) this.#store.invalidate(this.#key)
    this.#undo()
    if (!this.#namesTouched && !this.#catalogTouched) return
    this.#namesTouched = false
    this.#catalogTouched = false
    this.#context = { ...this.#context, transactionClean: true }
  }

  #touchNames(): void {
    this.#staleNames = true
    this.#namesTouched = true
    this.#context = { ...this.#context, transactionClean: false }
  }

  #touchCatalog(): void {
    this.#staleCatalog = true
    this.#catalogTouched = true
    this.#context = { ...this.#context, transactionClean: false }
  }

  #undo(): void {
    if (this.#namesTouched) this.#staleNames = true
    if (this.#catalogTouched) this.#staleCatalog = true
  }

  #adoptShared(): void {
    const shared = this.#store.get(this.#key)
    if (!shared) return
    this.#catalog = shared.catalog
    this.#loadedAt = shared.loadedAt
    this.#generation += 1
  }
}

/** Cursors that outlive their transaction (WITH HOLD). */
function heldOf(cursors: NameContext['cursors']): NameContext['cursors'] {
  return new Map([...cursors].filter(([, cursor]) => cursor.hold === true))
}

function without<T>(map: ReadonlyMap<string, T>, name: string): Map<string, T> {
  if (name === 'all') return new Map()
  const copy = new Map(map)
  copy.delete(name)
  return copy
}
