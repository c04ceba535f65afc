import type { JsonObject } from '@sallyport/policy'
import { noSources, type BaseColumn, type Value } from './lineage.js'
import type { ResolvedRelation } from './names.js'
import { relationItem } from './relations.js'
import { newItem, Scope } from './scope.js'
import { children } from './expressions.js'
import type { QueryShape } from './select.js'
import type { StringState } from './state.js'
import type { CopyInfo, Output, StatementAnalysis, StoredValue } from './types.js'
import { Walk } from './walk.js'

/** One statement while its handler works on it. */
export interface Statement {
  readonly walk: Walk
  readonly state: StringState
  /** The statement's own text. */
  readonly text: string
  output: Output
  copy?: CopyInfo
  endsTransaction: boolean
  /** What later statements of the string can't know, when the change could not be simulated. */
  unsimulated?: string
}

export const noOutput: Output = { kind: 'none' }

/** The result's columns as lineage. */
export function outputOf(shape: QueryShape): Output {
  if (shape.open) return { kind: 'unknown' }
  return {
    kind: 'columns',
    columns: shape.columns.map(({ name, value }) => ({ name, sources: names(value), direct: value.direct && value.sources.length > 0 })),
  }
}

function names(value: Value): string[] {
  if (value.sources.length === 1) return [value.sources[0]?.full ?? '']
  return [...new Set(value.sources.map((source) => source.full))]
}

/** A result of fixed columns that shows nothing of the data. */
export function plainOutput(...columns: string[]): Output {
  return { kind: 'columns', columns: columns.map((name) => ({ name, sources: [], direct: false })) }
}

/** A scope for expressions in a definition: columns are those of the object defined, among them some that are only now added. */
function definitionScope(walk: Walk, table: ResolvedRelation | undefined): Scope {
  const scope = new Scope(undefined)
  const item = table ? relationItem(walk, table, {}) : newItem({ alias: '', columns: [], open: true, base: true })
  scope.items.push({ ...item, open: true, other: () => noSources })
  return scope
}

/** Expressions that run now: index expressions, ALTER TABLE … USING, partition bounds. Returns where their values come from. */
export function runExpressions(statement: Statement, node: object | undefined, table?: ResolvedRelation): Value {
  return node ? children(statement.walk, definitionScope(statement.walk, table), node) : noSources
}

/**
 * Expressions that are only stored: defaults, checks. What they call is implied: deny and hold rules see it. Returns the columns that
 * they read.
 */
export function storedExpressions(statement: Statement, node: object | undefined, table?: ResolvedRelation): readonly BaseColumn[] {
  if (!node) return []
  const inner = new Walk(statement.walk.names, statement.walk.text, statement.walk.budget)
  children(inner, definitionScope(inner, table), node)
  statement.walk.effects.addAll(inner.finish(), { implied: true, details: { stored: true } })
  return [...inner.reads]
}

/** The catalog changes; later statements of the string see it when it was simulated. */
export function catalogChanged(statement: Statement, unsimulated?: string): void {
  statement.walk.changes.push({ kind: 'catalog' })
  if (unsimulated !== undefined) statement.unsimulated = unsimulated
}

export function add(statement: Statement, action: string, resource: string, details?: JsonObject): void {
  statement.walk.effects.add(action, resource, details === undefined ? {} : { details })
}

export function harmless(statement: Statement, action: string, resource: string, details?: JsonObject): void {
  statement.walk.effects.add(action, resource, { harmless: true, ...(details === undefined ? {} : { details }) })
}

/** The result of a statement's handler. */
export function finishStatement(statement: Statement, node: string): StatementAnalysis {
  const { walk } = statement
  if (walk.callsVolatile) walk.changes.push({ kind: 'session_reset' })
  const reads = new Set<string>()
  for (const column of walk.reads) reads.add(column.full)
  const stores = walk.stores.map(({ value, into }): StoredValue => ({
    sources: value.map((column) => column.full),
    ...(into === undefined ? {} : { into }),
  }))
  return {
    text: statement.text,
    node,
    effects: walk.finish(),
    output: statement.output,
    reads: [...reads],
    rows: [...new Set([...walk.rows].map((column) => column.full))],
    stores,
    changes: walk.changes,
    ...(statement.copy ? { copy: statement.copy } : {}),
    endsTransaction: statement.endsTransaction,
  }
}
