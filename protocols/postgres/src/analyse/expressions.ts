import { as, kindOf, qualified, strings, type Body, type Node, type NodeKind } from './ast.js'
import { callFunction, operator, resultOf, typeUsed } from './functions.js'
import { computed, fromAnywhere, noSources, type NamedValue, type Value } from './lineage.js'
import { quoteIdent } from './quote.js'
import { columnOf, find, Scope, wholeRow } from './scope.js'
import { queryNode } from './recursion.js'
import type { Walk } from './walk.js'

type Handler<K extends NodeKind> = (walk: Walk, scope: Scope, body: Body<K>) => Value

/** Expression nodes that need more than a look at their children. */
const handlers: { readonly [K in NodeKind]?: Handler<K> } = {
  A_Const: () => noSources,
  ParamRef: () => noSources,
  ColumnRef: columnRef,
  FuncCall: funcCall,
  A_Expr: (walk, scope, body) => {
    const user = operator(walk, body.name)
    const left = body.lexpr ? expression(walk, scope, body.lexpr) : noSources
    const right = body.rexpr ? expression(walk, scope, body.rexpr) : noSources
    return computed(user ? [left, right, fromAnywhere] : [left, right])
  },
  TypeCast: (walk, scope, body) => {
    typeUsed(walk, body.typeName)
    return computed([body.arg ? expression(walk, scope, body.arg) : noSources])
  },
  A_Indirection: indirection,
  SubLink: subLink,
  ResTarget: (walk, scope, body) => (body.val ? expression(walk, scope, body.val) : noSources),
  TypeName: (walk, _scope, body) => {
    typeUsed(walk, body)
    return noSources
  },
  SelectStmt: (walk, scope, body) => queryValue(walk, scope, { SelectStmt: body }),
  CaseExpr: (walk, scope, body) => {
    if (body.arg) operator(walk, undefined)
    return children(walk, scope, body)
  },
  MinMaxExpr: (walk, scope, body) => {
    operator(walk, undefined, body.op === 'IS_LEAST' ? '<' : '>')
    return children(walk, scope, body)
  },
  SortBy: (walk, scope, body) => {
    operator(walk, body.useOp, '<')
    return body.node ? expression(walk, scope, body.node) : noSources
  },
  SetToDefault: () => noSources,
  String: () => noSources,
  // COLUMNS of XMLTABLE and JSON_TABLE, options and the like carry plain scalars besides expressions.
  Integer: () => noSources,
  Float: () => noSources,
  Boolean: () => noSources,
  BitString: () => noSources,
}

/** Expression nodes whose children are all there is to them. A kind in neither list is `sql.unknown`. */
const transparent: ReadonlySet<string> = new Set<NodeKind>([
  'BoolExpr', 'NullTest', 'BooleanTest', 'CoalesceExpr', 'CaseWhen', 'RowExpr', 'A_ArrayExpr', 'A_Indices', 'CollateClause', 'NamedArgExpr',
  'SQLValueFunction', 'XmlExpr', 'XmlSerialize', 'GroupingFunc', 'GroupingSet', 'MergeSupportFunc', 'CurrentOfExpr', 'MultiAssignRef',
  'JsonFormat', 'JsonReturning', 'JsonValueExpr', 'JsonIsPredicate', 'JsonBehavior', 'JsonOutput', 'JsonArgument', 'JsonFuncExpr',
  'JsonTablePathSpec', 'JsonTableColumn', 'JsonKeyValue', 'JsonParseExpr', 'JsonScalarExpr', 'JsonSerializeExpr', 'JsonObjectConstructor',
  'JsonArrayConstructor', 'JsonArrayQueryConstructor', 'JsonAggConstructor', 'JsonObjectAgg', 'JsonArrayAgg', 'WindowDef', 'List',
  'RangeTableFuncCol', 'IndexElem', 'InferClause', 'DefElem',
  // Parts of definitions; what they hold is an expression, a type or a name.
  'ColumnDef', 'Constraint', 'PartitionCmd', 'PartitionBoundSpec', 'PartitionElem', 'PartitionSpec', 'PartitionRangeDatum',
  'TableLikeClause', 'AlterTableCmd', 'ATAlterConstraint', 'ReplicaIdentityStmt', 'RoleSpec', 'RangeVar', 'ObjectWithArgs', 'StatsElem',
])

