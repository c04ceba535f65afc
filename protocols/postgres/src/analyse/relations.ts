import type { JsonObject } from '@sallyport/policy'
import { qualifiedOf, strings, type Body } from './ast.js'
import { union, type BaseColumn, type NamedValue, type Value } from './lineage.js'
import type { ResolvedRelation } from './names.js'
import { quoteIdent } from './quote.js'
import { newItem, renamed, type ScopeItem } from './scope.js'
import { systemRelation } from './system-catalogs.js'
import type { Relation } from './types.js'
import { viewShape } from './views.js'
import type { Walk } from './walk.js'

/** What a relation's columns stand for, interned: one array per relation of a snapshot. */
interface Shape {
  readonly columns: readonly NamedValue[]
  readonly ancestors: readonly string[]
  readonly descendants: readonly string[]
}

const shapes = new WeakMap<Relation, Shape>()

/** `schema.table` as the catalog writes it, back into its parts. */
export function parseCanonical(name: string): { schema: string; name: string } {
  const parts: string[] = []
  for (const match of name.matchAll(/"((?:[^"]|"")*)"|([^".]+)/g)) parts.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? '')
  return { schema: parts[0] ?? '', name: parts[1] ?? '' }
}

/** The relation that a RangeVar names. @throws {AnalysisError} unresolved */
export function resolveRangeVar(walk: Walk, range: Body<'RangeVar'>): ResolvedRelation {
  const name = qualifiedOf([range.catalogname, range.schemaname, range.relname].filter((part): part is string => part !== undefined))
  const found = walk.names.relation(name)
  if (found) return found
  const shown = [range.schemaname, range.relname]
    .filter((part): part is string => part !== undefined)
    .map(quoteIdent)
    .join('.')
  const searched =
    range.schemaname === undefined
      ? `not found in ${walk.names.describePath()}`
      : `schema ${quoteIdent(range.schemaname)} has no such relation`
  throw walk.unresolved(
    `relation ${shown} does not exist (${searched})`,
    'Check the spelling and the schema. If an earlier statement of the same text creates it, send the statements separately.',
    range.location,
  )
}

/** Reads a relation in FROM: its effects, and what its columns stand for. */
export function readRelation(walk: Walk, resolved: ResolvedRelation, range: Body<'RangeVar'>): ScopeItem {
  selectEffect(walk, resolved, range.inh === true)
  return relationItem(walk, resolved, range)
}

/** A relation as FROM item, without effects: the target of UPDATE, DELETE, MERGE, INSERT. */
export function relationItem(
  walk: Walk,
  resolved: ResolvedRelation,
  range: { readonly alias?: Body<'Alias'>; readonly relname?: string },
): ScopeItem {
  const { relation, resource } = resolved
  const alias = range.alias?.aliasname
  const open = relation === undefined
  const other = (name: string): Value => ({ sources: [walk.assumedColumn(resource, name)], direct: name !== '*' })
  let columns: readonly NamedValue[] = relation ? columnsOf(walk, resolved, relation) : []
  const names = strings(range.alias?.colnames)
  if (names.length > 0) columns = renamed(columns, names, open, other)
  const named = { alias: alias ?? resolved.name, ...(alias === undefined ? { schema: resolved.schema } : {}) }
  return newItem({ ...named, columns, open, other, base: true, resource })
}

/** The effect of reading a relation, with what follows from it: parents, partitions, what a view looks at. */
export function selectEffect(walk: Walk, resolved: ResolvedRelation, inherit: boolean, details?: JsonObject): void {
  const kind = systemRelation(resolved.schema, resolved.name)
  const facts: JsonObject = {
    ...details,
    ...(kind === 'sensitive' ? { sensitive: true } : {}),
    ...(resolved.temporary ? { temp: true } : {}),
  }
  walk.effects.add('sql.select', resolved.resource, { harmless: kind === 'harmless', details: facts })
  const relation = resolved.relation
  if (!relation || kind !== undefined) return
  relatives(walk, resolved, relation, 'sql.select', inherit)
  if (relation.definition !== undefined) {
    const view = viewShape(walk, relation)
    walk.effects.addAll(view.effects, { implied: true, details: { via: [resolved.resource] } })
    for (const column of view.reads) walk.reads.add(column)
  }
}

