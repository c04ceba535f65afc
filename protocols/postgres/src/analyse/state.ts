import type { Names } from './names.js'
import type { OverlayCatalog } from './overlay.js'
import type { CursorInfo, PreparedStatement, StateChange } from './types.js'
import type { Budget } from './walk.js'

/**
 * What statements of one query string leave for the later ones. The server analyses each one only when those before it have run,
 * so their changes are simulated; what can't be simulated makes names undecided.
 */
export class StringState {
  names: Names
  readonly prepared: Map<string, PreparedStatement>
  readonly cursors: Map<string, CursorInfo>
  #touched = false

  constructor(
    names: Names,
    readonly overlay: OverlayCatalog,
    readonly budget: Budget,
    readonly text: string,
  ) {
    this.names = names
    this.prepared = new Map(names.context.prepared)
    this.cursors = new Map(names.context.cursors)
  }

  /** Takes over what a statement changed. */
  apply(changes: readonly StateChange[], localPath: readonly string[] | undefined, unsimulated: string | undefined): void {
    for (const change of changes) this.#apply(change, localPath)
    if (unsimulated !== undefined) this.names = this.names.withUndecided({ scope: 'all', why: unsimulated })
  }

  #apply(change: StateChange, localPath: readonly string[] | undefined): void {
    switch (change.kind) {
      case 'search_path': {
        this.#touched = true
        const path = change.value === 'unknown' ? localPath : change.value
        this.names =
          path === undefined ? this.names.withUndecided({ scope: 'path', why: 'it changes search_path' }) : this.names.withPath(path)
        return
      }
      case 'session_reset':
        this.#touched = true
        this.names = this.names.withUndecided({ scope: 'all', why: 'it may change the role or settings' })
        return
      case 'catalog':
        this.#touched = true
        return
      case 'prepare':
        this.prepared.set(change.name, change.statement)
        return
      case 'deallocate':
        if (change.name === 'all') this.prepared.clear()
        else this.prepared.delete(change.name)
        return
      case 'cursor':
        this.cursors.set(change.name, change.cursor)
        return
      case 'close_cursor':
        if (change.name === 'all') this.cursors.clear()
        else this.cursors.delete(change.name)
        return
      case 'transaction':
        this.#transaction(change.verb)
    }
  }

  /** The end of a transaction undoes SET LOCAL, and a rollback everything that was set or made in it. */
  #transaction(verb: (StateChange & { kind: 'transaction' })['verb']): void {
    const undoes = verb === 'rollback' || verb === 'rollback_to'
    if (!undoes && verb !== 'commit') return
    const clean = this.names.context.transactionClean === true || !this.names.catalog.complete
    if (clean && !(undoes && this.#touched)) return
    this.names = this.names.withUndecided({ scope: 'all', why: 'the end of the transaction may undo changes of settings and tables' })
  }
}
