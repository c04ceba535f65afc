import { as, kindOf, strings, type Body, type Node, type NodeKind } from './ast.js'
import { copy } from './copy.js'
import * as create from './ddl-create.js'
import * as alter from './ddl-alter.js'
import { existingRelation, functionName, objectName, rangeName } from './objects.js'
import { qualified } from './ast.js'
import * as prepared from './prepared.js'
import * as queries from './queries.js'
import { quoteIdent } from './quote.js'
import { add, catalogChanged, harmless, runExpressions, storedExpressions, type Statement } from './statement.js'
import * as utility from './utility.js'

type Handler<K extends NodeKind> = (statement: Statement, body: Body<K>, node: Node) => void

const asQuery = (statement: Statement, _body: unknown, node: Node): void => queries.query(statement, node)

/** An object of the whole server or database: its kind and name are what a rule can speak of. */
function system(statement: Statement, word: string, name: string | undefined, verb: string, unsimulated = true): void {
  add(statement, 'sql.system', `${word} ${quoteIdent(name ?? '')}`, { verb })
  if (unsimulated) catalogChanged(statement, `it changes a ${word}`)
}

function onTable(statement: Statement, range: Body<'RangeVar'> | undefined, action: string, details: { [fact: string]: string }): void {
  add(statement, action, existingRelation(statement.walk, rangeName(range)).resource, details)
}

