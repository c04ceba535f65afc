import type { JsonObject } from '@sallyport/policy'
import { as, kindOf, type Body, type Node } from './ast.js'
import { withClause } from './ctes.js'
import { children, condition, expression } from './expressions.js'
import { fromClause, fromItem } from './from.js'
import { computed, noSources, union, type NamedValue, type Value } from './lineage.js'
import type { ResolvedRelation } from './names.js'
import { quoteIdent } from './quote.js'
import { relationItem, resolveRangeVar, selectEffect } from './relations.js'
import { newItem, Scope, type ScopeItem } from './scope.js'
import { queryNode } from './recursion.js'
import { targetList, type QueryShape } from './select.js'
import { writeEffect } from './writes.js'
import type { Walk } from './walk.js'

const noResult: QueryShape = { columns: [], open: false, rest: noSources }

interface Target {
  readonly resolved: ResolvedRelation
  readonly item: ScopeItem
  readonly inherit: boolean
}

function openTarget(walk: Walk, range: Body<'RangeVar'> | undefined): Target {
  const named = range ?? {}
  const resolved = resolveRangeVar(walk, named)
  return { resolved, item: relationItem(walk, resolved, named), inherit: named.inh === true }
}

export function insertQuery(walk: Walk, scope: Scope, stmt: Body<'InsertStmt'>): QueryShape {
  if (stmt.withClause) withClause(walk, scope, stmt.withClause)
  const target = openTarget(walk, stmt.relation)
  const source = stmt.selectStmt ? queryNode(walk, new Scope(scope), stmt.selectStmt) : noResult
  const named = (stmt.cols ?? []).map((node) => assigned(walk, scope, node))
  const columns = named.length > 0 ? named : firstColumns(target.item, source)
  const values = columns.map((_, index): Value => (source.open ? source.rest : (source.columns[index]?.value ?? noSources)))
  store(walk, target, columns, values)
  writeEffect(walk, target.resolved, 'insert', { details: writeDetails(columns) })
  scope.items.push(target.item)
  if (stmt.onConflictClause) onConflict(walk, scope, target, stmt.onConflictClause, columns, values)
  return returning(walk, scope, target, stmt.returningClause)
}

/** An INSERT without a column list fills the first columns, as many as the source has. */
function firstColumns(item: ScopeItem, source: QueryShape): string[] {
  if (item.open) return ['*']
  const given = source.open ? item.columns.length : source.columns.length
  return item.columns.slice(0, given === 0 ? item.columns.length : given).map((column) => column.name)
}

function onConflict(
  walk: Walk,
  scope: Scope,
  target: Target,
  clause: Body<'OnConflictClause'>,
  inserted: readonly string[],
  values: readonly Value[],
): void {
  if (clause.infer) {
    walk.predicate++
    for (const element of clause.infer.indexElems ?? []) {
      const index = as(element, 'IndexElem')
      if (index?.expr) expression(walk, scope, index.expr)
      else if (index?.name !== undefined) walk.read(scope.column(index.name) ?? noSources)
    }
    walk.predicate--
    condition(walk, scope, clause.infer.whereClause)
  }
  if (clause.action !== 'ONCONFLICT_UPDATE') return
  const inner = new Scope(scope)
  // `excluded` is the row that was to be inserted: its values come from where the inserted ones do.
  const all = computed(values)
  const proposed = target.item.columns.map((column) => ({ name: column.name, value: values[inserted.indexOf(column.name)] ?? noSources }))
  inner.items.push({
    ...newItem({ alias: 'excluded', columns: proposed, open: target.item.open, other: () => all, base: false }),
    columnsVisible: false,
  })
  const columns = assignments(walk, inner, target, clause.targetList)
  condition(walk, inner, clause.whereClause)
  writeEffect(walk, target.resolved, 'update', { details: { ...writeDetails(columns), on_conflict: true } })
  readsTarget(walk, target)
}

