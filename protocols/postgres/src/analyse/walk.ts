import { EffectSet } from './effects.js'
import type { BaseColumn, Value } from './lineage.js'
import type { Names } from './names.js'
import type { Effect } from '@sallyport/policy'
import { quoteIdent } from './quote.js'
import { AnalysisError, type Relation, type StateChange } from './types.js'

/** Nesting that the walk follows. Beyond it the JavaScript stack is at risk; the server's own limit is near. */
const maxDepth = 700
/** Steps over nodes and columns per query string: bounds views of views of wide tables, chains of CTEs that double. */
const maxWork = 1_000_000

/** A value that is stored, and the column that takes it. */
export interface Stored {
  readonly value: readonly BaseColumn[]
  readonly into?: string
}

export interface Budget {
  work: number
}

/** State while one statement is analysed. */
export class Walk {
  readonly effects = new EffectSet()
  readonly reads = new Set<BaseColumn>()
  readonly predicates = new Set<BaseColumn>()
  /** Columns of tables whose rows are written or checked: an error may quote a whole row, whatever the statement names. */
  readonly rows = new Set<BaseColumn>()
  readonly changes: StateChange[] = []
  /** Values that the statement stores. */
  readonly stores: Stored[] = []
  /** The search path that SET LOCAL sets for the rest of the string. */
  localPath: readonly string[] | undefined
  /** Above 0 while in WHERE, JOIN, GROUP BY, ORDER BY and the like: columns read there steer the result without being in it. */
  predicate = 0
  /** Column references so far; tells whether a WHERE looks at any. */
  columnsSeen = 0
  /** Views being looked through, innermost last. */
  readonly views: readonly Relation[]
  /** A user function that may change settings or objects is called. */
  callsVolatile = false
  readonly #assumed = new Map<string, BaseColumn>()
  #depth = 0

  constructor(
    readonly names: Names,
    readonly text: string,
    readonly budget: Budget,
    views: readonly Relation[] = [],
  ) {
    this.views = views
  }

  /** A walk over a part of the same statement under other names. */
  withNames(names: Names): Walk {
    return new Walk(names, this.text, this.budget, this.views)
  }

  /** One level deeper; pair with {@link leave}. */
  enter(): void {
    // WITH RECURSIVE inside WITH RECURSIVE is gone through 2ⁿ times: the budget ends that, too.
    this.charge(1)
    if (++this.#depth > maxDepth) throw tooComplex('is nested too deeply')
  }

  leave(): void {
    this.#depth--
  }

  charge(steps: number): void {
    this.budget.work += steps
    if (this.budget.work > maxWork) throw tooComplex('takes too many steps')
  }

  /** Takes over what a part of the statement, walked on its own, reads, writes and stores; its effects are added by the caller. */
  absorb(inner: Walk): void {
    for (const column of inner.reads) this.reads.add(column)
    for (const column of inner.rows) this.rows.add(column)
    this.stores.push(...inner.stores)
    this.callsVolatile ||= inner.callsVolatile
  }

  /** Notes that a value's columns are read. */
  read(value: Value): Value {
    this.columnsSeen++
    for (const source of value.sources) {
      this.reads.add(source)
      if (this.predicate > 0) this.predicates.add(source)
    }
    return value
  }

  /** Notes that a value decides which rows there are, or how many: that tells of it as a predicate does. */
  steer(value: Value): void {
    this.predicate++
    this.read(value)
    this.predicate--
  }

  /** A column of a relation whose columns aren't known, or a system column. */
  assumedColumn(resource: string, name: string): BaseColumn {
    const column = name === '*' ? '*' : quoteIdent(name)
    const full = `${resource}.${column}`
    let known = this.#assumed.get(full)
    if (!known) {
      known = { table: resource, column, full }
      this.#assumed.set(full, known)
    }
    return known
  }

  /** A column out of its full name, as an earlier analysis wrote it. */
  namedColumn(full: string): BaseColumn {
    let known = this.#assumed.get(full)
    if (!known) {
      const { table, column } = splitColumn(full)
      known = { table, column, full }
      this.#assumed.set(full, known)
    }
    return known
  }

  /** An error with the character position of a node; without one in a view's or a prepared statement's own text. */
  unresolved(message: string, hint: string, location?: number): AnalysisError {
    const known = location !== undefined && location >= 0 && this.text !== ''
    return new AnalysisError('unresolved', message, hint, known ? characterAt(this.text, location) : undefined)
  }

  /** The effects, with the columns that were read of each resource. */
  finish(): Effect[] {
    const read = byTable(this.reads)
    const predicates = this.predicates.size === 0 ? undefined : byTable(this.predicates)
    return this.effects.finish((resource) => {
      const columns = read.get(resource)
      return columns && { read: columns, predicates: predicates?.get(resource) ?? [] }
    })
  }
}

function splitColumn(full: string): { table: string; column: string } {
  // The last dot outside quotes.
  const match = /^(.*)\.((?:"(?:[^"]|"")*")|[^".]*)$/s.exec(full)
  return { table: match?.[1] ?? full, column: match?.[2] ?? '*' }
}

function byTable(columns: Iterable<BaseColumn>): Map<string, string[]> {
  const out = new Map<string, string[]>()
  for (const column of columns) {
    const list = out.get(column.table)
    if (list) list.push(column.column)
    else out.set(column.table, [column.column])
  }
  return out
}

export function tooComplex(what: string): AnalysisError {
  return new AnalysisError(
    'too_complex',
    `the statement ${what} to be analysed`,
    'Split it into smaller statements, or use a list (IN, VALUES) instead of a chain.',
  )
}

function characterAt(text: string, byte: number): number {
  return [...Buffer.from(text, 'utf8').subarray(0, byte).toString('utf8')].length + 1
}
