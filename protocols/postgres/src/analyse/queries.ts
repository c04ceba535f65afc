import { as, kindOf, strings, type Body, type Node } from './ast.js'
import { expression } from './expressions.js'
import { anyColumn, type NamedValue, type Value } from './lineage.js'
import { canonical } from './quote.js'
import { provisional } from './overlay.js'
import { existingRelation, rangeName } from './objects.js'
import { Scope } from './scope.js'
import { queryNode, runStatement } from './recursion.js'
import type { QueryShape } from './select.js'
import { add, catalogChanged, harmless, noOutput, outputOf, plainOutput, type Statement } from './statement.js'
import type { Relation } from './types.js'
import { Walk } from './walk.js'

/** SELECT, VALUES, INSERT, UPDATE, DELETE, MERGE as statements of their own. */
export function query(statement: Statement, node: Node): void {
  const into = intoClause(node)
  const shape = queryNode(statement.walk, new Scope(undefined), node)
  if (into) {
    createdFrom(statement, into, shape, 'table', { select_into: true })
    return
  }
  const returnsRows = kindOf(node) === 'SelectStmt' || shape.columns.length > 0 || shape.open
  statement.output = returnsRows ? outputOf(shape) : noOutput
}

/** SELECT … INTO: the clause stands in the leftmost branch of a set operation. */
function intoClause(node: Node): Body<'IntoClause'> | undefined {
  let select = as(node, 'SelectStmt')
  while (select) {
    if (select.intoClause) return select.intoClause
    select = select.larg
  }
  return undefined
}

/** CREATE TABLE AS, SELECT INTO, CREATE MATERIALIZED VIEW. */
export function createTableAs(statement: Statement, stmt: Body<'CreateTableAsStmt'>): void {
  const into = stmt.into
  if (!into || !stmt.query) return
  const execute = as(stmt.query, 'ExecuteStmt')
  if (execute) {
    // CREATE TABLE AS EXECUTE: the prepared statement's effects, and columns that are told by its output.
    runStatement(statement, stmt.query)
    createdFrom(statement, into, fromOutput(statement), 'table', { execute: true })
    statement.output = noOutput
    return
  }
  const shape = queryNode(statement.walk, new Scope(undefined), stmt.query)
  createdFrom(statement, into, shape, stmt.objtype === 'OBJECT_MATVIEW' ? 'matview' : 'table', {})
}

function fromOutput(statement: Statement): QueryShape {
  const output = statement.output
  const source = (full: string): Value['sources'][number] => {
    const dot = full.lastIndexOf('.')
    return { table: full.slice(0, dot), column: full.slice(dot + 1), full }
  }
  if (output.kind !== 'columns') return { columns: [], open: true, rest: { sources: [source('*.*.*')], direct: false } }
  const columns = output.columns.map((column): NamedValue => ({
    name: column.name,
    value: { sources: column.sources.map(source), direct: column.direct },
  }))
  return { columns, open: false, rest: { sources: [], direct: false } }
}

function createdFrom(
  statement: Statement,
  into: Body<'IntoClause'>,
  shape: QueryShape,
  kind: Relation['kind'],
  details: { [fact: string]: true },
): void {
  const { walk, state } = statement
  const temporary = into.rel?.relpersistence === 't'
  const target = walk.names.target(rangeName(into.rel), temporary)
  const names = strings(into.colNames)
  const columns = shape.columns.map((column, index): NamedValue => ({ name: names[index] ?? column.name, value: column.value }))
  walk.effects.add(target.temporary ? 'sql.temp' : 'sql.ddl.create', target.resource, { details: { ...details, into: true, kind } })
  for (const column of columns) if (column.value.sources.length > 0) walk.stores.push({ value: column.value.sources })
  if (shape.open && shape.rest.sources.length > 0) walk.stores.push({ value: shape.rest.sources })
  if (shape.open) return catalogChanged(statement, `it creates ${target.resource} with columns that can't be told`)
  state.overlay.create(
    provisional(target.schema, target.name, kind, columns.map((column) => column.name)),
    new Map(columns.map((column) => [column.name, column.value])),
  )
  catalogChanged(statement)
}

