import { as, kindOf, qualified, type Body, type Node } from './ast.js'
import { provisional } from './overlay.js'
import { existingRelation, functionName, kindWord, objectName, rangeName } from './objects.js'
import { quoteIdent } from './quote.js'
import { add, catalogChanged, runExpressions, storedExpressions, type Statement } from './statement.js'
import { runStatement } from './recursion.js'
import { touchRows } from './relations.js'
import { typeUsed } from './functions.js'
import type { TypeInfo } from './types.js'

export function createTable(statement: Statement, stmt: Body<'CreateStmt'>, kind: 'table' | 'foreign' = 'table'): void {
  const { walk, state } = statement
  const temporary = stmt.relation?.relpersistence === 't'
  const target = walk.names.target(rangeName(stmt.relation), temporary)
  const references: string[] = []
  const columns: string[] = []
  const parents: string[] = []
  let opaque = stmt.ofTypename !== undefined
  for (const node of stmt.inhRelations ?? []) {
    const range = as(node, 'RangeVar')
    if (!range) continue
    const parent = existingRelation(walk, rangeName(range))
    references.push(parent.resource)
    parents.push(parent.resource)
    if (parent.relation) columns.push(...parent.relation.columns.map((column) => column.name))
    else opaque = true
    // The parent then reads and writes the new table's rows too.
    walk.effects.add('sql.ddl.alter', parent.resource, { implied: true, details: { via: [target.resource], child: true } })
  }
  for (const node of stmt.tableElts ?? []) opaque = tableElement(statement, node, columns, references) || opaque
  storedExpressions(statement, [...(stmt.tableElts ?? []), ...(stmt.constraints ?? [])])
  runExpressions(statement, stmt.partbound)
  storedExpressions(statement, stmt.partspec)
  add(statement, target.temporary ? 'sql.temp' : 'sql.ddl.create', target.resource, {
    kind,
    ...(references.length > 0 ? { references } : {}),
  })
  if (stmt.if_not_exists && walk.names.catalog.relation(target.schema, target.name)) return catalogChanged(statement)
  state.overlay.create(provisional(target.schema, target.name, kind, [...new Set(columns)], { parents }))
  catalogChanged(statement, opaque ? `it creates ${target.resource} with columns that can't be told` : undefined)
}

/** Returns true when the columns that the element adds aren't known. */
function tableElement(statement: Statement, node: Node, columns: string[], references: string[]): boolean {
  const { walk } = statement
  const column = as(node, 'ColumnDef')
  if (column) {
    columns.push(column.colname ?? '')
    for (const constraint of column.constraints ?? []) foreignKey(statement, constraint, references)
    return false
  }
  const like = as(node, 'TableLikeClause')
  if (like) {
    const source = existingRelation(walk, rangeName(like.relation))
    references.push(source.resource)
    if (!source.relation) return true
    columns.push(...source.relation.columns.map((one) => one.name))
    return false
  }
  foreignKey(statement, node, references)
  return false
}

function foreignKey(statement: Statement, node: Node, references: string[]): void {
  const constraint = as(node, 'Constraint')
  if (constraint?.pktable) references.push(existingRelation(statement.walk, rangeName(constraint.pktable)).resource)
}

export function createForeignTable(statement: Statement, stmt: Body<'CreateForeignTableStmt'>): void {
  createTable(statement, stmt.base ?? {}, 'foreign')
  add(statement, 'sql.system', `foreign-server ${quoteIdent(stmt.servername ?? '')}`, { foreign_table: true })
}

export function createSchema(statement: Statement, stmt: Body<'CreateSchemaStmt'>): void {
  const { walk, state } = statement
  const name = stmt.schemaname ?? stmt.authrole?.rolename ?? walk.names.context.currentUser
  add(statement, 'sql.ddl.create', `schema ${quoteIdent(name)}`)
  if (stmt.authrole) add(statement, 'sql.grant', `schema ${quoteIdent(name)}`, { owner: stmt.authrole.rolename ?? '' })
  state.overlay.setSchema(name, true)
  if (stmt.schemaElts && stmt.schemaElts.length > 0) {
    // Elements are created in the new schema, whatever the search path says.
    const inner: Statement = { ...statement, walk: statement.walk.withNames(walk.names.withPath([name, ...walk.names.searchPath])) }
    for (const element of stmt.schemaElts) runStatement(inner, element)
    walk.effects.addAll(inner.walk.finish())
    walk.absorb(inner.walk)
  }
  // A schema that search_path already names comes into force by being created.
  walk.changes.push({ kind: 'catalog' }, { kind: 'search_path', value: 'unknown' })
}

export function createSequence(statement: Statement, stmt: Body<'CreateSeqStmt'>): void {
  const target = statement.walk.names.target(rangeName(stmt.sequence), stmt.sequence?.relpersistence === 't')
  add(statement, target.temporary ? 'sql.temp' : 'sql.ddl.create', target.resource, { kind: 'sequence' })
  statement.state.overlay.create(provisional(target.schema, target.name, 'sequence', ['last_value', 'log_cnt', 'is_called']))
  catalogChanged(statement)
}

/** Index expressions are computed for every row now: the functions in them run. */
export function createIndex(statement: Statement, stmt: Body<'IndexStmt'>): void {
  const table = existingRelation(statement.walk, rangeName(stmt.relation))
  add(statement, table.temporary ? 'sql.temp' : 'sql.ddl.create', table.resource, {
    kind: 'index',
    ...(stmt.idxname === undefined ? {} : { index: stmt.idxname }),
  })
  touchRows(statement.walk, table)
  runExpressions(statement, [...(stmt.indexParams ?? []), stmt.whereClause], table)
  catalogChanged(statement)
}