/**
 * Notes that rows of a relation, its partitions and what lies under a view are written or checked. `null value in column "name"`
 * comes with the whole row in its DETAIL.
 */
export function touchRows(walk: Walk, resolved: ResolvedRelation): void {
  const { relation, resource } = resolved
  if (!relation) return void walk.rows.add(walk.assumedColumn(resource, '*'))
  for (const column of columnsOf(walk, resolved, relation)) for (const source of column.value.sources) walk.rows.add(source)
  for (const name of shapeOf(walk, resolved, relation).descendants) {
    const child = walk.names.catalog.relationNamed(name)
    walk.charge(child?.columns.length ?? 1)
    for (const column of child?.columns ?? []) walk.rows.add(baseColumn(name, column.name))
  }
}

/** Implied effects of the same action on parents and, unless ONLY, on partitions and inheriting tables. */
export function relatives(
  walk: Walk,
  resolved: ResolvedRelation,
  relation: Relation,
  action: string,
  inherit: boolean,
  details?: JsonObject,
): void {
  if (relation.parents.length === 0 && relation.children.length === 0) return
  const shape = shapeOf(walk, resolved, relation)
  const options = { implied: true, details: { ...details, via: [resolved.resource] } }
  for (const name of shape.ancestors) walk.effects.add(action, name, options)
  if (inherit) for (const name of shape.descendants) walk.effects.add(action, name, options)
}

function columnsOf(walk: Walk, resolved: ResolvedRelation, relation: Relation): readonly NamedValue[] {
  walk.charge(relation.columns.length)
  const base = shapeOf(walk, resolved, relation).columns
  const copied = walk.names.catalog.lineage(relation)
  if (copied) return base.map((column) => withSources(column, copied.get(column.name)))
  if (relation.definition === undefined || systemRelation(relation.schema, relation.name) !== undefined) return base
  const view = viewShape(walk, relation)
  return base.map((column, index) => withSources(column, view.columns[index]))
}

function withSources(column: NamedValue, more: Value | undefined): NamedValue {
  if (!more || more.sources.length === 0) return column
  return { name: column.name, value: { sources: union([column.value.sources, more.sources]), direct: more.direct } }
}

function shapeOf(walk: Walk, resolved: ResolvedRelation, relation: Relation): Shape {
  const known = shapes.get(relation)
  if (known) return known
  const ancestors = closure(walk, relation, 'parents')
  const descendants = closure(walk, relation, 'children')
  // A mask on the parent must also hit what is read through the partition's own name, and the other way round.
  const tables = [...ancestors, ...nearby(descendants)]
  const columns = relation.columns.map((column): NamedValue => {
    const sources = [baseColumn(resolved.resource, column.name), ...tables.map((table) => baseColumn(table, column.name))]
    return { name: column.name, value: { sources, direct: true } }
  })
  const shape: Shape = { columns, ancestors, descendants }
  shapes.set(relation, shape)
  return shape
}

/** Partitions beyond this many are named together, as any table of their schemas: doubt counts for a mask, and lists stay short. */
const maxPartitionsNamed = 64

function nearby(descendants: readonly string[]): readonly string[] {
  if (descendants.length <= maxPartitionsNamed) return descendants
  return [...new Set(descendants.map((name) => `${quoteIdent(parseCanonical(name).schema)}.*`))]
}

function closure(walk: Walk, relation: Relation, direction: 'parents' | 'children'): string[] {
  const seen = new Set<string>()
  const queue = [...relation[direction]]
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (seen.has(name)) continue
    seen.add(name)
    queue.push(...(walk.names.catalog.relationNamed(name)?.[direction] ?? []))
  }
  return [...seen]
}

function baseColumn(resource: string, name: string): BaseColumn {
  const column = quoteIdent(name)
  return { table: resource, column, full: `${resource}.${column}` }
}
