import type { NamedValue, RowShape, Value } from './lineage.js'
import { computed, noSources } from './lineage.js'

/** A table, subquery, CTE, function or join as the FROM clause makes it visible (the server's ParseNamespaceItem). */
export interface ScopeItem {
  readonly alias: string
  /** Set when it is a relation without an alias: `schema.table.column` may name it. */
  readonly schema?: string
  readonly columns: readonly NamedValue[]
  /** True when there may be columns that aren't known. */
  readonly open: boolean
  /** The value of a column that isn't known, by name; also ctid and the other system columns. */
  readonly other?: (name: string) => Value
  /** The relation's resource, when it is one. */
  readonly resource?: string
  /** Whether it is a base relation, which has system columns. */
  readonly base: boolean
  /** Names without qualification see its columns; a join that merges columns hides its sides. */
  columnsVisible: boolean
  /** `alias.column` sees it; an aliased join hides its sides. */
  relationVisible: boolean
}

/** What a name in WITH stands for. */
export interface CteShape {
  readonly columns: readonly NamedValue[]
  readonly open: boolean
  /** Where columns that aren't known come from. */
  readonly rest: Value
}

const systemColumns = new Set(['tableoid', 'ctid', 'xmin', 'xmax', 'cmin', 'cmax'])

/** One query level: FROM items and CTEs, inside the level that it is nested in. */
export class Scope {
  readonly items: ScopeItem[] = []
  readonly ctes = new Map<string, CteShape>()
  /** Columns that a named window of this level partitions and orders by. */
  readonly windows = new Map<string, Value>()

  constructor(readonly parent: Scope | undefined) {}

  /** The same level without its FROM items: what a subquery that isn't LATERAL sees, and a branch of a set operation. */
  withoutItems(): Scope {
    const scope = new Scope(this.parent)
    for (const [name, cte] of this.ctes) scope.ctes.set(name, cte)
    return scope
  }

  /** FROM items of this level and those around it. */
  get size(): number {
    let count = 0
    for (let scope: Scope | undefined = this; scope; scope = scope.parent) count += scope.items.length
    return count
  }

  cte(name: string): CteShape | undefined {
    for (let scope: Scope | undefined = this; scope; scope = scope.parent) {
      const found = scope.ctes.get(name)
      if (found) return found
    }
    return undefined
  }

  /**
   * An unqualified column: nearest level first, as the server does. Where two items of a level have the name (an error for the
   * server), or an item's columns aren't known, all that it might be are merged.
   */
  column(name: string): Value | undefined {
    const candidates: Value[] = []
    for (let scope: Scope | undefined = this; scope; scope = scope.parent) {
      let certain = false
      for (const item of scope.items) {
        if (!item.columnsVisible) continue
        const value = find(item.columns, name)
        if (value) {
          candidates.push(value)
          certain = true
        } else if (item.open && item.other) candidates.push(item.other(name))
      }
      if (certain) break
    }
    if (candidates.length === 1) return candidates[0]
    return candidates.length === 0 ? undefined : computed(candidates)
  }

  /** A system column of a base relation, unqualified. */
  systemColumn(name: string): Value | undefined {
    if (!systemColumns.has(name)) return undefined
    for (let scope: Scope | undefined = this; scope; scope = scope.parent) {
      for (const item of scope.items) if (item.base && item.other) return item.other(name)
    }
    return undefined
  }

  window(name: string): Value | undefined {
    for (let scope: Scope | undefined = this; scope; scope = scope.parent) {
      const found = scope.windows.get(name)
      if (found) return found
    }
    return undefined
  }

  /** The FROM item that `alias` or `schema.alias` names. */
  item(alias: string, schema?: string): ScopeItem | undefined {
    for (let scope: Scope | undefined = this; scope; scope = scope.parent) {
      for (const item of scope.items) {
        if (item.relationVisible && item.alias === alias && (schema === undefined || item.schema === schema)) return item
      }
    }
    return undefined
  }
}

export function find(columns: readonly NamedValue[], name: string): Value | undefined {
  let found: Value | undefined
  for (const column of columns) {
    if (column.name !== name) continue
    found = found === undefined ? column.value : computed([found, column.value])
  }
  return found
}

/** A column of an item by its name, system columns included. */
export function columnOf(item: ScopeItem, name: string): Value | undefined {
  const value = find(item.columns, name)
  if (value) return value
  if (item.other && (item.open || (item.base && systemColumns.has(name)))) return item.other(name)
  return undefined
}

/** The item as one value: all its columns. */
export function wholeRow(item: ScopeItem): Value {
  const values = item.columns.map((column) => column.value)
  if (item.open && item.other) values.push(item.other('*'))
  const row: RowShape = { columns: item.columns, open: item.open }
  return { sources: computed(values).sources, direct: false, row }
}

/** Columns renamed by an alias's list: the first ones take the new names. */
export function renamed(
  columns: readonly NamedValue[],
  names: readonly string[],
  open: boolean,
  other?: (name: string) => Value,
): NamedValue[] {
  const out: NamedValue[] = columns.map((column, index) => ({ name: names[index] ?? column.name, value: column.value }))
  // More names than columns known: the rest rename columns that aren't known, so each may be any of them.
  for (let index = columns.length; open && index < names.length; index++) {
    out.push({ name: names[index] ?? '', value: other?.('*') ?? noSources })
  }
  return out
}

export function newItem(item: Omit<ScopeItem, 'columnsVisible' | 'relationVisible'>): ScopeItem {
  return { ...item, columnsVisible: true, relationVisible: true }
}