export function createStatistics(statement: Statement, stmt: Body<'CreateStatsStmt'>): void {
  storedExpressions(statement, stmt.exprs)
  for (const node of stmt.relations ?? []) {
    const range = as(node, 'RangeVar')
    if (range) add(statement, 'sql.ddl.create', existingRelation(statement.walk, rangeName(range)).resource, { kind: 'statistics' })
  }
  catalogChanged(statement)
}

/** CREATE FUNCTION and PROCEDURE: code that is installed. Its body doesn't run now. */
export function createFunction(statement: Statement, stmt: Body<'CreateFunctionStmt'>): void {
  const { walk, state } = statement
  const given = qualified(stmt.funcname)
  const schema = given.schema ?? walk.names.creationSchema()
  const language = (stmt.options ?? []).map((node) => as(node, 'DefElem')).find((element) => element?.defname === 'language')
  const name = functionName(walk, { ...given, schema })
  const details = {
    language: as(language?.arg, 'String')?.sval ?? 'sql',
    ...(stmt.is_procedure ? { procedure: true } : {}),
    ...(stmt.replace ? { replace: true } : {}),
  }
  add(statement, 'sql.ddl.create', `function ${name}`, details)
  add(statement, 'sql.code', `function ${name}`, details)
  for (const node of stmt.parameters ?? []) storedExpressions(statement, { default: as(node, 'FunctionParameter')?.defexpr })
  state.overlay.createFunction({ schema, name: given.name, volatile: 'v', returnsSet: stmt.returnType?.setof === true })
  catalogChanged(statement)
}

export function createType(statement: Statement, names: readonly Node[] | undefined, kind: TypeInfo['kind']): void {
  const { walk, state } = statement
  const given = qualified(names)
  const schema = given.schema ?? walk.names.creationSchema()
  add(statement, 'sql.ddl.create', `type ${objectName(walk, { ...given, schema })}`, { kind })
  state.overlay.createType({ schema, name: given.name, kind, calls: [] })
  catalogChanged(statement)
}

export function createComposite(statement: Statement, stmt: Body<'CompositeTypeStmt'>): void {
  const { walk, state } = statement
  const target = walk.names.target(rangeName(stmt.typevar), stmt.typevar?.relpersistence === 't')
  add(statement, target.temporary ? 'sql.temp' : 'sql.ddl.create', `type ${target.resource}`, { kind: 'composite' })
  state.overlay.createType({ schema: target.schema, name: target.name, kind: 'composite', calls: [] })
  catalogChanged(statement)
}

export function createDomain(statement: Statement, stmt: Body<'CreateDomainStmt'>): void {
  typeUsed(statement.walk, stmt.typeName)
  storedExpressions(statement, stmt.constraints)
  add(statement, 'sql.ddl.create', `type ${objectName(statement.walk, qualified(stmt.domainname))}`, { kind: 'domain' })
  catalogChanged(statement, 'it creates a domain')
}

/** CREATE AGGREGATE, OPERATOR, TYPE, TEXT SEARCH …, COLLATION. Operators and aggregates hide calls behind names. */
export function define(statement: Statement, stmt: Body<'DefineStmt'>): void {
  const { walk } = statement
  const name = objectName(walk, qualified(stmt.defnames))
  const kind = kindWord(stmt.kind)
  const resource = stmt.kind === 'OBJECT_AGGREGATE' ? `function ${name}` : `${kind} ${name}`
  add(statement, 'sql.ddl.create', resource, { kind })
  if (stmt.kind === 'OBJECT_AGGREGATE' || stmt.kind === 'OBJECT_OPERATOR' || stmt.kind === 'OBJECT_TYPE') {
    add(statement, 'sql.code', resource, { kind })
  }
  catalogChanged(statement, `it creates ${resource}`)
}

/** Code that other statements will run unseen: triggers, rules, casts, transforms, languages, access methods … */
export function createTrigger(statement: Statement, stmt: Body<'CreateTrigStmt'>): void {
  const { walk, state } = statement
  const table = existingRelation(walk, rangeName(stmt.relation))
  const name = functionName(walk, qualified(stmt.funcname))
  add(statement, 'sql.ddl.create', table.resource, { kind: 'trigger', trigger: stmt.trigname ?? '' })
  add(statement, 'sql.code', table.resource, { kind: 'trigger', function: name })
  if (table.relation) {
    const trigger = { function: name, events: ['insert', 'update', 'delete', 'truncate'] as const }
    state.overlay.create(
      { ...table.relation, schema: table.schema, triggers: [...table.relation.triggers, trigger] },
      walk.names.catalog.lineage(table.relation),
    )
  }
  catalogChanged(statement)
}

export function createRule(statement: Statement, stmt: Body<'RuleStmt'>): void {
  const { walk, state } = statement
  const table = existingRelation(walk, rangeName(stmt.relation))
  add(statement, 'sql.ddl.create', table.resource, { kind: 'rule', rule: stmt.rulename ?? '' })
  add(statement, 'sql.code', table.resource, { kind: 'rule', actions: (stmt.actions ?? []).map((action) => kindOf(action)) })
  if (table.relation) {
    state.overlay.create({ ...table.relation, schema: table.schema, hasRules: true }, walk.names.catalog.lineage(table.relation))
  }
  catalogChanged(statement, `it creates a rule on ${table.resource}`)
}

