import type { JsonObject } from '@sallyport/policy'
import { as, qualified, strings, type Body, type Node } from './ast.js'
import { existingRelation, functionName, kindWord, namedObject, objectName, rangeName, type NamedObject } from './objects.js'
import type { ResolvedRelation } from './names.js'
import { provisional } from './overlay.js'
import { quoteIdent } from './quote.js'
import { relationItem, touchRows } from './relations.js'
import { add, catalogChanged, runExpressions, type Statement } from './statement.js'
import type { Relation } from './types.js'
import { writeEffect } from './writes.js'

/** The action for a change of an object, by its family; temporary relations are the session's own. */
function act(statement: Statement, object: NamedObject, verb: 'alter' | 'drop' | 'rename' | 'comment', details: JsonObject = {}): void {
  const facts = { ...details, ...(object.part === undefined ? {} : { part: object.part }) }
  if (object.relation?.temporary) return add(statement, 'sql.temp', object.resource, { ...facts, verb })
  switch (object.family) {
    case 'ddl':
      return add(statement, `sql.ddl.${verb}`, object.resource, facts)
    case 'system':
      return add(statement, 'sql.system', object.resource, { ...facts, verb })
    case 'role':
      return add(statement, 'sql.role', object.resource, { ...facts, verb })
    case 'database':
      return add(statement, verb === 'drop' ? 'sql.drop_database' : 'sql.create_database', object.resource, { ...facts, verb })
  }
}

function snake(text: string): string {
  return text.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase()
}

/** Subcommands whose expression fills a column. */
const filling = /^AT_(AddColumn|SetExpression|AlterColumnType)$/

/** A table that leaves its parent leaves the parent's masks, too: the same as storing its rows elsewhere. */
function freed(statement: Statement, child: ResolvedRelation): void {
  for (const { name, value } of relationItem(statement.walk, child, {}).columns) statement.walk.stores.push({ value: value.sources, into: `${child.resource}.${quoteIdent(name)}` })
}

/** Subcommands that take away or give protection rather than change the table's shape. */
const ownership = /^AT_(ChangeOwner|.*RowSecurity)$/

export function alterTable(statement: Statement, stmt: Body<'AlterTableStmt'>): void {
  const { walk } = statement
  const table = existingRelation(walk, rangeName(stmt.relation))
  const commands = (stmt.cmds ?? [])
    .map((node) => as(node, 'AlterTableCmd'))
    .filter((cmd): cmd is Body<'AlterTableCmd'> => cmd !== undefined)
  const subcommands = commands.map((cmd) => snake((cmd.subtype ?? '').replace(/^AT_/, '')))
  const columns = commands.flatMap((cmd) => {
    const name = as(cmd.def, 'ColumnDef')?.colname ?? cmd.name
    return name === undefined ? [] : [quoteIdent(name)]
  })
  const composite = stmt.objtype === 'OBJECT_TYPE'
  const object: NamedObject = { resource: composite ? `type ${table.resource}` : table.resource, relation: table, family: 'ddl' }
  act(statement, object, 'alter', { subcommands, ...(columns.length > 0 ? { columns } : {}) })
  touchRows(walk, table)
  for (const cmd of commands) {
    // USING, defaults of new columns, generated columns and checks are computed for the rows there are.
    const { sources } = runExpressions(statement, cmd.def, table)
    const column = as(cmd.def, 'ColumnDef')?.colname ?? cmd.name
    if (sources.length > 0 && column !== undefined && filling.test(cmd.subtype ?? '')) {
      walk.stores.push({ value: sources, into: `${table.resource}.${quoteIdent(column)}` })
    }
    if (cmd.subtype !== undefined && ownership.test(cmd.subtype)) {
      add(statement, 'sql.grant', object.resource, { subcommand: snake(cmd.subtype.slice(3)) })
    }
    const other = as(cmd.def, 'PartitionCmd')?.name ?? as(cmd.def, 'RangeVar')
    if (other?.relname === undefined) continue
    const partner = existingRelation(walk, rangeName(other))
    const partnered: NamedObject = { resource: partner.resource, relation: partner, family: 'ddl' }
    act(statement, partnered, 'alter', { subcommands: [snake((cmd.subtype ?? '').slice(3))] })
    touchRows(walk, partner)
    if (cmd.subtype === 'AT_DropInherit') freed(statement, table)
    if (cmd.subtype === 'AT_DetachPartition') freed(statement, partner)
  }
  catalogChanged(statement, simulate(statement, table, commands))
}

