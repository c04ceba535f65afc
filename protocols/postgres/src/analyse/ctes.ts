import { as, strings, type Body } from './ast.js'
import { computed, noSources, type NamedValue, type Value } from './lineage.js'
import { Scope, type CteShape } from './scope.js'
import { queryNode } from './recursion.js'
import { tooComplex, type Walk } from './walk.js'

/** Rounds after which a recursive WITH must have settled: lineage only grows, one column a round at the least. */
const maxRounds = 200

/**
 * WITH: each query sees those before it. WITH RECURSIVE: each sees itself and all its siblings, also later ones, so the whole list
 * is gone through until no lineage grows any more. (A forward reference taken for a table of the same name would hide where values
 * come from.)
 */
export function withClause(walk: Walk, scope: Scope, clause: Body<'WithClause'>): void {
  const list = (clause.ctes ?? [])
    .map((node) => as(node, 'CommonTableExpr'))
    .filter((cte): cte is Body<'CommonTableExpr'> => cte !== undefined)
  if (!clause.recursive) {
    for (const cte of list) scope.ctes.set(cte.ctename ?? '', shapeOf(walk, scope, cte))
    return
  }
  for (const cte of list) scope.ctes.set(cte.ctename ?? '', { columns: [], open: true, rest: noSources })
  let before = ''
  for (let round = 0; round < maxRounds; round++) {
    for (const cte of list) scope.ctes.set(cte.ctename ?? '', shapeOf(walk, scope, cte))
    const after = list.map((cte) => signature(scope.ctes.get(cte.ctename ?? ''))).join(';')
    if (after === before) return
    before = after
  }
  throw tooComplex('has a recursive WITH too large')
}

function signature(shape: CteShape | undefined): string {
  if (!shape) return ''
  const counts = shape.columns.map((column) => String(column.value.sources.length))
  return `${String(shape.open)}${String(shape.rest.sources.length)}:${counts.join(',')}`
}

function shapeOf(walk: Walk, scope: Scope, cte: Body<'CommonTableExpr'>): CteShape {
  const shape = cte.ctequery ? queryNode(walk, new Scope(scope), cte.ctequery) : { columns: [], open: true, rest: noSources }
  const names = strings(cte.aliascolnames)
  const columns = shape.columns.map((column, index): NamedValue => ({ name: names[index] ?? column.name, value: column.value }))
  for (let index = columns.length; shape.open && index < names.length; index++) {
    columns.push({ name: names[index] ?? '', value: shape.rest })
  }
  const all = (): Value => computed(shape.columns.map((column) => column.value))
  // SEARCH and CYCLE add columns made of the query's own.
  if (cte.search_clause?.search_seq_column !== undefined) columns.push({ name: cte.search_clause.search_seq_column, value: all() })
  if (cte.cycle_clause) {
    columns.push(
      { name: cte.cycle_clause.cycle_mark_column ?? '', value: noSources },
      { name: cte.cycle_clause.cycle_path_column ?? '', value: all() },
    )
  }
  return { columns, open: shape.open, rest: shape.rest }
}