export function isExpressionKind(kind: string): boolean {
  return kind in handlers || transparent.has(kind)
}

/** Walks an expression: its effects and reads, and where its value comes from. */
export function expression(walk: Walk, scope: Scope, node: Node): Value {
  const kind = kindOf(node)
  if (kind === '') return noSources
  walk.enter()
  const value = dispatch(walk, scope, node, kind)
  walk.leave()
  return value
}

function dispatch<K extends NodeKind>(walk: Walk, scope: Scope, node: Node, kind: K): Value {
  const body = as(node, kind)
  const handler: Handler<K> | undefined = handlers[kind]
  if (body === undefined) return noSources
  if (handler) return handler(walk, scope, body)
  if (!transparent.has(kind)) walk.effects.add('sql.unknown', kind, { details: { mustName: true } })
  return children(walk, scope, body)
}

/** Walks an expression whose columns steer the result without being in it. */
export function condition(walk: Walk, scope: Scope, node: Node | undefined): void {
  if (!node) return
  walk.predicate++
  expression(walk, scope, node)
  walk.predicate--
}

export function conditions(walk: Walk, scope: Scope, nodes: readonly Node[] | undefined): void {
  for (const node of nodes ?? []) condition(walk, scope, node)
}

/** Fields that hold a type name without its wrapping. */
export const typeFields = new Set([
  'typeName', 'argType', 'returnType', 'datatype', 'storedtype', 'sourcetype', 'targettype', 'type_name', 'ofTypename',
])

/** Every node below a body, wrapped or not: nothing that the grammar has can be passed by. */
export function children(walk: Walk, scope: Scope, body: object): Value {
  const values: Value[] = []
  for (const [field, value] of Object.entries(body)) {
    if (typeof value !== 'object' || value === null) continue
    if (typeFields.has(field)) typeUsed(walk, value)
    else if (Array.isArray(value)) for (const item of value) values.push(anyNode(walk, scope, item))
    else values.push(anyNode(walk, scope, value))
  }
  return computed(values)
}

function anyNode(walk: Walk, scope: Scope, value: unknown): Value {
  if (typeof value !== 'object' || value === null) return noSources
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- part of the tree that the decoder gave
  const node = value as Node
  const kind = kindOf(node)
  // Names of nodes begin with a capital, names of fields never do.
  if (kind !== '' && kind[0] === kind[0]?.toUpperCase()) return expression(walk, scope, node)
  walk.enter()
  const result = children(walk, scope, value)
  walk.leave()
  return result
}

function columnRef(walk: Walk, scope: Scope, body: Body<'ColumnRef'>): Value {
  const fields = body.fields ?? []
  const last = fields.at(-1)
  const path = strings(fields)
  if (last !== undefined && as(last, 'A_Star')) return starValue(walk, scope, path, body.location)
  const [first = '', second] = path
  // Each name is looked for in all that FROM has.
  walk.charge(scope.size >> 3)
  if (second === undefined) {
    const value = scope.column(first)
    if (value) return walk.read(value)
    const item = scope.item(first)
    if (item) return walk.read(wholeRow(item))
    const system = scope.systemColumn(first)
    if (system) return walk.read(system)
    throw walk.unresolved(
      `column "${first}" does not exist in what the query reads`,
      'Check the spelling; quote names that have capitals.',
      body.location,
    )
  }
  const name = path.at(-1) ?? ''
  const item = qualifier(walk, scope, path.slice(0, -1), body.location)
  const value = columnOf(item, name)
  if (value) return walk.read(value)
  // `c.lower` may call lower(c): the server tries a function when the row has no such column.
  const row = walk.read(wholeRow(item))
  return resultOf(callFunction(walk, { name }, []), [row])
}

