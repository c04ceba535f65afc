import { constantText, type Body, type Node } from './ast.js'
import { quoteIdent } from './quote.js'
import { AnalysisError, type StateChange } from './types.js'
import type { Walk } from './walk.js'

/** Settings that drivers, psql and pgbench set: formats, time-outs, transaction modes, planner choices of the own session. */
const harmless = new Set(
  `application_name statement_timeout lock_timeout idle_in_transaction_session_timeout idle_session_timeout transaction_timeout
  datestyle intervalstyle timezone extra_float_digits bytea_output search_path client_min_messages default_transaction_deferrable
  default_transaction_isolation default_transaction_read_only transaction_deferrable transaction_isolation transaction_read_only
  escape_string_warning xmlbinary xmloption lc_monetary lc_numeric lc_time default_text_search_config geqo jit plan_cache_mode
  array_nulls`.split(/\s+/),
)

/**
 * Settings that this analysis, masking or the target's own protection rest on. They can't be changed at all:
 * encoding and string syntax (the server would read another statement than the one analysed), triggers and row security switched
 * off, libraries loaded into the session, catalogs opened for writing.
 */
const guarded = new Set(
  `client_encoding standard_conforming_strings backslash_quote session_replication_role row_security session_preload_libraries
  local_preload_libraries shared_preload_libraries dynamic_library_path extension_control_path allow_system_table_mods
  event_triggers zero_damaged_pages ignore_checksum_failure lo_compat_privileges allow_in_place_tablespaces`.split(/\s+/),
)

/** Values at which a guarded setting may be set: what it has anyway. */
const guardedButFor: Readonly<Record<string, readonly string[]>> = {
  client_encoding: ['utf8', 'utf-8', 'unicode'],
  standard_conforming_strings: ['on', 'true', 'yes', '1', 't', 'y'],
  row_security: ['on', 'true', 'yes', '1', 't', 'y'],
}

/** Settings whose value is a secret or tells of the host. A dotted name is an application's own. */
const secret = new RegExp(
  '^(primary_conninfo|archive_command|archive_cleanup_command|restore_command|recovery_end_command|ssl_passphrase_command' +
    '|.*_preload_libraries|.*_file|.*_directory|krb_.*|.*\\..*)$',
)

const roles = new Set(['role', 'session_authorization'])

function guardedSetting(name: string): AnalysisError {
  return new AnalysisError(
    'guarded_setting',
    `the setting "${name}" can't be changed through Sallyport: what is enforced depends on it`,
    name === 'client_encoding' ? 'Leave the client encoding at UTF8.' : `Leave ${name} as it is.`,
  )
}

/** SET, RESET. */
export function variableSet(walk: Walk, stmt: Body<'VariableSetStmt'>): void {
  const name = (stmt.name ?? '').toLowerCase()
  const values = (stmt.args ?? []).map((arg) => constantText(arg))
  const local = stmt.is_local === true
  switch (stmt.kind) {
    case 'VAR_SET_VALUE':
      return change(walk, name, values.length === 1 ? values[0] : values.join(', '), local, values)
    case 'VAR_SET_DEFAULT':
    case 'VAR_RESET':
    case 'VAR_SET_CURRENT':
      return change(walk, name, undefined, local)
    case 'VAR_RESET_ALL':
      walk.effects.add('sql.set', 'setting *', { harmless: true, details: { reset: true } })
      walk.changes.push({ kind: 'search_path', value: 'unknown' }, { kind: 'session_reset' })
      return
    case 'VAR_SET_MULTI':
      // SET TRANSACTION, SET SESSION CHARACTERISTICS, SET TRANSACTION SNAPSHOT.
      if (stmt.name === 'TRANSACTION SNAPSHOT') walk.effects.add('sql.transaction', 'snapshot', { details: { snapshot: true } })
      else walk.effects.add('sql.set', 'setting transaction', { harmless: true })
      return
    default:
      walk.effects.add('sql.unknown', `VariableSetStmt ${String(stmt.kind)}`, { details: { mustName: true } })
  }
}

