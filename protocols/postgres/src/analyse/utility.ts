import { as, option, optionText, type Body } from './ast.js'
import { existingRelation, rangeName } from './objects.js'
import { anyColumn } from './lineage.js'
import { quoteIdent } from './quote.js'
import { touchRows } from './relations.js'
import { showSetting, variableSet } from './settings.js'
import { add, catalogChanged, harmless, plainOutput, type Statement } from './statement.js'
import type { StateChange } from './types.js'

type Verb = (StateChange & { kind: 'transaction' })['verb']

const verbs: Readonly<Record<string, Verb>> = {
  TRANS_STMT_BEGIN: 'begin',
  TRANS_STMT_START: 'begin',
  TRANS_STMT_COMMIT: 'commit',
  TRANS_STMT_ROLLBACK: 'rollback',
  TRANS_STMT_SAVEPOINT: 'savepoint',
  TRANS_STMT_RELEASE: 'release',
  TRANS_STMT_ROLLBACK_TO: 'rollback_to',
}

const enders = new Set(['TRANS_STMT_COMMIT', 'TRANS_STMT_ROLLBACK', 'TRANS_STMT_ROLLBACK_TO', 'TRANS_STMT_PREPARE'])

export function transaction(statement: Statement, stmt: Body<'TransactionStmt'>): void {
  const kind = stmt.kind ?? ''
  const verb = verbs[kind]
  statement.endsTransaction = enders.has(kind)
  if (verb !== undefined) {
    statement.walk.changes.push({ kind: 'transaction', verb })
    return harmless(statement, 'sql.transaction', '', { verb })
  }
  // Two-phase commit outlives the session, and may finish another one's.
  if (kind === 'TRANS_STMT_PREPARE') statement.walk.changes.push({ kind: 'transaction', verb: 'rollback' })
  const word = kind.replace('TRANS_STMT_', '').toLowerCase()
  add(
    statement,
    word === 'prepare' || word === 'commit_prepared' || word === 'rollback_prepared' ? 'sql.transaction' : 'sql.unknown',
    `prepared-transaction ${stmt.gid ?? ''}`,
    { verb: word },
  )
}

export function show(statement: Statement, stmt: Body<'VariableShowStmt'>): void {
  showSetting(statement.walk, stmt.name)
  const all = stmt.name?.toLowerCase() === 'all'
  statement.output = all ? plainOutput('name', 'setting', 'description') : plainOutput(stmt.name ?? '')
}

export function set(statement: Statement, stmt: Body<'VariableSetStmt'>): void {
  variableSet(statement.walk, stmt)
}

export function lock(statement: Statement, stmt: Body<'LockStmt'>): void {
  for (const node of stmt.relations ?? []) {
    const range = as(node, 'RangeVar')
    if (!range) continue
    const table = existingRelation(statement.walk, rangeName(range))
    add(statement, 'sql.lock', table.resource, { mode: stmt.mode ?? 0 })
    for (const child of table.relation?.children ?? []) {
      statement.walk.effects.add('sql.lock', child, { implied: true, details: { via: [table.resource] } })
    }
  }
}

export function doBlock(statement: Statement, stmt: Body<'DoStmt'>): void {
  const language = optionText(option(stmt.args, 'language')) ?? 'plpgsql'
  add(statement, 'sql.code', `language ${quoteIdent(language)}`, { do: true, language })
  statement.walk.changes.push({ kind: 'catalog' }, { kind: 'session_reset' })
}

export function discard(statement: Statement, stmt: Body<'DiscardStmt'>): void {
  const target = (stmt.target ?? '').replace('DISCARD_', '').toLowerCase()
  harmless(statement, 'sql.set', 'setting *', { discard: target })
  const { changes } = statement.walk
  if (target === 'all') {
    changes.push({ kind: 'deallocate', name: 'all' }, { kind: 'close_cursor', name: 'all' }, { kind: 'catalog' }, { kind: 'session_reset' })
  }
  if (target === 'temp') catalogChanged(statement, 'it drops the temporary tables')
}

/** Computes expressions of indexes and statistics for the rows: an error may quote them. */
function maintained(statement: Statement, range: Body<'RangeVar'> | undefined): string {
  const table = existingRelation(statement.walk, rangeName(range))
  touchRows(statement.walk, table)
  return table.resource
}

const checks = new Set(['vacuum', 'analyze'])

export function vacuum(statement: Statement, stmt: Body<'VacuumStmt'>): void {
  const verb = stmt.is_vacuumcmd ? 'vacuum' : 'analyze'
  const options = (stmt.options ?? []).map((node) => as(node, 'DefElem')?.defname ?? '')
  const details = { verb, ...(options.length > 0 ? { options } : {}) }
  if (!stmt.rels) statement.walk.rows.add(anyColumn)
  if (!stmt.rels || !checks.has(verb)) return add(statement, 'sql.maintenance', 'database', details)
  for (const node of stmt.rels) {
    const range = as(node, 'VacuumRelation')?.relation
    add(statement, 'sql.maintenance', maintained(statement, range), details)
  }
}

export function cluster(statement: Statement, stmt: Body<'ClusterStmt'>): void {
  add(statement, 'sql.maintenance', stmt.relation ? maintained(statement, stmt.relation) : 'database', { verb: 'cluster' })
}

export function reindex(statement: Statement, stmt: Body<'ReindexStmt'>): void {
  // An index names its table only in the catalog.
  statement.walk.rows.add(anyColumn)
  const resource = stmt.relation
    ? existingRelation(statement.walk, rangeName(stmt.relation)).resource
    : `${(stmt.kind ?? '').replace('REINDEX_OBJECT_', '').toLowerCase()} ${quoteIdent(stmt.name ?? '')}`
  add(statement, 'sql.maintenance', resource, { verb: 'reindex' })
}

export function roles(
  statement: Statement,
  names: readonly (string | undefined)[],
  verb: string,
  options?: Body<'CreateRoleStmt'>['options'],
): void {
  const list = (options ?? []).map((node) => as(node, 'DefElem')?.defname ?? '')
  for (const name of names) {
    add(statement, 'sql.role', `role ${quoteIdent(name ?? 'public')}`, { verb, ...(list.length > 0 ? { options: list } : {}) })
  }
}

export function roleNames(nodes: Body<'DropRoleStmt'>['roles']): string[] {
  return (nodes ?? []).map((node) => {
    const role = as(node, 'RoleSpec')
    return role?.rolename ?? (role?.roletype ?? 'public').replace('ROLESPEC_', '').toLowerCase()
  })
}

export function grantRole(statement: Statement, stmt: Body<'GrantRoleStmt'>): void {
  const members = roleNames(stmt.grantee_roles)
  for (const node of stmt.granted_roles ?? []) {
    const name = as(node, 'AccessPriv')?.priv_name ?? ''
    add(statement, 'sql.role', `role ${quoteIdent(name)}`, { verb: stmt.is_grant ? 'grant' : 'revoke', members })
  }
}
