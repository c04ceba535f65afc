import { as, items, kindOf, qualified, strings, type Body, type Node } from './ast.js'
import { children, condition, expression } from './expressions.js'
import { operator } from './functions.js'
import { harmlessOutColumns } from './harmless-functions.js'
import { computed, noSources, type NamedValue, type Value } from './lineage.js'
import { canonical } from './quote.js'
import { readRelation, resolveRangeVar } from './relations.js'
import { columnOf, newItem, renamed, Scope, type CteShape, type ScopeItem } from './scope.js'
import { queryNode } from './recursion.js'
import type { Walk } from './walk.js'

/** Walks the FROM clause; its items become visible in the scope one after the other, as LATERAL sees them. */
export function fromClause(walk: Walk, scope: Scope, nodes: readonly Node[] | undefined): void {
  for (const node of nodes ?? []) fromItem(walk, scope, node)
}

/** Adds one FROM entry to the scope and returns the items that it made, a join's own last. */
export function fromItem(walk: Walk, scope: Scope, node: Node): ScopeItem[] {
  walk.enter()
  const made = dispatch(walk, scope, node)
  walk.leave()
  return made
}

function dispatch(walk: Walk, scope: Scope, node: Node): ScopeItem[] {
  const range = as(node, 'RangeVar')
  if (range) return add(scope, rangeVar(walk, scope, range))
  const join = as(node, 'JoinExpr')
  if (join) return joinExpr(walk, scope, join)
  const subselect = as(node, 'RangeSubselect')
  if (subselect) {
    const outer = subselect.lateral ? scope : scope.withoutItems()
    const shape = subselect.subquery ? queryNode(walk, new Scope(outer), subselect.subquery) : emptyShape
    return add(scope, shapeItem(shape, subselect.alias, ''))
  }
  const call = as(node, 'RangeFunction')
  if (call) return add(scope, rangeFunction(walk, scope, call))
  const sample = as(node, 'RangeTableSample')
  if (sample) return tableSample(walk, scope, sample)
  const tableFunc = as(node, 'RangeTableFunc')
  if (tableFunc) {
    const value = children(walk, scope, { ...tableFunc, alias: undefined })
    walk.steer(value)
    const names = (tableFunc.columns ?? []).map((column) => as(column, 'RangeTableFuncCol')?.colname ?? '')
    return add(scope, valueItem(names, value, tableFunc.alias, 'xmltable'))
  }
  const jsonTable = as(node, 'JsonTable')
  if (jsonTable) {
    const value = children(walk, scope, { ...jsonTable, alias: undefined })
    walk.steer(value)
    return add(scope, valueItem(jsonColumns(jsonTable.columns), value, jsonTable.alias, 'json_table'))
  }
  walk.effects.add('sql.unknown', kindOf(node), { details: { mustName: true } })
  children(walk, scope, node)
  return []
}

const emptyShape: CteShape = { columns: [], open: true, rest: noSources }

function add(scope: Scope, item: ScopeItem): ScopeItem[] {
  scope.items.push(item)
  return [item]
}

function rangeVar(walk: Walk, scope: Scope, range: Body<'RangeVar'>): ScopeItem {
  const name = range.relname ?? ''
  const cte = range.schemaname === undefined && range.catalogname === undefined ? scope.cte(name) : undefined
  if (cte) return shapeItem(cte, range.alias, name)
  return readRelation(walk, resolveRangeVar(walk, range), range)
}

function shapeItem(shape: CteShape, alias: Body<'Alias'> | undefined, name: string): ScopeItem {
  const other = (): Value => shape.rest
  const columns = renamed(shape.columns, strings(alias?.colnames), shape.open, other)
  return newItem({ alias: alias?.aliasname ?? name, columns, open: shape.open, other, base: false })
}

function valueItem(names: readonly string[], value: Value, alias: Body<'Alias'> | undefined, fallback: string): ScopeItem {
  const plain: Value = { sources: value.sources, direct: false }
  const columns = names.map((name): NamedValue => ({ name, value: plain }))
  return newItem({
    alias: alias?.aliasname ?? fallback,
    columns: renamed(columns, strings(alias?.colnames), false),
    open: false,
    base: false,
  })
}

function jsonColumns(nodes: readonly Node[] | undefined): string[] {
  return (nodes ?? []).flatMap((node) => {
    const column = as(node, 'JsonTableColumn')
    if (!column) return []
    return column.columns ? jsonColumns(column.columns) : [column.name ?? '']
  })
}

/** Functions whose row shape depends on their arguments. */
const shapeless = new Set([
  'unnest', 'json_populate_record', 'json_populate_recordset', 'jsonb_populate_record', 'jsonb_populate_recordset',
  'json_to_record', 'json_to_recordset', 'jsonb_to_record', 'jsonb_to_recordset',
])

