import type { Effect } from '@sallyport/policy'
import { as, kindOf, type Body } from './ast.js'
import { condition } from './expressions.js'
import { parseText, preparedText } from './parser.js'
import { Scope } from './scope.js'
import { runStatement } from './recursion.js'
import { finishStatement, harmless, noOutput, type Statement } from './statement.js'
import { Walk, tooComplex } from './walk.js'
import type { StatementAnalysis } from './types.js'

/** PREPARE only parses: the effects come with EXECUTE, and are decided there. What it would do must be analysable now. */
export function prepare(statement: Statement, stmt: Body<'PrepareStmt'>): void {
  const inner = innerOf(statement, stmt)
  statement.walk.changes.push({ kind: 'prepare', name: stmt.name ?? '', statement: { analysis: inner } })
  harmless(statement, 'sql.prepare', `statement ${stmt.name ?? ''}`)
}

/** The prepared query as a statement of its own, with its own text: analysing that text again gives what EXECUTE would do now. */
function innerOf(statement: Statement, stmt: Body<'PrepareStmt'>): StatementAnalysis {
  const text = preparedText(statement.text)
  const kind = stmt.query ? kindOf(stmt.query) : ''
  if (!stmt.query || text === undefined || kindOf(parseText(text)[0]?.node ?? stmt.query) !== kind) {
    throw statement.walk.unresolved(
      'the prepared query can not be told from its text',
      'Write PREPARE name AS query, without anything unusual.',
    )
  }
  const walk = new Walk(statement.walk.names, '', statement.walk.budget)
  const inner: Statement = { ...statement, text, walk, output: noOutput, endsTransaction: false }
  runStatement(inner, stmt.query)
  return finishStatement(inner, kind)
}

/**
 * Whether a prepared statement still means the objects that it meant. The server resolves its names again when search_path changes
 * or one of its objects does, but not when a new object comes to stand before one of them (a temporary table of the same name): it
 * goes on with the old one. Which of the two runs can't be told, so such a statement has to be prepared again.
 */
export function sameMeaning(before: readonly Effect[], now: readonly Effect[]): boolean {
  const named = (effects: readonly Effect[]): string =>
    effects
      .filter((effect) => effect.implied !== true)
      .map((effect) => `${effect.action} ${effect.resource}`)
      .sort()
      .join('\n')
  return before === now || named(before) === named(now)
}

/**
 * EXECUTE: the server plans the statement again when search_path or the catalog has changed since PREPARE, with the names of now.
 * So it is analysed again each time (a PREPARE under one search_path, executed under another, reads another table).
 */
export function execute(statement: Statement, stmt: Body<'ExecuteStmt'>): void {
  const { walk, state } = statement
  const name = stmt.name ?? ''
  const known = state.prepared.get(name)
  if (!known) {
    throw walk.unresolved(`prepared statement "${name}" does not exist on this connection`, 'PREPARE it with a statement of its own first.')
  }
  for (const param of stmt.params ?? []) condition(walk, new Scope(undefined), param)
  // Its text is parsed each time, and costs as much as if it stood here.
  walk.charge(known.analysis.text.length >> 1)
  const again = parseText(known.analysis.text)[0]?.node
  if (!again || as(again, 'ExecuteStmt') || as(again, 'PrepareStmt')) throw tooComplex('executes statements nested too deeply')
  const inner: Statement = { ...statement, walk: new Walk(walk.names, '', walk.budget), output: noOutput }
  runStatement(inner, again)
  const effects = inner.walk.finish()
  if (!sameMeaning(known.analysis.effects, effects)) {
    throw walk.unresolved(`names in prepared statement "${name}" mean something else by now`, 'DEALLOCATE it and PREPARE it again.')
  }
  walk.effects.addAll(effects)
  walk.absorb(inner.walk)
  walk.changes.push(...inner.walk.changes)
  statement.output = inner.output
  if (inner.unsimulated !== undefined) statement.unsimulated = inner.unsimulated
  harmless(statement, 'sql.prepare', `statement ${name}`, { execute: true })
}

export function deallocate(statement: Statement, stmt: Body<'DeallocateStmt'>): void {
  const name = stmt.isall || stmt.name === undefined ? 'all' : stmt.name
  statement.walk.changes.push({ kind: 'deallocate', name })
  harmless(statement, 'sql.prepare', `statement ${name === 'all' ? '*' : name}`, { deallocate: true })
}

/** CURSOR_OPT_HOLD (src/include/nodes/parsenodes.h). */
const cursorHold = 0x20

export function declareCursor(statement: Statement, stmt: Body<'DeclareCursorStmt'>): void {
  const inner: Statement = {
    ...statement,
    walk: new Walk(statement.walk.names, statement.walk.text, statement.walk.budget),
    output: noOutput,
  }
  if (stmt.query) runStatement(inner, stmt.query)
  const effects = inner.walk.finish()
  const name = stmt.portalname ?? ''
  statement.walk.effects.addAll(effects, { details: { cursor: name } })
  statement.walk.absorb(inner.walk)
  const reads = [...inner.walk.reads].map((column) => column.full)
  statement.walk.changes.push(...inner.walk.changes, {
    kind: 'cursor',
    name,
    cursor: { effects, reads, output: inner.output, ...(((stmt.options ?? 0) & cursorHold) === 0 ? {} : { hold: true }) },
  })
  harmless(statement, 'sql.cursor', `cursor ${name}`, { declare: true })
}

/** FETCH and MOVE run the cursor's query further: its effects are met again, at the policy of now. */
export function fetchCursor(statement: Statement, stmt: Body<'FetchStmt'>): void {
  const { walk, state } = statement
  const name = stmt.portalname ?? ''
  const cursor = state.cursors.get(name)
  if (!cursor) {
    throw walk.unresolved(
      `cursor "${name}" does not exist on this connection`,
      'DECLARE it in this session first; cursors opened by a function can not be read.',
    )
  }
  walk.effects.addAll(cursor.effects, { details: { cursor: name } })
  // Also those that only its conditions read: an error while it runs may quote them.
  for (const column of cursor.reads) walk.reads.add(walk.namedColumn(column))
  harmless(statement, 'sql.cursor', `cursor ${name}`, { [stmt.ismove ? 'move' : 'fetch']: true })
  if (!stmt.ismove) statement.output = cursor.output
}

export function closeCursor(statement: Statement, stmt: Body<'ClosePortalStmt'>): void {
  const name = stmt.portalname === undefined ? 'all' : stmt.portalname
  statement.walk.changes.push({ kind: 'close_cursor', name })
  harmless(statement, 'sql.cursor', `cursor ${name === 'all' ? '*' : name}`, { close: true })
}
