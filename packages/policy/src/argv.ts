import { PatternError } from './resource.js'
import { matchPathGlob } from './glob.js'

interface Word {
  readonly text: string
  /** Written in double quotes: `*` inside is a plain character. */
  readonly literal: boolean
}

/**
 * A pattern over a command's words, for effects whose details hold `argv` (SSH exec, Kubernetes exec).
 *
 * - Words are separated by spaces; each word of the command must match the word in its place, no more and no fewer.
 * - `*` stands for any characters of one word except `/`, `**` for any characters of one word.
 * - A last word `...` stands for any further words, or none.
 * - Double quotes make a word literal: `"a b"`, `"*"`, `"..."`.
 * - A permission's wildcard never covers a word that begins with `-` where the pattern doesn't (an option in a place where
 *   a name was meant), nor a path with a `..` in it, nor a word that only the target's shell will know. `...` does.
 */
export class ArgvPattern {
  readonly #words: readonly Word[]
  readonly #open: boolean

  /** @throws {PatternError} */
  constructor(readonly text: string) {
    const words = wordsOf(text)
    const last = words.at(-1)
    this.#open = last !== undefined && !last.literal && last.text === '...'
    this.#words = this.#open ? words.slice(0, -1) : words
    if (this.#words.length === 0) throw new PatternError('an argv pattern must name at least the command')
    if (this.#words.some((word) => !word.literal && word.text === '...')) throw new PatternError(`the argv pattern ${text} has "..." before its end`)
    if (this.#words[0]?.text === '') throw new PatternError(`the argv pattern ${text} has an empty command`)
  }

  /**
   * @param argv words of the command, the command itself first
   * @param unknown positions of words whose value isn't known before the shell runs; from the first of them on, even
   *   the number of words isn't
   * @param permission false for a restriction: what isn't known then counts as a match
   */
  matches(argv: readonly string[], unknown: readonly number[], permission: boolean): boolean {
    const firstUnknown = Math.min(argv.length, ...unknown)
    const known = Math.min(firstUnknown, this.#words.length)
    for (let index = 0; index < known; index++) {
      const word = this.#words[index]
      const text = argv[index]
      if (word === undefined || text === undefined || !wordMatches(word, text, permission)) return false
    }
    if (firstUnknown < argv.length) return permission ? this.#open && firstUnknown >= this.#words.length : true
    return this.#open ? argv.length >= this.#words.length : argv.length === this.#words.length
  }
}

function wordMatches(word: Word, text: string, permission: boolean): boolean {
  if (word.literal || !word.text.includes('*')) return word.text === text
  if (permission) {
    if (text.startsWith('-') && !word.text.startsWith('-')) return false
    if (/(^|[/=:,])\.\.(\/|$)/.test(text)) return false
  }
  return matchPathGlob(word.text, text)
}

function wordsOf(text: string): Word[] {
  const words: Word[] = []
  const token = /\s*(?:"((?:[^"]|"")*)"(?=\s|$)|([^\s"]+)(?=\s|$))/gy
  let at = 0
  const end = text.trimEnd().length
  while (at < end) {
    token.lastIndex = at
    const found = token.exec(text)
    if (found === null) throw new PatternError(`the argv pattern ${text} has an unbalanced double quote, or text beside a quoted word`)
    const [, quoted, plain] = found
    words.push(quoted === undefined ? { text: plain ?? '', literal: false } : { text: quoted.replaceAll('""', '"'), literal: true })
    at = token.lastIndex
  }
  return words
}

/** Words and unknown positions as an effect's details hold them; undefined when it has none. */
export function argvOf(details: { readonly [name: string]: unknown } | undefined): { argv: readonly string[]; unknown: readonly number[] } | undefined {
  const argv = details?.['argv']
  if (!Array.isArray(argv) || !argv.every((word) => typeof word === 'string')) return undefined
  const unknown = details?.['unknown']
  if (unknown === undefined) return { argv, unknown: [] }
  // A shape that isn't ours means that nothing is known.
  if (!Array.isArray(unknown) || !unknown.every((position) => typeof position === 'number')) return { argv, unknown: [0] }
  return { argv, unknown }
}
