/** A base column, interned per relation so that sources can be compared by identity. */
export interface BaseColumn {
  /** Canonical relation, `public.orders`. */
  readonly table: string
  /** Quoted where needed; `*` when the relation's columns aren't known. */
  readonly column: string
  /** `public.orders.total`. */
  readonly full: string
}

/**
 * Where an expression's value comes from. `row` is there when it is a whole row whose fields can be picked;
 * `open` says that the row may have fields that aren't known.
 */
export interface Value {
  readonly sources: readonly BaseColumn[]
  /**
   * Exactly one column's value, passed through. Further sources of a direct value are the same column in parents and
   * partitions, or seen through views.
   */
  readonly direct: boolean
  readonly row?: RowShape
}

export interface RowShape {
  readonly columns: readonly NamedValue[]
  readonly open: boolean
}

export interface NamedValue {
  readonly name: string
  readonly value: Value
}

export const noSources: Value = { sources: [], direct: false }

/**
 * Stands for "may come from any column of the database": a function that isn't known to look at its arguments only.
 * Masks must treat it as matching every column pattern.
 */
export const anyColumn: BaseColumn = { table: '*.*', column: '*', full: '*.*.*' }
export const fromAnywhere: Value = { sources: [anyColumn], direct: false }

/** Union of the sources, without doubles. */
export function union(lists: readonly (readonly BaseColumn[])[]): readonly BaseColumn[] {
  let only: readonly BaseColumn[] | undefined
  let filled = 0
  for (const list of lists) {
    if (list.length === 0 || list === only) continue
    filled++
    only = list
  }
  if (filled <= 1) return only ?? noSources.sources
  const all = new Set<BaseColumn>()
  for (const list of lists) for (const column of list) all.add(column)
  return [...all]
}

/** A value computed from others. */
export function computed(values: readonly Value[]): Value {
  if (values.length === 0) return noSources
  const sources = union(values.map((value) => value.sources))
  return sources.length === 0 ? noSources : { sources, direct: false }
}