function relationObject(statement: Statement, range: Body<'RangeVar'> | undefined): NamedObject {
  const relation = existingRelation(statement.walk, rangeName(range))
  return { resource: relation.resource, relation, family: 'ddl' }
}

/** Subcommands after which names mean what they meant. */
const neutral = new RegExp(
  '^AT_(ColumnDefault|DropNotNull|SetNotNull|SetExpression|DropExpression|SetStatistics|SetOptions|ResetOptions|SetStorage' +
    '|SetCompression|AddConstraint|AlterConstraint|ValidateConstraint|DropConstraint|AlterColumnType|AlterColumnGenericOptions' +
    '|ChangeOwner|ClusterOn|DropCluster|SetLogged|SetUnLogged|SetTableSpace|SetRelOptions|ResetRelOptions|ReplicaIdentity' +
    '|.*RowSecurity|AddIdentity|SetIdentity|DropIdentity|GenericOptions|AddIndex|SetAccessMethod)$',
)

/** Lays the changed columns over the catalog. Returns what can't be simulated. */
function simulate(statement: Statement, table: ResolvedRelation, commands: readonly Body<'AlterTableCmd'>[]): string | undefined {
  let columns = table.relation?.columns.map((column) => column.name)
  let changed = false
  for (const cmd of commands) {
    if (cmd.subtype !== undefined && neutral.test(cmd.subtype)) continue
    if (cmd.subtype === 'AT_AddColumn') columns?.push(as(cmd.def, 'ColumnDef')?.colname ?? '')
    else if (cmd.subtype === 'AT_DropColumn') columns = columns?.filter((name) => name !== cmd.name)
    else return `it alters ${table.resource}`
    changed = true
  }
  if (changed && columns && table.relation) overlay(statement, table, [...new Set(columns)])
  return undefined
}

function overlay(statement: Statement, table: ResolvedRelation, columns: readonly string[]): void {
  const { relation } = table
  if (!relation) return
  const made = provisional(table.schema, table.name, relation.kind, columns, { ...relation, schema: table.schema })
  const list = columns.map((name, index) => relation.columns.find((column) => column.name === name) ?? { name, number: 10_000 + index })
  statement.state.overlay.create({ ...made, columns: list }, statement.walk.names.catalog.lineage(relation))
}

export function rename(statement: Statement, stmt: Body<'RenameStmt'>): void {
  const details = { to: stmt.newname ?? '', ...(stmt.subname === undefined ? {} : { part: stmt.subname }) }
  if (!stmt.relation && !stmt.object) {
    // Roles, databases, schemas, tablespaces carry their name in subname.
    const object = namedObject(statement.walk, stmt.renameType, { String: { sval: stmt.subname ?? '' } })
    act(statement, object, 'rename', { to: details.to })
    // All that stands in it is read under another name from then on.
    if (stmt.renameType === 'OBJECT_SCHEMA') statement.walk.stores.push({ value: [statement.walk.assumedColumn(`${quoteIdent(stmt.subname ?? '')}.*`, '*')] })
    return catalogChanged(statement, `it renames ${object.resource}`)
  }
  const object = stmt.relation ? relationObject(statement, stmt.relation) : namedObject(statement.walk, stmt.renameType, stmt.object)
  act(statement, object, 'rename', { ...details, kind: kindWord(stmt.renameType) })
  const table = object.relation
  const { overlay: made } = statement.state
  moved(statement, table, stmt.renameType === 'OBJECT_COLUMN' ? stmt.subname : undefined, (name) =>
    stmt.renameType === 'OBJECT_COLUMN'
      ? `${table?.resource ?? ''}.${quoteIdent(details.to)}`
      : `${quoteIdent(table?.schema ?? '')}.${quoteIdent(details.to)}.${quoteIdent(name)}`,
  )
  if (stmt.relation && table?.relation && stmt.renameType === 'OBJECT_COLUMN') {
    overlay(statement, table, table.relation.columns.map((column) => (column.name === stmt.subname ? details.to : column.name)))
    return catalogChanged(statement)
  }
  if (stmt.relation && table?.relation && (stmt.renameType === 'OBJECT_TABLE' || stmt.renameType === 'OBJECT_SEQUENCE')) {
    made.drop(table.schema, table.name)
    made.create({ ...table.relation, schema: table.schema, name: details.to }, statement.walk.names.catalog.lineage(table.relation))
    return catalogChanged(statement)
  }
  catalogChanged(
    statement,
    stmt.renameType === 'OBJECT_TABCONSTRAINT' || stmt.renameType === 'OBJECT_INDEX' ? undefined : `it renames ${object.resource}`,
  )
}

