import { wordsOf } from './body.js'

const term = /(-?)"([^"]*)"?|(\S+)/g
/** Terms of one question. */
const maxTerms = 32

/**
 * What people write, as a PostgreSQL tsquery (Text Search Functions): words that must all be there; `"a phrase"`; `-word` that
 * must not; `word*` for its beginning; `OR` between two of them. Names with dots and underscores are phrases of their parts.
 * @returns undefined when nothing of it can be searched for
 */
export function statementQuery(text: string): string | undefined {
  const groups: string[][] = []
  let joins = false
  for (const [, minus = '', phrase, bare = ''] of [...text.matchAll(term)].slice(0, maxTerms)) {
    if (phrase === undefined && bare === 'OR') {
      joins = groups.length > 0
      continue
    }
    const not = minus === '-' || (phrase === undefined && bare.startsWith('-'))
    const made = phraseOf(phrase ?? bare, phrase === undefined && bare.endsWith('*'))
    if (made === undefined) continue
    const read = not ? `!${made}` : made
    const last = groups.at(-1)
    if (joins && last !== undefined) last.push(read)
    else groups.push([read])
    joins = false
  }
  // Only of what must not be there, nothing could be looked up.
  if (!groups.some((group) => group.every((read) => !read.startsWith('!')))) return undefined
  return groups.map((group) => (group.length === 1 ? group.join('') : `(${group.join(' | ')})`)).join(' & ')
}

function phraseOf(text: string, prefix: boolean): string | undefined {
  const words = wordsOf(text)?.split(' ')
  if (words === undefined) return undefined
  const made = words.map((word, index) => `'${word}'${prefix && index === words.length - 1 ? ':*' : ''}`)
  return made.length === 1 ? made.join('') : `(${made.join(' <-> ')})`
}
