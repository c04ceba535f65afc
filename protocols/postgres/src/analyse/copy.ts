import { option, optionOn, optionText, strings, type Body } from './ast.js'
import type { NamedValue } from './lineage.js'
import { copyCondition } from './dml.js'
import { relationItem, resolveRangeVar, selectEffect } from './relations.js'
import { Scope, find } from './scope.js'
import { queryNode } from './recursion.js'
import type { QueryShape } from './select.js'
import { add, harmless, noOutput, outputOf, type Statement } from './statement.js'
import { quoteIdent } from './quote.js'
import { AnalysisError, type CopyInfo } from './types.js'
import { writeEffect } from './writes.js'

/** COPY, in all its forms: table or query, in or out, through the connection, a file or a program. */
export function copy(statement: Statement, stmt: Body<'CopyStmt'>): void {
  if (stmt.is_from) copyIn(statement, stmt)
  else copyOut(statement, stmt)
}

function copyIn(statement: Statement, stmt: Body<'CopyStmt'>): void {
  const { walk } = statement
  const range = stmt.relation ?? {}
  const target = resolveRangeVar(walk, range)
  const named = strings(stmt.attlist)
  const columns = named.length > 0 ? named : (target.relation?.columns.map((column) => column.name) ?? ['*'])
  const details = { columns_written: columns.map((name) => (name === '*' ? name : quoteIdent(name))), direction: 'in' }
  const remote = remoteEnd(statement, stmt)
  writeEffect(walk, target, 'insert', remote ? { details } : { details, action: 'sql.copy_in' })
  copyCondition(walk, target, range, stmt.whereClause)
  if (!remote) statement.copy = copyInfo(stmt, 'in')
  statement.output = noOutput
}

function copyOut(statement: Statement, stmt: Body<'CopyStmt'>): void {
  const { walk } = statement
  const shape = stmt.query ? queryNode(walk, new Scope(undefined), stmt.query) : tableShape(statement, stmt)
  const remote = remoteEnd(statement, stmt)
  if (remote) {
    statement.output = noOutput
    for (const column of shape.columns) if (column.value.sources.length > 0) walk.stores.push({ value: column.value.sources })
    if (shape.open && shape.rest.sources.length > 0) walk.stores.push({ value: shape.rest.sources })
    return
  }
  exported(statement, stmt)
  statement.copy = copyInfo(stmt, 'out')
  statement.output = outputOf(shape)
}

/** The export is an effect on everything that the query reads in its own right; of nothing but constants or catalogs it is harmless. */
function exported(statement: Statement, stmt: Body<'CopyStmt'>): void {
  const read = statement.walk.effects.resources('sql.select')
  for (const resource of read) add(statement, 'sql.copy_out', resource, { direction: 'out', ...(stmt.query ? { query: true } : {}) })
  if (read.length === 0) harmless(statement, 'sql.copy_out', '', { direction: 'out' })
}

/** COPY table TO: reads the table itself, without its partitions' or children's parents being opened. */
function tableShape(statement: Statement, stmt: Body<'CopyStmt'>): QueryShape {
  const { walk } = statement
  const range = stmt.relation ?? {}
  const resolved = resolveRangeVar(walk, range)
  selectEffect(walk, resolved, false)
  const item = relationItem(walk, resolved, range)
  const named = strings(stmt.attlist)
  const rest = item.open && item.other ? item.other('*') : undefined
  const columns: NamedValue[] =
    named.length === 0
      ? [...item.columns]
      : named.map((name) => {
          const value = find(item.columns, name) ?? (item.open ? item.other?.(name) : undefined)
          if (!value) throw walk.unresolved(`column "${name}" of ${resolved.resource} does not exist`, 'Check the spelling.')
          return { name, value }
        })
  for (const column of columns) walk.read(column.value)
  const open = item.open && named.length === 0
  if (open && rest) walk.read(rest)
  return { columns, open, rest: rest ?? { sources: [], direct: false } }
}

/** COPY to or from the server's own file or program. */
function remoteEnd(statement: Statement, stmt: Body<'CopyStmt'>): boolean {
  const direction = stmt.is_from ? 'in' : 'out'
  if (stmt.is_program) {
    add(statement, 'sql.copy_program', 'program', { direction, program: stmt.filename ?? '' })
    return true
  }
  if (stmt.filename !== undefined) {
    add(statement, 'sql.copy_file', `file ${stmt.filename}`, { direction })
    return true
  }
  return false
}

/** The data's format, as the server will read or write it. @throws {AnalysisError} guarded_setting for another encoding than UTF8 */
function copyInfo(stmt: Body<'CopyStmt'>, direction: 'in' | 'out'): CopyInfo {
  const text = (name: string): string | undefined => optionText(option(stmt.options, name))
  const format = text('format')?.toLowerCase() ?? (option(stmt.options, 'binary') ? 'binary' : option(stmt.options, 'csv') ? 'csv' : 'text')
  const csv = format === 'csv'
  const quote = text('quote') ?? '"'
  const encoding = text('encoding')?.toLowerCase()
  if (encoding !== undefined && !['utf8', 'utf-8', 'unicode'].includes(encoding)) {
    throw new AnalysisError(
      'guarded_setting',
      `COPY with ENCODING '${encoding}' is not possible: masking reads UTF8`,
      'Leave the ENCODING option out.',
    )
  }
  const header = option(stmt.options, 'header')
  return {
    direction,
    format: format === 'binary' ? 'binary' : csv ? 'csv' : 'text',
    delimiter: text('delimiter') ?? (csv ? ',' : '\t'),
    quote,
    escape: text('escape') ?? quote,
    null: text('null') ?? (csv ? '' : '\\N'),
    header: header !== undefined && (optionText(header)?.toLowerCase() === 'match' || optionOn(header)),
    ...(encoding === undefined ? {} : { encoding }),
  }
}