/** What is renamed or moved is read under another name from then on: for masks the same as being stored there. */
function moved(
  statement: Statement,
  table: ResolvedRelation | undefined,
  only: string | undefined,
  into: (column: string) => string,
): void {
  if (!table) return
  const names = only === undefined ? (table.relation?.columns.map((column) => column.name) ?? ['*']) : [only]
  for (const name of names) {
    const source = statement.walk.assumedColumn(table.resource, name)
    statement.walk.stores.push({ value: [source], into: into(name) })
  }
}

/** ALTER … OWNER TO, SET SCHEMA, DEPENDS ON EXTENSION. */
export function alterOwner(statement: Statement, stmt: Body<'AlterOwnerStmt'>): void {
  const object = stmt.relation ? relationObject(statement, stmt.relation) : namedObject(statement.walk, stmt.objectType, stmt.object)
  act(statement, object, 'alter', { owner: stmt.newowner?.rolename ?? '' })
  add(statement, 'sql.grant', object.resource, { owner: stmt.newowner?.rolename ?? '' })
}

export function alterObjectSchema(statement: Statement, stmt: Body<'AlterObjectSchemaStmt'>): void {
  const object = stmt.relation ? relationObject(statement, stmt.relation) : namedObject(statement.walk, stmt.objectType, stmt.object)
  act(statement, object, 'alter', { schema: stmt.newschema ?? '' })
  const { relation } = object
  if (stmt.relation) {
    moved(
      statement,
      relation,
      undefined,
      (name) => `${quoteIdent(stmt.newschema ?? '')}.${quoteIdent(relation?.name ?? '')}.${quoteIdent(name)}`,
    )
  }
  catalogChanged(statement, `it moves ${object.resource} to another schema`)
}

export function alterDepends(statement: Statement, stmt: Body<'AlterObjectDependsStmt'>): void {
  const object =
    stmt.relation && !stmt.object ? relationObject(statement, stmt.relation) : namedObject(statement.walk, stmt.objectType, stmt.object)
  act(statement, object, 'alter', { depends: true })
}

/** ALTER of objects that have no statement kind of their own worth telling apart. */
export function alterNamed(
  statement: Statement,
  word: string,
  names: readonly Node[] | undefined,
  body: object,
  details: JsonObject = {},
): void {
  act(statement, { resource: `${word} ${objectName(statement.walk, qualified(names))}`, family: 'ddl' }, 'alter', details)
  runExpressions(statement, body)
  catalogChanged(statement, `it alters a ${word}`)
}

export function alterFunction(statement: Statement, stmt: Body<'AlterFunctionStmt'>): void {
  const name = functionName(statement.walk, qualified(stmt.func?.objname))
  const options = (stmt.actions ?? []).map((node) => as(node, 'DefElem')?.defname ?? '')
  act(statement, { resource: `function ${name}`, family: 'ddl' }, 'alter', { options })
  // SECURITY DEFINER and SET change what callers run.
  add(statement, 'sql.code', `function ${name}`, { alter: true, options })
  catalogChanged(statement)
}

export function alterSequence(statement: Statement, stmt: Body<'AlterSeqStmt'>): void {
  act(statement, relationObject(statement, stmt.sequence), 'alter', {
    options: (stmt.options ?? []).map((node) => as(node, 'DefElem')?.defname ?? ''),
  })
}

