import type { Effect } from '@sallyport/policy'
import { fromAnywhere, type BaseColumn, type Value } from './lineage.js'
import { Names } from './names.js'
import { parseText } from './parser.js'
import { canonical } from './quote.js'
import { Scope } from './scope.js'
import { as } from './ast.js'
import { queryNode } from './recursion.js'
import type { Relation } from './types.js'
import { tooComplex, Walk } from './walk.js'

/** What a view's definition reads and where its columns come from. */
export interface ViewShape {
  readonly effects: readonly Effect[]
  readonly reads: readonly BaseColumn[]
  readonly columns: readonly Value[]
}

const shapes = new WeakMap<Relation, ViewShape>()
const maxViewDepth = 32

/**
 * Looks through a view. Kept with the relation object, which lives as long as its snapshot; not while the current string has
 * changed the catalog.
 */
export function viewShape(walk: Walk, relation: Relation): ViewShape {
  const shared = !walk.names.catalog.changed
  const known = shared ? shapes.get(relation) : undefined
  if (known) return known
  if (walk.views.length >= maxViewDepth || walk.views.includes(relation)) {
    throw tooComplex(`reads views nested too deeply (${canonical(relation.schema, relation.name)})`)
  }
  const shape = analyseDefinition(walk, relation)
  if (shared) shapes.set(relation, shape)
  return shape
}

function analyseDefinition(walk: Walk, relation: Relation): ViewShape {
  const text = relation.definition ?? ''
  const query = parseText(text)[0]?.node
  if (!query || !as(query, 'SelectStmt')) return { effects: [], reads: [], columns: relation.columns.map(() => fromAnywhere) }
  const { catalog, context } = walk.names
  // Definitions are printed by the server: names that its path at that time did not show carry their schema.
  const own = relation.oid === 0
  const path = own ? walk.names.searchPath : (catalog.definitionPath ?? [])
  const temporary = own || relation.schema.startsWith('pg_temp')
  const inner = new Walk(new Names(catalog, context, path, temporary), '', walk.budget, [...walk.views, relation])
  const shape = queryNode(inner, new Scope(undefined), query)
  const columns = relation.columns.map((_, index) => (shape.open ? fromAnywhere : (shape.columns[index]?.value ?? fromAnywhere)))
  return { effects: inner.finish(), reads: [...inner.reads], columns }
}
