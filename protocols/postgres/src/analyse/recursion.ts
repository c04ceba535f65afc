import type { Node } from './ast.js'
import type { CteShape, Scope } from './scope.js'
import type { Statement } from './statement.js'
import type { Walk } from './walk.js'

/**
 * The grammar is recursive: expressions hold queries, queries hold expressions, EXPLAIN and PREPARE hold statements. The files are
 * not: what lies further up is called through here, bound once where it all comes together.
 */
export interface Recursion {
  queryNode(walk: Walk, scope: Scope, node: Node): CteShape
  runStatement(statement: Statement, node: Node): void
}

let bound: Recursion | undefined

export function bindRecursion(recursion: Recursion): void {
  bound = recursion
}

function recursion(): Recursion {
  if (!bound) throw new TypeError('the analyser is not put together: import it through analyse.ts')
  return bound
}

/** Any statement that may stand where a query is expected. @param scope a new level of its own */
export function queryNode(walk: Walk, scope: Scope, node: Node): CteShape {
  return recursion().queryNode(walk, scope, node)
}

/** Runs the handler of a statement's node. */
export function runStatement(statement: Statement, node: Node): void {
  recursion().runStatement(statement, node)
}
