import { kindOf } from './ast.js'
import { Names } from './names.js'
import { OverlayCatalog } from './overlay.js'
import { loadParser, parseText } from './parser.js'
import { StringState } from './state.js'
import { bindRecursion } from './recursion.js'
import { queryNode } from './query-node.js'
import { finishStatement, noOutput, type Statement } from './statement.js'
import { runStatement } from './statements.js'
import { AnalysisError, type Analysis, type Catalog, type NameContext, type StatementAnalysis } from './types.js'
import { tooComplex, Walk } from './walk.js'

export interface AnalyseOptions {
  /** Longest text that is analysed, bytes. */
  readonly maxBytes?: number
}

bindRecursion({ queryNode, runStatement })

/** What each statement of a text costs of its budget, and with its records. */
const statementSteps = 100

export const defaultMaxBytes = 1024 * 1024

/** Loads the grammar. Await once before {@link analyse}; idempotent. */
export function loadAnalyser(): Promise<void> {
  return loadParser()
}

/**
 * Analyses a query string: every statement's effects, lineage and what it changes. Statements are gone through in order, each with
 * what the earlier ones of the string change.
 * @throws {AnalysisError} never gives back anything that was not analysed
 */
export function analyse(text: string, catalog: Catalog, names: NameContext, options: AnalyseOptions = {}): Analysis {
  check(text, options.maxBytes ?? defaultMaxBytes)
  const raw = parseText(text)
  const overlay = new OverlayCatalog(catalog, names.temporary)
  const state = new StringState(new Names(overlay, names), overlay, { work: 0 }, text)
  const statements: StatementAnalysis[] = []
  for (const one of raw) {
    const statement: Statement = {
      walk: new Walk(state.names, text, state.budget),
      state,
      text: one.text,
      output: noOutput,
      endsTransaction: false,
    }
    try {
      statement.walk.charge(statementSteps)
      runStatement(statement, one.node)
      statements.push(finishStatement(statement, kindOf(one.node)))
    } catch (error) {
      if (error instanceof AnalysisError) throw error
      // The stack's end, reached by nesting of a kind that the depth limit doesn't count.
      if (error instanceof RangeError) throw tooComplex('is nested too deeply')
      throw error
    }
    state.apply(statement.walk.changes, statement.walk.localPath, statement.unsimulated)
  }
  return { statements }
}

/**
 * PostgreSQL's scanner takes the longest run of operator characters, uses its beginning and looks at the rest again: `/*` or `+-`
 * repeated costs the square of its length, half an hour for a megabyte.
 */
const maxOperatorRun = 1024
const operatorCharacters = new Set([...'+-*/<>=~!@#%^&|`?'].map((character) => character.charCodeAt(0)))

/** Runs of one and the same character (lines in comments) are harmless, but for `+`. */
function hasLongOperatorRun(text: string): boolean {
  const isOperator = (index: number): boolean => operatorCharacters.has(text.charCodeAt(index))
  // A run of more than the maximum can't lie between two of these places.
  for (let at = maxOperatorRun; at < text.length; at += maxOperatorRun) {
    if (!isOperator(at)) continue
    let from = at
    let to = at + 1
    while (from > 0 && isOperator(from - 1)) from -= 1
    while (to < text.length && isOperator(to)) to += 1
    if (to - from <= maxOperatorRun) continue
    const first = text.charAt(from)
    if (first === '+' || text.slice(from, to) !== first.repeat(to - from)) return true
    at = Math.max(at, to - maxOperatorRun)
  }
  return false
}

function check(text: string, maxBytes: number): void {
  // A character is at most 3 bytes per UTF-16 unit: a short text needs no measuring.
  if (text.length * 3 > maxBytes && Buffer.byteLength(text) > maxBytes) {
    throw new AnalysisError(
      'too_large',
      `the text is longer than ${String(maxBytes)} bytes`,
      'Send it in parts; load bulk data with COPY … FROM STDIN.',
    )
  }
  if (text.length > maxOperatorRun && hasLongOperatorRun(text)) {
    throw new AnalysisError('too_complex', 'the text has too many operator characters in a row', 'Put blanks between operators.')
  }
  if (text.includes('\0')) {
    throw new AnalysisError('unparsable', 'the text holds a NUL byte', 'Remove it: the server would read the text only up to it.')
  }
  // Half a surrogate pair would be sent as another character than the one analysed.
  if (!text.isWellFormed()) throw new AnalysisError('unparsable', 'the text is not well-formed Unicode', 'Send valid UTF-8.')
}