export function drop(statement: Statement, stmt: Body<'DropStmt'>): void {
  const { walk, state } = statement
  let unsimulated: string | undefined
  for (const node of stmt.objects ?? []) {
    const object = namedObject(walk, stmt.removeType, node)
    act(statement, object, 'drop', { kind: kindWord(stmt.removeType), ...(stmt.behavior === 'DROP_CASCADE' ? { cascade: true } : {}) })
    if (stmt.removeType === 'OBJECT_POLICY') {
      add(statement, 'sql.grant', object.resource, { verb: 'drop_policy', policy: object.part ?? '' })
    }
    if (object.relation && object.part === undefined) {
      state.overlay.drop(object.relation.schema, object.relation.name)
      for (const child of object.relation.relation?.children ?? []) {
        walk.effects.add('sql.ddl.drop', child, { implied: true, details: { via: [object.resource] } })
      }
    } else if (stmt.removeType === 'OBJECT_SCHEMA') {
      state.overlay.setSchema(as(node, 'String')?.sval ?? '', false)
      unsimulated = `it drops ${object.resource}`
    } else if (object.part === undefined) unsimulated = `it drops ${object.resource}`
    if (stmt.behavior === 'DROP_CASCADE') unsimulated = 'it drops what depends on an object'
  }
  catalogChanged(statement, unsimulated)
}

export function truncate(statement: Statement, stmt: Body<'TruncateStmt'>): void {
  const { walk } = statement
  for (const node of stmt.relations ?? []) {
    const range = as(node, 'RangeVar')
    if (!range) continue
    const table = existingRelation(walk, rangeName(range))
    const cascade = stmt.behavior === 'DROP_CASCADE'
    writeEffect(walk, table, 'truncate', {
      details: { ...(cascade ? { cascade } : {}), ...(stmt.restart_seqs ? { restart_sequences: true } : {}) },
      inherit: range.inh === true,
    })
    if (cascade) truncateReferring(statement, table.resource, table.relation, new Set([table.resource]))
  }
}

/** TRUNCATE … CASCADE empties every table that refers to this one, and those that refer to them. */
function truncateReferring(statement: Statement, resource: string, relation: Relation | undefined, seen: Set<string>): void {
  for (const name of relation?.referencedBy ?? []) {
    if (seen.has(name)) continue
    seen.add(name)
    statement.walk.effects.add('sql.ddl.truncate', name, { implied: true, details: { via: [resource], cascade: true } })
    truncateReferring(statement, name, statement.walk.names.catalog.relationNamed(name), seen)
  }
}

export function comment(statement: Statement, stmt: Body<'CommentStmt'>): void {
  act(statement, namedObject(statement.walk, stmt.objtype, stmt.object), 'comment', { kind: kindWord(stmt.objtype) })
}

export function securityLabel(statement: Statement, stmt: Body<'SecLabelStmt'>): void {
  const object = namedObject(statement.walk, stmt.objtype, stmt.object)
  act(statement, object, 'comment', { kind: kindWord(stmt.objtype), label: true })
  add(statement, 'sql.grant', object.resource, { security_label: true })
}

const schemaWide = new Set(['ACL_TARGET_ALL_IN_SCHEMA', 'ACL_TARGET_DEFAULTS'])

export function grant(statement: Statement, stmt: Body<'GrantStmt'>, defaults = false): void {
  const privileges = (stmt.privileges ?? []).map((node) => as(node, 'AccessPriv')?.priv_name ?? 'all')
  const grantees = (stmt.grantees ?? []).map((node) => as(node, 'RoleSpec')?.rolename ?? 'public')
  const details: JsonObject = {
    verb: stmt.is_grant ? 'grant' : 'revoke',
    privileges: privileges.length > 0 ? privileges : ['all'],
    grantees,
    ...(defaults ? { default: true } : {}),
    ...(stmt.grant_option ? { grant_option: true } : {}),
  }
  if (defaults || (stmt.targtype !== undefined && schemaWide.has(stmt.targtype))) {
    const names = strings(stmt.objects)
    for (const name of names.length > 0 ? names : ['*']) {
      add(statement, 'sql.grant', `schema ${name === '*' ? name : quoteIdent(name)}`, {
        ...details,
        kind: kindWord(stmt.objtype),
        all: true,
      })
    }
    return
  }
  for (const node of stmt.objects ?? []) {
    const range = as(node, 'RangeVar')
    const object = range ? relationObject(statement, range) : namedObject(statement.walk, stmt.objtype, node)
    add(statement, 'sql.grant', object.resource, details)
  }
}

