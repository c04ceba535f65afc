import { type Field, knownField, unknownFields } from '../words/field.js'
import { opaque, type Handler, type Step } from './step.js'

const running = new Set(['-exec', '-execdir', '-ok', '-okdir'])
const writing = new Set(['-fprint', '-fprint0', '-fls', '-fprintf'])

/** find itself, with what it runs, writes and removes. Removing is shown as the rm that it amounts to. */
export const find: Handler = (args) => {
  const steps: Step[] = [{ kind: 'itself' }]
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]
    if (arg === undefined) break
    // An expression may hide in a word that turns out to be -exec, and `(` or `!` may follow it.
    if (!arg.known && arg.maybeOption) return opaque('find: an argument that is only known at run time may be -exec')
    if (writing.has(arg.text)) {
      const file = args[at + 1]
      if (file?.known !== true) return opaque('find writes to a file that is only known at run time')
      steps.push({ kind: 'redirect', redirection: { access: 'write', path: file.text } })
    } else if (arg.text === '-delete') {
      steps.push({ kind: 'run', words: [knownField('rm'), { ...unknownFields, splits: false, maybeOption: false }], via: 'find -delete' })
    } else if (running.has(arg.text)) {
      const end = args.findIndex((word, index) => index > at && ends(word, args[index - 1]))
      if (end === -1) return opaque(`find ${arg.text} without an end`)
      const words = args.slice(at + 1, end).map((word) => placeholder(word))
      if (words.length === 0) return opaque(`find ${arg.text} without a command`)
      steps.push({ kind: 'run', words, via: `find ${arg.text}` })
      at = end
    }
  }
  return steps
}

/** `;` ends the command anywhere, `+` behind `{}` only. */
function ends(word: Field, previous: Field | undefined): boolean {
  return word.known && (word.text === ';' || (word.text === '+' && previous?.text === '{}'))
}

/** GNU find fills in {} inside of words too. Paths begin with the starting point, which may begin with anything. */
function placeholder(word: Field): Field {
  if (!word.text.includes('{}')) return word
  return { text: word.text, known: false, splits: word.text === '{}', maybeOption: word.text.startsWith('{}') || word.maybeOption }
}
