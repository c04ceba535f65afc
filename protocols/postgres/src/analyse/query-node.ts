import { as, kindOf, type Node } from './ast.js'
import { deleteQuery, insertQuery, mergeQuery, updateQuery } from './dml.js'
import { children } from './expressions.js'
import { noSources } from './lineage.js'
import type { Scope } from './scope.js'
import { selectQuery, type QueryShape } from './select.js'
import type { Walk } from './walk.js'

/** Any statement that may stand where a query is expected. @param scope a new level of its own */
export function queryNode(walk: Walk, scope: Scope, node: Node): QueryShape {
  walk.enter()
  let shape: QueryShape
  const kind = kindOf(node)
  switch (kind) {
    case 'SelectStmt':
      shape = selectQuery(walk, scope, as(node, kind) ?? {})
      break
    case 'InsertStmt':
      shape = insertQuery(walk, scope, as(node, kind) ?? {})
      break
    case 'UpdateStmt':
      shape = updateQuery(walk, scope, as(node, kind) ?? {})
      break
    case 'DeleteStmt':
      shape = deleteQuery(walk, scope, as(node, kind) ?? {})
      break
    case 'MergeStmt':
      shape = mergeQuery(walk, scope, as(node, kind) ?? {})
      break
    default:
      walk.effects.add('sql.unknown', kind, { details: { mustName: true } })
      children(walk, scope, node)
      shape = { columns: [], open: true, rest: noSources }
  }
  walk.leave()
  return shape
}
