import { as, kindOf, strings, type Body, type Node } from './ast.js'
import { columnName } from './columns.js'
import { withClause } from './ctes.js'
import { children, condition, expression } from './expressions.js'
import { operator } from './functions.js'
import { fromClause } from './from.js'
import { computed, noSources, type NamedValue, type Value } from './lineage.js'
import { find, type CteShape, type Scope, type ScopeItem } from './scope.js'
import { tooComplex, type Walk } from './walk.js'

/** Columns that a query gives; `rest` is where the ones that aren't known come from. */
export type QueryShape = CteShape

/** The server's own limit of a target list (MaxTupleAttributeNumber). */
const maxColumns = 1664

const nothing: QueryShape = { columns: [], open: false, rest: noSources }

export function selectQuery(walk: Walk, scope: Scope, stmt: Body<'SelectStmt'>): QueryShape {
  if (stmt.withClause) withClause(walk, scope, stmt.withClause)
  if (stmt.op !== undefined && stmt.op !== 'SETOP_NONE') return setOperation(walk, scope, stmt)
  if (stmt.valuesLists) return valuesLists(walk, scope, stmt)
  fromClause(walk, scope, stmt.fromClause)
  windows(walk, scope, stmt.windowClause)
  const shape = targetList(walk, scope, stmt.targetList)
  condition(walk, scope, stmt.whereClause)
  groupBy(walk, scope, stmt.groupClause, shape)
  condition(walk, scope, stmt.havingClause)
  if (stmt.distinctClause) {
    operator(walk, undefined)
    // DISTINCT without ON holds one empty node.
    if (stmt.distinctClause.every((node) => kindOf(node) === '')) steerBy(walk, shape)
    orderBy(walk, scope, stmt.distinctClause, shape, true)
  }
  orderBy(walk, scope, stmt.sortClause, shape, true)
  limits(walk, scope, stmt)
  locking(walk, scope, stmt.lockingClause)
  return shape
}

function limits(walk: Walk, scope: Scope, stmt: Body<'SelectStmt'>): void {
  condition(walk, scope, stmt.limitCount)
  condition(walk, scope, stmt.limitOffset)
}

function setOperation(walk: Walk, scope: Scope, stmt: Body<'SelectStmt'>): QueryShape {
  const left = branch(walk, scope, stmt.larg)
  const right = branch(walk, scope, stmt.rarg)
  if (!stmt.all) operator(walk, undefined)
  const shape = merged(left, right)
  // All but UNION ALL compare their rows.
  if (!stmt.all || stmt.op !== 'SETOP_UNION') steerBy(walk, shape)
  orderBy(walk, scope, stmt.sortClause, shape, false)
  limits(walk, scope, stmt)
  locking(walk, scope, stmt.lockingClause)
  return shape
}

function steerBy(walk: Walk, shape: QueryShape): void {
  for (const column of shape.columns) walk.steer(column.value)
  if (shape.open) walk.steer(shape.rest)
}

function branch(walk: Walk, scope: Scope, stmt: Body<'SelectStmt'> | undefined): QueryShape {
  walk.enter()
  const shape = selectQuery(walk, scope.withoutItems(), stmt ?? {})
  walk.leave()
  return shape
}

/** Both sides of a set operation, by position. Where one side's positions aren't known, it may be in any column. */
function merged(left: QueryShape, right: QueryShape): QueryShape {
  if (left.open && right.open) {
    const rest = computed([
      left.rest,
      right.rest,
      ...left.columns.map((column) => column.value),
      ...right.columns.map((column) => column.value),
    ])
    return { columns: [], open: true, rest }
  }
  const closed = left.open ? right : left
  const other = left.open ? left : right
  if (other.open) {
    const rest = computed([other.rest, ...other.columns.map((column) => column.value)])
    return {
      columns: closed.columns.map((column) => ({ name: column.name, value: computed([column.value, rest]) })),
      open: false,
      rest: noSources,
    }
  }
  const columns = left.columns.map((column, index): NamedValue => ({
    name: column.name,
    value: computed([column.value, right.columns[index]?.value ?? noSources]),
  }))
  return { columns, open: false, rest: noSources }
}

function valuesLists(walk: Walk, scope: Scope, stmt: Body<'SelectStmt'>): QueryShape {
  const columns: Value[] = []
  for (const list of stmt.valuesLists ?? []) {
    const cells = as(list, 'List')?.items ?? []
    for (let index = 0; index < cells.length; index++) {
      const cell = cells[index]
      const value = cell ? expression(walk, scope, cell) : noSources
      const known = columns[index]
      columns[index] =
        known === undefined || known.sources.length === 0
          ? computed([value])
          : value.sources.length === 0
            ? known
            : computed([known, value])
    }
  }
  const shape: QueryShape = {
    columns: columns.map((value, index) => ({ name: `column${String(index + 1)}`, value })),
    open: false,
    rest: noSources,
  }
  orderBy(walk, scope, stmt.sortClause, shape, false)
  limits(walk, scope, stmt)
  return shape
}

