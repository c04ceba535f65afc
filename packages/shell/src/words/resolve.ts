import type { Dialect } from '../grammar/parser.js'
import type { Dynamic, Part, Statement, Word } from '../grammar/tree.js'
import { decodeAnsi } from './ansi.js'
import { expandBraces, type Glyph } from './braces.js'
import type { Field } from './field.js'

/** What a word's parts come to, without what is only known at run time. */
interface Spelling {
  readonly glyphs: Glyph[]
  /** An unquoted expansion: its value is split into words and matched as a pattern. */
  splits: boolean
  unknown: boolean
  /** Where the first unknown piece begins. */
  firstUnknown: number
}

/**
 * Resolves quoting. A word may become several fields by brace expansion, which only bash does.
 *
 * @returns fields in order; fields whose text isn't known keep the word's spelling.
 */
export function resolveWord(word: Word, dialect: Dialect): readonly Field[] {
  const spelling = spell(word.parts)
  const { glyphs } = spelling
  if (spelling.unknown) {
    const braces = dialect === 'bash' && glyphs.some((glyph) => bare(glyph, '{'))
    return [unknown(word, spelling.splits || braces || glyphs.some(isGlob), glyphs, spelling.firstUnknown, spelling.splits || braces)]
  }
  if (glyphs.length === 0 && word.parts.length === 0) return []
  const expanded = dialect === 'bash' ? expandBraces(glyphs) : [glyphs]
  if (expanded === undefined) return [unknown(word, true, glyphs, 0, true)]
  return expanded.flatMap((alternative) => {
    if (alternative.some(isGlob) || hasTilde(alternative)) {
      const globs = alternative.some(isGlob)
      return [unknown(word, globs, alternative, Math.max(0, alternative.findIndex((glyph, index, all) => isGlob(glyph, index, all) || bare(glyph, '~'))), false)]
    }
    const text = alternative.map((glyph) => glyph.char).join('')
    // {a,} leaves an empty word, which vanishes unless something in it was quoted.
    if (text === '' && expanded.length > 1 && !word.parts.some(isQuote)) return []
    return [{ text, known: true, splits: false, maybeOption: text.startsWith('-') }]
  })
}

/** Where no splitting and no pattern happens: values of assignments, here-strings, targets of redirections (bash: none or an error). */
export function resolveValue(word: Word | undefined): Field {
  if (word === undefined) return { text: '', known: true, splits: false, maybeOption: false }
  const spelling = spell(word.parts)
  if (spelling.unknown || hasTilde(spelling.glyphs)) return unknown(word, false, spelling.glyphs, 0, false)
  const text = spelling.glyphs.map((glyph) => glyph.char).join('')
  return { text, known: true, splits: false, maybeOption: text.startsWith('-') }
}

/** The body of a here-document: exact, or undefined. In an unquoted one `\` keeps its meaning before `$`, backquote and itself. */
export function resolveHeredoc(body: Word, quoted: boolean, stripTabs: boolean): string | undefined {
  let text = ''
  for (const part of body.parts) {
    if (part.kind !== 'literal') return undefined
    text += quoted ? part.raw : unescapeIn(part.raw, '$`\\')
  }
  return stripTabs ? text.replace(/^\t+/gm, '') : text
}

/** A delimiter with any quoting in it makes the body literal. */
export function isQuotedWord(word: Word): boolean {
  return /['"\\]/.test(word.source)
}

/** Statements that resolving the word would run. */
export function nestedStatements(word: Word): readonly Statement[] {
  return dynamicParts(word.parts).flatMap((part) => part.nested)
}

export function wordHazards(word: Word): readonly string[] {
  return dynamicParts(word.parts).flatMap((part) => part.hazards)
}

/** Variables that resolving the word would set: `${PATH:=/tmp}`. */
export function assignedNames(word: Word): readonly string[] {
  return dynamicParts(word.parts).flatMap((part) => part.names)
}

function dynamicParts(parts: readonly Part[]): readonly Dynamic[] {
  return parts.flatMap((part) => (part.kind === 'dynamic' ? [part] : part.kind === 'double' ? dynamicParts(part.parts) : []))
}

function spell(parts: readonly Part[]): Spelling {
  const spelling: Spelling = { glyphs: [], splits: false, unknown: false, firstUnknown: 0 }
  for (const part of parts) spellPart(spelling, part)
  return spelling
}

function spellPart(spelling: Spelling, part: Part): void {
  switch (part.kind) {
    case 'literal':
      spelling.glyphs.push(...unescape(part.raw))
      return
    case 'single': {
      const value = part.ansi ? decodeAnsi(part.value) : part.value
      if (value === undefined) return markUnknown(spelling, false)
      quote(spelling, value)
      return
    }
    case 'double':
      if (part.translated) markUnknown(spelling, false)
      for (const inner of part.parts) {
        if (inner.kind === 'literal') quote(spelling, unescapeIn(inner.raw, '$`"\\'))
        // "$@" is several words even in double quotes; which expansions are like it is not told apart.
        else markUnknown(spelling, inner.kind === 'dynamic' && inner.list)
      }
      return
    case 'dynamic':
      markUnknown(spelling, part.splits)
  }
}

function markUnknown(spelling: Spelling, splits: boolean): void {
  if (!spelling.unknown) spelling.firstUnknown = spelling.glyphs.length
  spelling.unknown = true
  spelling.splits ||= splits
}

function quote(spelling: Spelling, value: string): void {
  for (const char of value) spelling.glyphs.push({ char, quoted: true })
}

function unescape(raw: string): Glyph[] {
  const glyphs: Glyph[] = []
  const chars = [...raw]
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at] ?? ''
    const next = chars[at + 1]
    if (char !== '\\' || next === undefined) {
      glyphs.push({ char, quoted: false })
      continue
    }
    at++
    if (next !== '\n') glyphs.push({ char: next, quoted: true })
  }
  return glyphs
}

/** Takes a backslash away before one of the characters that it escapes, and with a newline after it; else it stays. */
function unescapeIn(raw: string, escapable: string): string {
  return raw.replace(/\\([\s\S])/g, (pair, next: string) => (next === '\n' ? '' : escapable.includes(next) ? next : pair))
}

function unknown(word: Word, splits: boolean, glyphs: readonly Glyph[], prefix: number, open: boolean): Field {
  // Words that a pattern matches begin as the pattern does, and folders of users with a slash; what an expansion splits
  // into may begin with anything.
  const first = prefix > 0 || (glyphs[0] !== undefined && bare(glyphs[0], '~')) ? glyphs[0] : undefined
  return { text: word.source, known: false, splits, maybeOption: open || first === undefined || first.char === '-' }
}

function bare(glyph: Glyph, char: string): boolean {
  return !glyph.quoted && glyph.char === char
}

/** A bracket without its partner, such as the command `[`, is no pattern. */
function isGlob(glyph: Glyph, index: number, word: readonly Glyph[]): boolean {
  return bare(glyph, '*') || bare(glyph, '?') || (bare(glyph, '[') && word.some((other, at) => at > index && other.char === ']'))
}

/** bash expands a tilde at the start, and behind `=` and `:` of what looks like an assignment, in arguments too. */
function hasTilde(glyphs: readonly Glyph[]): boolean {
  return glyphs.some((glyph, index) => bare(glyph, '~') && (index === 0 || bare(glyphs[index - 1] ?? glyph, '=') || bare(glyphs[index - 1] ?? glyph, ':')))
}

function isQuote(part: Part): boolean {
  return part.kind === 'single' || part.kind === 'double'
}