/** set_config(name, value, is_local): the same as SET, in the middle of an expression. */
export function setConfig(walk: Walk, args: readonly Node[]): void {
  const name = constantText(args[0])
  if (typeof name !== 'string') {
    throw new AnalysisError(
      'guarded_setting',
      'set_config() needs a constant name: which setting it changes must be known',
      'Use SET, or a literal as the first argument.',
    )
  }
  const value = constantText(args[1])
  const local = constantText(args[2])
  const setting = name.toLowerCase()
  if (setting === 'search_path') {
    walk.effects.add('sql.set', 'setting search_path', { harmless: true })
    const list = typeof value === 'string' && local !== 'true' && local !== 't' ? splitIdentifiers(value) : undefined
    // When it runs, and how often, depends on the query's plan: ask the server afterwards.
    walk.changes.push({ kind: 'search_path', value: list ? existing(walk, list) : 'unknown' }, { kind: 'session_reset' })
    return
  }
  change(walk, setting, value ?? undefined, local !== 'false' && local !== 'f')
}

function change(
  walk: Walk,
  name: string,
  value: string | null | undefined,
  local: boolean,
  list?: readonly (string | null | undefined)[],
): void {
  if (roles.has(name)) {
    const role = value === undefined || value === null ? 'default' : value
    walk.effects.add('sql.set_role', `role ${quoteIdent(role)}`, { details: { setting: name, ...(local ? { local } : {}) } })
    walk.changes.push({ kind: 'session_reset' })
    return
  }
  if (guarded.has(name) && !(typeof value === 'string' && guardedButFor[name]?.includes(value.toLowerCase()))) throw guardedSetting(name)
  const free = harmless.has(name) || guarded.has(name)
  walk.effects.add('sql.set', `setting ${name}`, {
    harmless: free,
    details: { ...(local ? { local } : {}), ...(free || typeof value !== 'string' ? {} : { value: value.slice(0, 200) }) },
  })
  if (name === 'search_path') walk.changes.push(searchPath(walk, list, local))
}

function searchPath(walk: Walk, list: readonly (string | null | undefined)[] | undefined, local: boolean): StateChange {
  const names = list?.filter((name): name is string => typeof name === 'string')
  if (!names || names.length === 0 || local) {
    // RESET and DEFAULT depend on the role's and database's settings; LOCAL ends with the transaction.
    if (names && names.length > 0) walk.localPath = existing(walk, names)
    return { kind: 'search_path', value: 'unknown' }
  }
  return { kind: 'search_path', value: existing(walk, names) }
}

/** The path as it takes effect: `$user` replaced, schemas that don't exist left out. */
export function existing(walk: Walk, names: readonly string[]): string[] {
  const { catalog, context } = walk.names
  return names
    .map((name) => (name === '$user' ? context.currentUser : truncated(name)))
    .filter((name) => name !== '' && (!catalog.complete || name === 'pg_temp' || name === 'pg_catalog' || catalog.hasSchema(name)))
}

/**
 * The server cuts identifiers in a setting to 63 bytes (NAMEDATALEN - 1), at a character's border, as the grammar does
 * with those in SQL.
 */
function truncated(name: string): string {
  if (Buffer.byteLength(name) <= 63) return name
  let out = ''
  for (const character of name) {
    if (Buffer.byteLength(out + character) > 63) break
    out += character
  }
  return out
}

/** SplitIdentifierString: comma-separated identifiers, unquoted ones folded to lower case. Undefined when malformed. */
export function splitIdentifiers(text: string): string[] | undefined {
  const out: string[] = []
  if (text.trim() === '') return out
  const pattern = /\s*(?:"((?:[^"]|"")*)"|([^\s",]+))\s*(,|$)/y
  while (pattern.lastIndex < text.length) {
    const match = pattern.exec(text)
    if (!match) return undefined
    out.push(match[1]?.replaceAll('""', '"') ?? (match[2] ?? '').toLowerCase())
    if (match[3] === '') return out
  }
  return undefined
}

/** SHOW, current_setting(). `undefined`: the name isn't constant. */
export function showSetting(walk: Walk, name: string | undefined): void {
  const setting = name?.toLowerCase()
  const sensitive = setting === undefined || setting === 'all' || secret.test(setting)
  walk.effects.add('sql.show', `setting ${setting === undefined || setting === 'all' ? '*' : setting}`, {
    harmless: !sensitive,
    details: sensitive ? { sensitive: true } : {},
  })
}
