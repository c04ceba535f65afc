import type { SnapshotCatalog } from '../analyse/index.js'

export interface SharedCatalog {
  readonly catalog: SnapshotCatalog
  /** Monotonic milliseconds. */
  readonly loadedAt: number
}

/** A snapshot older than this is loaded again by the next statement that needs one. */
export const catalogMaxAgeMilliseconds = 60_000

/**
 * Snapshots of targets' catalogs, shared by the sessions of one agent: keyed by address, database and role, because
 * what a role sees may differ. Bounded: least recently stored goes first.
 */
export class CatalogStore {
  readonly #entries = new Map<string, SharedCatalog>()
  readonly #maxEntries: number

  constructor(maxEntries = 64) {
    this.#maxEntries = maxEntries
  }

  get(key: string): SharedCatalog | undefined {
    return this.#entries.get(key)
  }

  publish(key: string, catalog: SnapshotCatalog): SharedCatalog {
    const shared = { catalog, loadedAt: performance.now() }
    this.#entries.delete(key)
    this.#entries.set(key, shared)
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#maxEntries) break
      this.#entries.delete(oldest)
    }
    return shared
  }

  /** DDL was committed: nobody goes on with the old snapshot. */
  invalidate(key: string): void {
    this.#entries.delete(key)
  }
}