/** Every statement of PostgreSQL 18's grammar. A kind that isn't here is `sql.unknown`. */
export const statements: { readonly [K in NodeKind]?: Handler<K> } = {
  SelectStmt: asQuery,
  InsertStmt: asQuery,
  UpdateStmt: asQuery,
  DeleteStmt: asQuery,
  MergeStmt: asQuery,
  CopyStmt: copy,
  CreateTableAsStmt: queries.createTableAs,
  ViewStmt: queries.createView,
  RefreshMatViewStmt: queries.refreshMatView,
  ExplainStmt: queries.explain,
  CallStmt: queries.call,
  DoStmt: utility.doBlock,

  PrepareStmt: prepared.prepare,
  ExecuteStmt: prepared.execute,
  DeallocateStmt: prepared.deallocate,
  DeclareCursorStmt: prepared.declareCursor,
  FetchStmt: prepared.fetchCursor,
  ClosePortalStmt: prepared.closeCursor,

  TransactionStmt: utility.transaction,
  VariableSetStmt: utility.set,
  VariableShowStmt: utility.show,
  DiscardStmt: utility.discard,
  ConstraintsSetStmt: (statement) => harmless(statement, 'sql.transaction', '', { constraints: true }),
  LockStmt: utility.lock,
  ListenStmt: (statement, body) => add(statement, 'sql.listen', `channel ${body.conditionname ?? ''}`),
  UnlistenStmt: (statement, body) => harmless(statement, 'sql.listen', `channel ${body.conditionname ?? '*'}`, { unlisten: true }),
  NotifyStmt: (statement, body) =>
    add(statement, 'sql.notify', `channel ${body.conditionname ?? ''}`, body.payload === undefined ? {} : { payload: true }),
  CheckPointStmt: (statement) => add(statement, 'sql.maintenance', 'database', { verb: 'checkpoint' }),
  VacuumStmt: utility.vacuum,
  ClusterStmt: utility.cluster,
  ReindexStmt: utility.reindex,

  CreateStmt: (statement, body) => create.createTable(statement, body),
  CreateForeignTableStmt: create.createForeignTable,
  CreateSchemaStmt: create.createSchema,
  CreateSeqStmt: create.createSequence,
  IndexStmt: create.createIndex,
  CreateStatsStmt: create.createStatistics,
  CreateFunctionStmt: create.createFunction,
  CreateEnumStmt: (statement, body) => create.createType(statement, body.typeName, 'enum'),
  CreateRangeStmt: (statement, body) => create.createType(statement, body.typeName, 'range'),
  CompositeTypeStmt: create.createComposite,
  CreateDomainStmt: create.createDomain,
  DefineStmt: create.define,
  CreateTrigStmt: create.createTrigger,
  RuleStmt: create.createRule,
  CreateConversionStmt: (statement, body) => code(statement, `conversion ${objectName(statement.walk, qualified(body.conversion_name))}`),
  CreateCastStmt: (statement, body) => code(statement, `cast ${typeWord(body.sourcetype)}.${typeWord(body.targettype)}`),
  CreateTransformStmt: (statement, body) => code(statement, `transform ${typeWord(body.type_name)}`),
  CreateOpClassStmt: (statement, body) => code(statement, `operator-class ${objectName(statement.walk, qualified(body.opclassname))}`),
  CreateOpFamilyStmt: (statement, body) => code(statement, `operator-family ${objectName(statement.walk, qualified(body.opfamilyname))}`),

  AlterTableStmt: alter.alterTable,
  RenameStmt: alter.rename,
  AlterOwnerStmt: alter.alterOwner,
  AlterObjectSchemaStmt: alter.alterObjectSchema,
  AlterObjectDependsStmt: alter.alterDepends,
  AlterFunctionStmt: alter.alterFunction,
  AlterSeqStmt: alter.alterSequence,
  AlterDomainStmt: (statement, body) => alter.alterNamed(statement, 'type', body.typeName, { def: body.def }, { kind: 'domain' }),
  AlterEnumStmt: (statement, body) => alter.alterNamed(statement, 'type', body.typeName, {}, { kind: 'enum' }),
  AlterTypeStmt: (statement, body) => alter.alterNamed(statement, 'type', body.typeName, {}),
  AlterCollationStmt: (statement, body) => alter.alterNamed(statement, 'collation', body.collname, {}),
  AlterStatsStmt: (statement, body) => alter.alterNamed(statement, 'statistics', body.defnames, {}),
  AlterOperatorStmt: (statement, body) => alter.alterNamed(statement, 'operator', body.opername?.objname, {}),
  AlterOpFamilyStmt: (statement, body) => alter.alterNamed(statement, 'operator-family', body.opfamilyname, {}),
  AlterTSDictionaryStmt: (statement, body) => alter.alterNamed(statement, 'text-search-dictionary', body.dictname, {}),
  AlterTSConfigurationStmt: (statement, body) => alter.alterNamed(statement, 'text-search-configuration', body.cfgname, {}),
  DropStmt: alter.drop,
  TruncateStmt: alter.truncate,
  CommentStmt: alter.comment,
  SecLabelStmt: alter.securityLabel,

  GrantStmt: (statement, body) => alter.grant(statement, body),
  AlterDefaultPrivilegesStmt: (statement, body) => alter.grant(statement, body.action ?? {}, true),
  GrantRoleStmt: utility.grantRole,
  CreateRoleStmt: (statement, body) => utility.roles(statement, [body.role], 'create', body.options),
  AlterRoleStmt: (statement, body) => utility.roles(statement, [body.role?.rolename], 'alter', body.options),
  AlterRoleSetStmt: (statement, body) => utility.roles(statement, [body.role?.rolename ?? 'all'], 'set'),
  DropRoleStmt: (statement, body) => utility.roles(statement, utility.roleNames(body.roles), 'drop'),
  DropOwnedStmt: (statement, body) => {
    utility.roles(statement, utility.roleNames(body.roles), 'drop_owned')
    add(statement, 'sql.ddl.drop', 'owned', { roles: utility.roleNames(body.roles) })
    catalogChanged(statement, 'it drops what a role owns')
  },
  ReassignOwnedStmt: (statement, body) =>
    utility.roles(statement, [...utility.roleNames(body.roles), body.newrole?.rolename], 'reassign_owned'),
  CreatePolicyStmt: (statement, body) => rowPolicy(statement, body, 'create_policy'),
  AlterPolicyStmt: (statement, body) => rowPolicy(statement, body, 'alter_policy'),

  CreatedbStmt: (statement, body) => add(statement, 'sql.create_database', `database ${quoteIdent(body.dbname ?? '')}`, { verb: 'create' }),
  AlterDatabaseStmt: (statement, body) =>
    add(statement, 'sql.create_database', `database ${quoteIdent(body.dbname ?? '')}`, { verb: 'alter' }),
  AlterDatabaseSetStmt: (statement, body) =>
    add(statement, 'sql.create_database', `database ${quoteIdent(body.dbname ?? '')}`, { verb: 'set' }),
  AlterDatabaseRefreshCollStmt: (statement, body) =>
    add(statement, 'sql.create_database', `database ${quoteIdent(body.dbname ?? '')}`, { verb: 'refresh_collation' }),
  DropdbStmt: (statement, body) => add(statement, 'sql.drop_database', `database ${quoteIdent(body.dbname ?? '')}`),

  AlterSystemStmt: (statement, body) => system(statement, 'setting', body.setstmt?.name ?? '*', 'alter_system', false),
  LoadStmt: (statement, body) => add(statement, 'sql.system', `library ${body.filename ?? ''}`, { verb: 'load' }),
  CreateTableSpaceStmt: (statement, body) => system(statement, 'tablespace', body.tablespacename, 'create', false),
  DropTableSpaceStmt: (statement, body) => system(statement, 'tablespace', body.tablespacename, 'drop', false),
  AlterTableSpaceOptionsStmt: (statement, body) => system(statement, 'tablespace', body.tablespacename, 'alter', false),
  AlterTableMoveAllStmt: (statement, body) => system(statement, 'tablespace', body.orig_tablespacename, 'move_all', false),
  CreateExtensionStmt: (statement, body) => system(statement, 'extension', body.extname, 'create'),
  AlterExtensionStmt: (statement, body) => system(statement, 'extension', body.extname, 'alter'),
  AlterExtensionContentsStmt: (statement, body) => system(statement, 'extension', body.extname, 'contents'),
  CreateFdwStmt: (statement, body) => system(statement, 'foreign-data-wrapper', body.fdwname, 'create'),
  AlterFdwStmt: (statement, body) => system(statement, 'foreign-data-wrapper', body.fdwname, 'alter'),
  CreateForeignServerStmt: (statement, body) => system(statement, 'foreign-server', body.servername, 'create'),
  AlterForeignServerStmt: (statement, body) => system(statement, 'foreign-server', body.servername, 'alter'),
  CreateUserMappingStmt: (statement, body) => system(statement, 'user-mapping', body.servername, 'create', false),
  AlterUserMappingStmt: (statement, body) => system(statement, 'user-mapping', body.servername, 'alter', false),
  DropUserMappingStmt: (statement, body) => system(statement, 'user-mapping', body.servername, 'drop', false),
  ImportForeignSchemaStmt: (statement, body) => {
    system(statement, 'foreign-server', body.server_name, 'import_schema')
    add(statement, 'sql.ddl.create', `schema ${quoteIdent(body.local_schema ?? '')}`, { import: true })
  },
  CreateAmStmt: (statement, body) => system(statement, 'access-method', body.amname, 'create'),
  CreateEventTrigStmt: (statement, body) => {
    system(statement, 'event-trigger', body.trigname, 'create', false)
    add(statement, 'sql.code', `function ${functionName(statement.walk, qualified(body.funcname))}`, { event_trigger: true })
  },
  AlterEventTrigStmt: (statement, body) => system(statement, 'event-trigger', body.trigname, 'alter', false),
  CreatePLangStmt: (statement, body) => {
    system(statement, 'language', body.plname, 'create')
    add(statement, 'sql.code', `language ${quoteIdent(body.plname ?? '')}`, { language: true })
  },
  CreatePublicationStmt: (statement, body) => publication(statement, body.pubname, 'create', body.pubobjects),
  AlterPublicationStmt: (statement, body) => publication(statement, body.pubname, 'alter', body.pubobjects),
  CreateSubscriptionStmt: (statement, body) => system(statement, 'subscription', body.subname, 'create', false),
  AlterSubscriptionStmt: (statement, body) => system(statement, 'subscription', body.subname, 'alter', false),
  DropSubscriptionStmt: (statement, body) => system(statement, 'subscription', body.subname, 'drop', false),
}