function rangeFunction(walk: Walk, scope: Scope, range: Body<'RangeFunction'>): ScopeItem {
  const columns: NamedValue[] = []
  const values: Value[] = []
  let open = false
  let first = ''
  const single = (range.functions ?? []).length === 1
  for (const entry of range.functions ?? []) {
    const [node, definitions] = items(entry)
    if (!node) continue
    const value = expression(walk, scope, node)
    walk.steer(value)
    const plain: Value = { sources: value.sources, direct: false }
    values.push(plain)
    const name = strings(as(node, 'FuncCall')?.funcname).at(-1) ?? kindOf(node).toLowerCase()
    if (first === '') first = name
    const defined = definedColumns(walk, scope, definitions ? items(definitions) : single ? range.coldeflist : undefined)
    const shape = defined ?? functionColumns(walk, node, name, single ? range.alias?.aliasname : undefined)
    if (shape) for (const column of shape) columns.push({ name: column, value: plain })
    open ||= shape === undefined
  }
  const rest = computed(values)
  // Behind a function whose columns aren't known, the others' positions aren't either.
  const known = open ? [] : columns
  if (range.ordinality && !open) known.push({ name: 'ordinality', value: noSources })
  const names = strings(range.alias?.colnames)
  const list = open ? names.map((name): NamedValue => ({ name, value: rest })) : renamed(known, names, false)
  return newItem({ alias: range.alias?.aliasname ?? first, columns: list, open, other: () => rest, base: false })
}

function definedColumns(walk: Walk, scope: Scope, definitions: readonly Node[] | undefined): string[] | undefined {
  const out: string[] = []
  for (const node of definitions ?? []) {
    const column = as(node, 'ColumnDef')
    if (!column) continue
    children(walk, scope, { typeName: column.typeName })
    out.push(column.colname ?? '')
  }
  return out.length === 0 ? undefined : out
}

function functionColumns(walk: Walk, node: Node, name: string, alias: string | undefined): readonly string[] | undefined {
  const call = as(node, 'FuncCall')
  if (!call) return [alias ?? name]
  const found = walk.names.function(qualified(call.funcname))
  if (found.builtin !== 'harmless' || found.user.length > 0 || shapeless.has(name)) return undefined
  return harmlessOutColumns.get(name) ?? [alias ?? name]
}

function tableSample(walk: Walk, scope: Scope, sample: Body<'RangeTableSample'>): ScopeItem[] {
  const made = sample.relation ? fromItem(walk, scope, sample.relation) : []
  const method = qualified(sample.method)
  // A sampling method is a handler function; the two built-in ones are harmless.
  if ((method.schema ?? 'pg_catalog') !== 'pg_catalog' || (method.name !== 'bernoulli' && method.name !== 'system')) {
    const found = walk.names.function(method)
    const user = found.user[0]
    walk.effects.add(
      'sql.call',
      `function ${user ? canonical(user.schema, user.name) : (found.missing ?? canonical('pg_catalog', method.name))}`,
      { details: { tablesample: true } },
    )
  }
  for (const arg of sample.args ?? []) condition(walk, scope, arg)
  condition(walk, scope, sample.repeatable)
  return made
}

function joinExpr(walk: Walk, scope: Scope, join: Body<'JoinExpr'>): ScopeItem[] {
  const left = join.larg ? fromItem(walk, scope, join.larg) : []
  const right = join.rarg ? fromItem(walk, scope, join.rarg) : []
  const made = [...left, ...right]
  condition(walk, scope, join.quals)
  const alias = join.alias?.aliasname
  const using = join.isNatural ? commonColumns(left, right) : strings(join.usingClause)
  if (using.length === 0 && alias === undefined) return made
  if (using.length > 0) operator(walk, undefined)
  const merged = using.map((name): NamedValue => ({ name, value: mergedColumn(walk, left, right, name) }))
  const visible = made.filter((item) => item.columnsVisible)
  const open = visible.some((item) => item.open)
  const columns = [...merged]
  for (const item of visible) for (const column of item.columns) if (!using.includes(column.name)) columns.push(column)
  walk.charge(columns.length)
  const other = (name: string): Value =>
    computed(visible.filter((item) => item.open && item.other).map((item) => item.other?.(name) ?? noSources))
  for (const item of made) {
    item.columnsVisible = false
    if (alias !== undefined) item.relationVisible = false
  }
  if (join.join_using_alias) {
    scope.items.push({
      ...newItem({ alias: join.join_using_alias.aliasname ?? '', columns: merged, open: false, base: false }),
      columnsVisible: false,
    })
  }
  const names = strings(join.alias?.colnames)
  const item = newItem({ alias: alias ?? '', columns: renamed(columns, names, open, other), open, other, base: false })
  item.relationVisible = alias !== undefined
  scope.items.push(item)
  return [...made, item]
}

/**
 * Columns that both sides of a NATURAL JOIN have. A side whose columns aren't known adds none: both stay visible and are
 * merged by name.
 */
function commonColumns(left: readonly ScopeItem[], right: readonly ScopeItem[]): string[] {
  const names = (side: readonly ScopeItem[]): string[] =>
    side.flatMap((item) => (item.columnsVisible ? item.columns.map((column) => column.name) : []))
  const other = new Set(names(right))
  return [...new Set(names(left).filter((name) => other.has(name)))]
}

/** The one column that USING makes of two: an equal value in both, so it tells of both; comparing them is a predicate. */
function mergedColumn(walk: Walk, left: readonly ScopeItem[], right: readonly ScopeItem[], name: string): Value {
  const pick = (side: readonly ScopeItem[]): Value[] =>
    side.flatMap((item) => {
      const value = item.columnsVisible ? columnOf(item, name) : undefined
      return value ? [value] : []
    })
  const value = computed([...pick(left), ...pick(right)])
  walk.predicate++
  walk.read(value)
  walk.predicate--
  return value
}