export function updateQuery(walk: Walk, scope: Scope, stmt: Body<'UpdateStmt'>): QueryShape {
  if (stmt.withClause) withClause(walk, scope, stmt.withClause)
  const target = openTarget(walk, stmt.relation)
  scope.items.push(target.item)
  fromClause(walk, scope, stmt.fromClause)
  const columns = assignments(walk, scope, target, stmt.targetList)
  const everything = !narrows(walk, scope, stmt.whereClause)
  const details = { ...writeDetails(columns), ...(everything ? { missing_where: true } : {}) }
  writeEffect(walk, target.resolved, 'update', { details, inherit: target.inherit })
  readsTarget(walk, target)
  return returning(walk, scope, target, stmt.returningClause)
}

export function deleteQuery(walk: Walk, scope: Scope, stmt: Body<'DeleteStmt'>): QueryShape {
  if (stmt.withClause) withClause(walk, scope, stmt.withClause)
  const target = openTarget(walk, stmt.relation)
  scope.items.push(target.item)
  fromClause(walk, scope, stmt.usingClause)
  const everything = !narrows(walk, scope, stmt.whereClause)
  writeEffect(walk, target.resolved, 'delete', { details: everything ? { missing_where: true } : {}, inherit: target.inherit })
  readsTarget(walk, target)
  return returning(walk, scope, target, stmt.returningClause)
}

export function mergeQuery(walk: Walk, scope: Scope, stmt: Body<'MergeStmt'>): QueryShape {
  if (stmt.withClause) withClause(walk, scope, stmt.withClause)
  const target = openTarget(walk, stmt.relation)
  if (stmt.sourceRelation) fromItem(walk, scope, stmt.sourceRelation)
  scope.items.unshift(target.item)
  condition(walk, scope, stmt.joinCondition)
  writeMerge(walk, target)
  for (const node of stmt.mergeWhenClauses ?? []) {
    const when = as(node, 'MergeWhenClause')
    if (!when) continue
    condition(walk, scope, when.condition)
    mergeAction(walk, scope, target, when)
  }
  readsTarget(walk, target)
  return returning(walk, scope, target, stmt.returningClause)
}

function writeMerge(walk: Walk, target: Target): void {
  walk.effects.add('sql.merge', target.resolved.resource, { details: target.resolved.temporary ? { temp: true } : {} })
}

function mergeAction(walk: Walk, scope: Scope, target: Target, when: Body<'MergeWhenClause'>): void {
  const options = { inherit: target.inherit }
  switch (when.commandType) {
    case 'CMD_INSERT': {
      const values = (when.values ?? []).map((value) => expression(walk, scope, value))
      const named = (when.targetList ?? []).map((node) => assigned(walk, scope, node))
      const columns =
        named.length > 0 ? named : target.item.open ? ['*'] : target.item.columns.slice(0, values.length).map((column) => column.name)
      store(walk, target, columns, values)
      writeEffect(walk, target.resolved, 'insert', { details: { ...writeDetails(columns), merge: true }, ...options })
      return
    }
    case 'CMD_UPDATE': {
      const columns = assignments(walk, scope, target, when.targetList)
      writeEffect(walk, target.resolved, 'update', { details: { ...writeDetails(columns), merge: true }, ...options })
      return
    }
    case 'CMD_DELETE':
      writeEffect(walk, target.resolved, 'delete', { details: { merge: true }, ...options })
      return
    case 'CMD_NOTHING':
      return
    default:
      walk.effects.add('sql.unknown', `MERGE ${String(when.commandType)}`, { details: { mustName: true } })
  }
}

/** The column that a target names; subscripts in it are expressions of their own. */
function assigned(walk: Walk, scope: Scope, node: Node): string {
  const target = as(node, 'ResTarget')
  for (const step of target?.indirection ?? []) if (kindOf(step) === 'A_Indices') expression(walk, scope, step)
  return target?.name ?? ''
}