function typeWord(type: Body<'TypeName'> | undefined): string {
  return quoteIdent(strings(type?.names).at(-1) ?? '')
}

/** Installs something that later statements run without naming it. */
function code(statement: Statement, resource: string): void {
  add(statement, 'sql.ddl.create', resource)
  add(statement, 'sql.code', resource)
  catalogChanged(statement, `it creates ${resource}`)
}

/**
 * A row security policy: its expressions run in statements that don't name what they read, so that an error or a row left out tells of
 * columns which those statements know nothing of. For masks as if the columns were stored elsewhere.
 */
function rowPolicy(statement: Statement, body: Body<'CreatePolicyStmt'> | Body<'AlterPolicyStmt'>, verb: string): void {
  onTable(statement, body.table, 'sql.grant', { verb, policy: body.policy_name ?? '' })
  const table = existingRelation(statement.walk, rangeName(body.table))
  for (const node of [body.qual, body.with_check]) {
    const read = node === undefined ? [] : storedExpressions(statement, [node], table)
    if (read.length > 0) statement.walk.stores.push({ value: read })
  }
}

/** Sends tables' changes to other servers: the tables named are facts that a rule can see. */
function publication(statement: Statement, name: string | undefined, verb: string, objects: readonly Node[] | undefined): void {
  const tables = (objects ?? []).flatMap((node) => {
    const table = as(node, 'PublicationObjSpec')?.pubtable
    if (table?.whereClause) runExpressions(statement, table.whereClause)
    return table?.relation ? [existingRelation(statement.walk, rangeName(table.relation)).resource] : []
  })
  add(statement, 'sql.system', `publication ${quoteIdent(name ?? '')}`, { verb, ...(tables.length > 0 ? { tables } : {}) })
}

/** Runs the handler of a statement's node. */
export function runStatement(statement: Statement, node: Node): void {
  const kind = kindOf(node)
  if (kind === '') return
  statement.walk.enter()
  dispatch(statement, node, kind)
  statement.walk.leave()
}

function dispatch<K extends NodeKind>(statement: Statement, node: Node, kind: K): void {
  const handler: Handler<K> | undefined = statements[kind]
  const body = as(node, kind)
  if (handler && body !== undefined) {
    handler(statement, body, node)
    return
  }
  add(statement, 'sql.unknown', kind, { mustName: true })
  statement.output = { kind: 'unknown' }
  catalogChanged(statement, 'it is not known')
}
