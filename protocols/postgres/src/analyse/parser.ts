import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import type { Node, ParseResult, ScanResult } from 'libpg-query'
import { AnalysisError } from './types.js'

interface Grammar {
  loadModule(): Promise<void>
  parseSync(text: string): ParseResult
  scanSync(text: string): ScanResult
}

export interface RawStatement {
  readonly node: Node
  /** The statement's own text, trimmed, without its semicolon. */
  readonly text: string
}

/**
 * PostgreSQL's grammar in WebAssembly. A tree too deep for its C stack ends in a RangeError that leaves the instance's stack and
 * memory contexts torn: such an instance is thrown away, and the spare takes over.
 */
let current: Grammar | undefined
let spare: Grammar | undefined
let loading: Promise<void> | undefined
let generation = 0

const location = pathToFileURL(createRequire(import.meta.url).resolve('libpg-query')).href.replace(/index\.cjs$/, 'index.js')

async function instantiate(): Promise<Grammar> {
  // Another query string makes another module instance; each has its own memory.
  const loaded: Grammar = await import(generation++ === 0 ? location : `${location}?instance=${String(generation)}`)
  await loaded.loadModule()
  return loaded
}

/** Loads the grammar and a spare instance. Await once at start; idempotent. */
export function loadParser(): Promise<void> {
  loading ??= (async () => {
    current ??= await instantiate()
    spare ??= await instantiate()
  })()
  return loading
}

function replaceTorn(): void {
  current = spare
  spare = undefined
  loading = undefined
  void loadParser().catch(() => undefined)
}

const tooComplex = (): AnalysisError =>
  new AnalysisError(
    'too_complex',
    'the statement is nested too deeply to be analysed',
    'Split it into smaller statements, or use a list (IN, VALUES) instead of a chain.',
  )

/**
 * Parses a query string into raw statements, in order.
 * @throws {AnalysisError} unparsable (with the character position), too_complex
 */
export function parseText(text: string): RawStatement[] {
  if (!current) throw new AnalysisError('too_complex', 'the SQL parser is being restarted', 'Try again.')
  if (isBlank(text)) return []
  let result: ParseResult
  try {
    result = current.parseSync(text)
  } catch (error) {
    if (error instanceof Error && error.name === 'SqlError') throw syntaxError(error)
    replaceTorn()
    throw tooComplex()
  }
  const statements = result.stmts ?? []
  const single = statements.length === 1
  const bytes = single ? undefined : Buffer.from(text, 'utf8')
  const out: RawStatement[] = []
  for (const raw of statements) {
    if (raw.stmt === undefined) continue
    const start = raw.stmt_location ?? 0
    const end = raw.stmt_len ? start + raw.stmt_len : undefined
    out.push({ node: raw.stmt, text: bytes === undefined ? text : bytes.subarray(start, end).toString('utf8').trim() })
  }
  return out
}

/**
 * The query inside `PREPARE name (types) AS query`: what follows the first AS outside parentheses (a name that is written `as` must be
 * quoted, and is another token then).
 */
export function preparedText(prepare: string): string | undefined {
  let depth = 0
  for (const token of current?.scanSync(prepare).tokens ?? []) {
    if (token.tokenName === 'ASCII_40') depth++
    else if (token.tokenName === 'ASCII_41') depth--
    else if (depth === 0 && token.keywordName === 'RESERVED_KEYWORD' && token.text.toLowerCase() === 'as') {
      return Buffer.from(prepare, 'utf8').subarray(token.end).toString('utf8').trim()
    }
  }
  return undefined
}

/**
 * Tokens that are values, by their numbers in PostgreSQL's grammar, since some have no name here: FCONST, SCONST, USCONST, BCONST, XCONST,
 * ICONST. What has a name of its own (identifiers, keywords, operators, `$1`) isn't one.
 */
const valueTokens = new Set([260, 261, 262, 263, 264, 266])

/**
 * A text with `?` for each literal and without comments, by PostgreSQL's own lexer. Undefined where that can't read it: what
 * is a value is then not known.
 */
export function withoutLiterals(text: string): string | undefined {
  if (!current) return undefined
  let tokens: ScanResult['tokens']
  try {
    tokens = current.scanSync(text).tokens
  } catch (error) {
    if (!(error instanceof Error && error.name === 'SqlError')) replaceTorn()
    return undefined
  }
  const bytes = Buffer.from(text, 'utf8')
  let out = ''
  let end = 0
  for (const token of tokens) {
    if (token.tokenName === 'SQL_COMMENT' || token.tokenName === 'C_COMMENT') continue
    // As far apart as they were: nothing of what stands between two tokens is a value, but a comment may be.
    if (out !== '' && token.start > end) out += ' '
    out += valueTokens.has(token.tokenType) ? '?' : bytes.subarray(token.start, token.end).toString('utf8')
    end = token.end
  }
  return out
}

const blank = /^[\s;]*$/
function isBlank(text: string): boolean {
  const first = text.charCodeAt(0)
  // A letter first is the common case: no scan of the whole text.
  return !((first >= 65 && first <= 90) || (first >= 97 && first <= 122)) && blank.test(text)
}

function syntaxError(error: Error): AnalysisError {
  const details: { message: string; sqlDetails?: { cursorPosition?: number } } = error
  // Counted in characters from 0, unlike the tree's locations.
  const cursor = details.sqlDetails?.cursorPosition
  // memory exhausted: bison's own depth limit (YYMAXDEPTH), the same kind of text as a too deep tree.
  if (error.message.startsWith('memory exhausted')) return tooComplex()
  return new AnalysisError(
    'unparsable',
    error.message,
    'The text must be valid PostgreSQL SQL; nothing of it was executed.',
    cursor === undefined ? undefined : cursor + 1,
  )
}