/** The FROM item that `a.`, `schema.a.` or `database.schema.a.` names. */
function qualifier(
  walk: Walk,
  scope: Scope,
  path: readonly string[],
  location: number | undefined,
): NonNullable<ReturnType<Scope['item']>> {
  const alias = path.at(-1) ?? ''
  const named = path.at(-2)
  const schema = named !== undefined && named === walk.names.context.tempSchema ? 'pg_temp' : named
  const item = scope.item(alias, schema)
  if (item) return item
  throw walk.unresolved(
    `missing FROM-clause entry for "${path.map(quoteIdent).join('.')}"`,
    'Name the table in FROM, or its alias if it has one.',
    location,
  )
}

/** `*` or `a.*` where an expression is expected, as in count(*) or row(a.*). */
function starValue(walk: Walk, scope: Scope, path: readonly string[], location: number | undefined): Value {
  if (path.length > 0) return walk.read(wholeRow(qualifier(walk, scope, path, location)))
  return walk.read(computed(scope.items.filter((item) => item.columnsVisible).map(wholeRow)))
}

function funcCall(walk: Walk, scope: Scope, body: Body<'FuncCall'>): Value {
  const name = qualified(body.funcname)
  const args = (body.args ?? []).map((arg) => expression(walk, scope, arg))
  // Functional notation: `email(c)` is c.email when there is no such function.
  const row = args.length === 1 && name.schema === undefined ? args[0]?.row : undefined
  const field = row && find(row.columns, name.name)
  if (field && walk.names.function(name).missing !== undefined) return walk.read(field)
  const kind = callFunction(walk, name, body.args ?? [])
  if (body.agg_distinct) {
    operator(walk, undefined)
    for (const arg of args) walk.steer(arg)
  }
  // count(*) FILTER (WHERE ssn = …) shows nothing of the column but tells of it.
  walk.predicate++
  if (body.agg_filter) args.push(expression(walk, scope, body.agg_filter))
  for (const sort of body.agg_order ?? []) args.push(expression(walk, scope, sort))
  if (body.over) {
    args.push(children(walk, scope, body.over))
    const window = scope.window(body.over.refname ?? body.over.name ?? '')
    if (window) args.push(window)
  }
  walk.predicate--
  const value = resultOf(kind, args)
  // pg_notify(), set_config(), lo_put() and the like carry what they are given out of the result: as good as storing it.
  const given = computed(args).sources
  if (given.length > 0 && walk.names.function(name).builtin === 'guarded') walk.stores.push({ value: given })
  return value
}

function indirection(walk: Walk, scope: Scope, body: Body<'A_Indirection'>): Value {
  let value = body.arg ? expression(walk, scope, body.arg) : noSources
  const subscripts: Value[] = []
  for (const step of body.indirection ?? []) {
    const name = as(step, 'String')?.sval
    if (name === undefined) {
      if (as(step, 'A_Star')) continue
      subscripts.push(expression(walk, scope, step))
      value = { sources: value.sources, direct: false }
      continue
    }
    const field = value.row && find(value.row.columns, name)
    if (field) {
      value = field
      continue
    }
    // Not a field that is known: `(x).f` may call f(x).
    const found = walk.names.function({ name })
    const called = found.user.length > 0 || found.builtin === 'guarded' || (value.row && !value.row.open && found.builtin === undefined)
    value = called ? resultOf(callFunction(walk, { name }, []), [value]) : { sources: value.sources, direct: false }
  }
  return subscripts.length === 0 ? value : computed([value, ...subscripts])
}

function subLink(walk: Walk, scope: Scope, body: Body<'SubLink'>): Value {
  const test = body.testexpr ? expression(walk, scope, body.testexpr) : undefined
  if (body.testexpr) operator(walk, body.operName)
  const value = body.subselect ? queryValue(walk, scope, body.subselect) : noSources
  if (body.subLinkType === 'EXISTS_SUBLINK') return noSources
  if (test) return computed([test, value])
  return body.subLinkType === 'EXPR_SUBLINK' ? value : computed([value])
}

/** A subquery as a value: its one column, or all of them. */
function queryValue(walk: Walk, scope: Scope, node: Node): Value {
  const shape = queryNode(walk, new Scope(scope), node)
  const [only, second] = shape.columns
  if (only && !second && !shape.open) return only.value
  const columns: readonly NamedValue[] = shape.columns
  return computed([...columns.map((column) => column.value), ...(shape.open ? [shape.rest] : [])])
}