/** CREATE VIEW: reads nothing yet, but what it shows is read through it. */
export function createView(statement: Statement, stmt: Body<'ViewStmt'>): void {
  const { walk, state } = statement
  const shape = stmt.query ? queryNode(walk, new Scope(undefined), stmt.query) : undefined
  const temporary = stmt.view?.relpersistence === 't'
  const target = walk.names.target(rangeName(stmt.view), temporary)
  walk.effects.add(target.temporary ? 'sql.temp' : 'sql.ddl.create', target.resource, {
    details: { kind: 'view', ...(stmt.replace ? { replace: true } : {}) },
  })
  // A view gives out its columns under its own name: for masks that is the same as storing them.
  for (const column of shape?.columns ?? []) if (column.value.sources.length > 0) walk.stores.push({ value: column.value.sources })
  if (!shape || shape.open) {
    if (shape && shape.rest.sources.length > 0) walk.stores.push({ value: shape.rest.sources })
    return catalogChanged(statement, `it creates ${target.resource} with columns that can't be told`)
  }
  const names = strings(stmt.aliases)
  const columns = shape.columns.map((column, index): NamedValue => ({ name: names[index] ?? column.name, value: column.value }))
  state.overlay.create(
    provisional(target.schema, target.name, 'view', columns.map((column) => column.name)),
    new Map(columns.map((column) => [column.name, column.value])),
  )
  catalogChanged(statement)
}

export function refreshMatView(statement: Statement, stmt: Body<'RefreshMatViewStmt'>): void {
  // Its query runs, with all that its conditions read.
  statement.walk.rows.add(anyColumn)
  add(statement, 'sql.maintenance', existingRelation(statement.walk, rangeName(stmt.relation)).resource, { refresh: true })
}

/** EXPLAIN: plans the inner statement, with ANALYZE runs it. Either way its effects count. */
export function explain(statement: Statement, stmt: Body<'ExplainStmt'>): void {
  const { walk } = statement
  const options = (stmt.options ?? []).map((node) => as(node, 'DefElem')?.defname?.toLowerCase() ?? '')
  const analyze = (stmt.options ?? []).some((node) => {
    const option = as(node, 'DefElem')
    if (option?.defname?.toLowerCase() !== 'analyze') return false
    const text =
      option.arg === undefined ? 'true' : (as(option.arg, 'String')?.sval ?? String(as(option.arg, 'Integer')?.ival ?? 0)).toLowerCase()
    return !['false', 'off', '0'].includes(text)
  })
  const inner: Statement = { ...statement, walk: new Walk(walk.names, walk.text, walk.budget), output: noOutput }
  if (stmt.query) runStatement(inner, stmt.query)
  walk.effects.addAll(inner.walk.finish(), { details: { explain: true, ...(analyze ? { analyze: true } : {}) } })
  // Without ANALYZE nothing is stored.
  if (!analyze) inner.walk.stores.length = 0
  walk.absorb(inner.walk)
  if (analyze) {
    walk.changes.push(...inner.walk.changes)
    if (inner.unsimulated !== undefined) statement.unsimulated = inner.unsimulated
  }
  harmless(statement, 'sql.explain', '', { ...(analyze ? { analyze: true } : {}), ...(options.length > 0 ? { options } : {}) })
  // A plan shows constants of the query; a function that isn't built in may have been folded into one.
  statement.output = inner.walk.effects.has('sql.call')
    ? { kind: 'columns', columns: [{ name: 'QUERY PLAN', sources: ['*.*.*'], direct: false }] }
    : plainOutput('QUERY PLAN')
}

/** CALL: code, with arguments that are expressions. */
export function call(statement: Statement, stmt: Body<'CallStmt'>): void {
  const { walk } = statement
  const name = stmt.funccall
  if (name) expression(walk, new Scope(undefined), { FuncCall: name })
  const path = strings(name?.funcname)
  const found = walk.names.function({ name: path.at(-1) ?? '', ...(path.length > 1 ? { schema: path.at(-2) ?? '' } : {}) })
  const user = found.user[0]
  add(statement, 'sql.code', `procedure ${user ? canonical(user.schema, user.name) : (found.missing ?? path.join('.'))}`, { call: true })
  walk.changes.push({ kind: 'catalog' }, { kind: 'session_reset' })
  statement.output = { kind: 'unknown' }
}