/** A target list or RETURNING: its columns by name and lineage, stars expanded. */
export function targetList(walk: Walk, scope: Scope, nodes: readonly Node[] | undefined): QueryShape {
  if (!nodes || nodes.length === 0) return nothing
  const columns: NamedValue[] = []
  const rest: Value[] = []
  let open = false
  const expand = (row: { readonly columns: readonly NamedValue[]; readonly open: boolean }, other: Value): void => {
    columns.push(...row.columns)
    if (!row.open) return
    open = true
    rest.push(other)
  }
  for (const node of nodes) {
    const target = as(node, 'ResTarget')
    const star = target ? starItems(walk, scope, target.val) : undefined
    if (star) {
      for (const item of star) {
        walk.charge(item.columns.length)
        for (const column of item.columns) walk.read(column.value)
        expand(item, item.open && item.other ? walk.read(item.other('*')) : noSources)
      }
    } else if (target?.val) {
      const value = expression(walk, scope, target.val)
      if (isRowStar(target.val)) {
        expand({ columns: value.row?.columns ?? [], open: value.row?.open ?? true }, { sources: value.sources, direct: false })
      } else columns.push({ name: target.name ?? columnName(target.val), value })
    }
    if (columns.length > maxColumns) throw tooComplex('gives more columns than PostgreSQL can')
  }
  return { columns, open, rest: rest.length === 0 ? noSources : computed([...rest, ...columns.map((column) => column.value)]) }
}

/** `(row).*` */
function isRowStar(node: Node): boolean {
  const last = as(node, 'A_Indirection')?.indirection?.at(-1)
  return last !== undefined && as(last, 'A_Star') !== undefined
}

/** The items that `*` or `a.*` expands to. */
function starItems(walk: Walk, scope: Scope, node: Node | undefined): readonly ScopeItem[] | undefined {
  const reference = as(node, 'ColumnRef')
  const last = reference?.fields?.at(-1)
  if (!reference || last === undefined || !as(last, 'A_Star')) return undefined
  const path = strings(reference.fields)
  if (path.length === 0) return scope.items.filter((item) => item.columnsVisible)
  const item = scope.item(path.at(-1) ?? '', path.at(-2) === walk.names.context.tempSchema ? path.at(-2) && 'pg_temp' : path.at(-2))
  if (!item) {
    throw walk.unresolved(
      `missing FROM-clause entry for "${path.join('.')}"`,
      'Name the table in FROM, or its alias if it has one.',
      reference.location,
    )
  }
  return [item]
}

function windows(walk: Walk, scope: Scope, nodes: readonly Node[] | undefined): void {
  for (const node of nodes ?? []) {
    const window = as(node, 'WindowDef')
    if (!window) continue
    const base = window.refname === undefined ? undefined : scope.windows.get(window.refname)
    const own = children(walk, scope, window)
    walk.steer(own)
    scope.windows.set(window.name ?? '', base ? computed([base, own]) : own)
  }
}

function groupBy(walk: Walk, scope: Scope, nodes: readonly Node[] | undefined, shape: QueryShape): void {
  if (!nodes) return
  operator(walk, undefined)
  for (const node of nodes) {
    const set = as(node, 'GroupingSet')
    if (set) {
      walk.enter()
      groupBy(walk, scope, set.content, shape)
      walk.leave()
      continue
    }
    // (a, b) inside GROUPING SETS is a list, not a row.
    const row = as(node, 'RowExpr')
    if (row?.row_format === 'COERCE_IMPLICIT_CAST') {
      groupBy(walk, scope, row.args, shape)
      continue
    }
    // GROUP BY takes an input column first, an output name only when there is none.
    const name = plainName(node)
    const output =
      name !== undefined && !scope.column(name) && !scope.item(name)
        ? outputValue(shape, node)
        : as(node, 'A_Const') && outputValue(shape, node)
    if (output) steer(walk, output)
    else condition(walk, scope, node)
  }
}

/** ORDER BY and DISTINCT ON: an output name first, then input columns. @param inputs false for a set operation, which has none */
function orderBy(walk: Walk, scope: Scope, nodes: readonly Node[] | undefined, shape: QueryShape, inputs: boolean): void {
  for (const node of nodes ?? []) {
    const sort = as(node, 'SortBy')
    if (sort?.useOp || sort) operator(walk, sort.useOp, '<')
    const key = sort ? sort.node : node
    if (!key || kindOf(key) === '') continue
    const output = outputValue(shape, key)
    if (output) steer(walk, output)
    else if (inputs || !shape.open || plainName(key) === undefined) condition(walk, scope, key)
  }
}

function steer(walk: Walk, value: Value): void {
  walk.predicate++
  walk.read(value)
  walk.predicate--
}

function plainName(node: Node): string | undefined {
  const fields = as(node, 'ColumnRef')?.fields
  return fields?.length === 1 ? strings(fields)[0] : undefined
}

/** The output column that a bare name or a position stands for. */
function outputValue(shape: QueryShape, node: Node): Value | undefined {
  const name = plainName(node)
  if (name !== undefined) return find(shape.columns, name)
  const position: { ival?: { ival?: number } } | undefined = as(node, 'A_Const')
  return position?.ival?.ival === undefined ? undefined : shape.columns[position.ival.ival - 1]?.value
}

const strengths: Readonly<Record<string, string>> = {
  LCS_FORKEYSHARE: 'key share',
  LCS_FORSHARE: 'share',
  LCS_FORNOKEYUPDATE: 'no key update',
  LCS_FORUPDATE: 'update',
}

/** FOR UPDATE and its kin lock rows of the tables named, or of all. */
function locking(walk: Walk, scope: Scope, nodes: readonly Node[] | undefined): void {
  for (const node of nodes ?? []) {
    const clause = as(node, 'LockingClause')
    if (!clause) continue
    const named = clause.lockedRels?.map((range) => as(range, 'RangeVar')?.relname ?? '')
    const details = { rows: strengths[clause.strength ?? ''] ?? 'update' }
    const locked = named ? named.map((name) => scope.item(name)) : scope.items
    for (const item of locked) {
      if (item?.resource !== undefined) walk.effects.add('sql.lock', item.resource, { details })
      // A subquery in FROM passes the lock on to what it reads.
      else if (item && !item.base) {
        for (const resource of walk.effects.resources('sql.select')) walk.effects.add('sql.lock', resource, { details })
      }
    }
  }
}