function assignments(walk: Walk, scope: Scope, target: Target, nodes: readonly Node[] | undefined): string[] {
  const columns: string[] = []
  let multiple: Value = noSources
  for (const node of nodes ?? []) {
    const column = assigned(walk, scope, node)
    columns.push(column)
    const given = as(node, 'ResTarget')?.val
    if (!given) continue
    const part = as(given, 'MultiAssignRef')
    // (a, b) = (…): every column carries the whole source; it is walked once and counts for each.
    const value = !part ? expression(walk, scope, given) : part.colno === 1 && part.source ? expression(walk, scope, part.source) : multiple
    if (part) multiple = computed([value])
    store(walk, target, [column], [value])
  }
  return columns
}

/** Notes what is stored where: a masked column copied into another one would be read unmasked there. */
function store(walk: Walk, target: Target, columns: readonly string[], values: readonly Value[]): void {
  for (const [index, value] of values.entries()) {
    if (value.sources.length === 0) continue
    const name = columns[index]
    const into = name === undefined || name === '*' ? undefined : `${target.resolved.resource}.${quoteIdent(name)}`
    walk.stores.push({ value: value.sources, ...(into === undefined ? {} : { into }) })
  }
}

function writeDetails(columns: readonly string[]): JsonObject {
  return { columns_written: columns.map((name) => (name === '*' ? name : quoteIdent(name))) }
}

/** Walks WHERE. False when it is missing or looks at no column at all (`WHERE true`, `WHERE 1 = 1`). */
function narrows(walk: Walk, scope: Scope, where: Node | undefined): boolean {
  if (!where) return false
  if (as(where, 'CurrentOfExpr')) return true
  const before = walk.columnsSeen
  condition(walk, scope, where)
  return walk.columnsSeen > before
}

/**
 * What WHERE, SET and ON read of the target is read by a command that was allowed to write it: implied, so that deny and
 * hold still see it.
 */
function readsTarget(walk: Walk, target: Target): void {
  const { resource } = target.resolved
  for (const column of walk.reads) {
    if (column.table !== resource) continue
    walk.effects.add('sql.select', resource, { implied: true })
    return
  }
}

/** RETURNING gives rows back: a read of the target in its own right. */
function returning(walk: Walk, scope: Scope, target: Target, clause: Body<'ReturningClause'> | undefined): QueryShape {
  if (!clause?.exprs) return noResult
  const inner = new Scope(scope.parent)
  for (const [name, cte] of scope.ctes) inner.ctes.set(name, cte)
  // What was just stored in a column comes back from it.
  const item = { ...target.item, columns: written(walk, target) }
  inner.items.push(...scope.items.map((one) => (one === target.item ? item : one)))
  const names = { old: 'old', new: 'new' }
  for (const node of clause.options ?? []) {
    const option = as(node, 'ReturningOption')
    if (option?.value === undefined) continue
    if (option.option === 'RETURNING_OPTION_OLD') names.old = option.value
    else names.new = option.value
  }
  for (const alias of [names.old, names.new]) inner.items.push({ ...item, alias, columnsVisible: false })
  selectEffect(walk, target.resolved, target.inherit, { returning: true })
  return targetList(walk, inner, clause.exprs)
}

function written(walk: Walk, target: Target): readonly NamedValue[] {
  if (walk.stores.length === 0) return target.item.columns
  return target.item.columns.map((column) => {
    const into = `${target.resolved.resource}.${quoteIdent(column.name)}`
    const stored = walk.stores.filter((one) => one.into === into).map((one) => one.value)
    return stored.length === 0 ? column : { name: column.name, value: { sources: union([column.value.sources, ...stored]), direct: false } }
  })
}

/** For COPY … FROM … WHERE: the condition on the rows that come in. */
export function copyCondition(walk: Walk, target: ResolvedRelation, range: Body<'RangeVar'>, where: Node | undefined): void {
  if (!where) return
  const scope = new Scope(undefined)
  scope.items.push(relationItem(walk, target, range))
  children(walk, scope, [where])
}

