import type { Field } from '../words/field.js'
import type { Rule } from './rule.js'

/** GNU sed runs commands (`e`, s///e) and writes files (`w`, s///w): only scripts of plain shape are let through. */
export const sed: Rule = (args) => {
  const scripts = scriptsOf(args)
  if (typeof scripts === 'string') return scripts
  return scripts.every(isPlainScript) ? undefined : 'sed: a script that may run commands or write files'
}

function scriptsOf(args: readonly Field[]): readonly string[] | string {
  const scripts: string[] = []
  const operands: Field[] = []
  let ended = false
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]
    if (arg === undefined || (!arg.known && arg.maybeOption)) return 'sed: an argument is only known at run time'
    if (ended || !arg.known || !arg.text.startsWith('-') || arg.text === '-') {
      operands.push(arg)
      continue
    }
    if (arg.text === '--') {
      ended = true
      continue
    }
    if (arg.text === '--version' || /^--(?:quiet|silent|regexp-extended|separate|null-data|unbuffered|posix|sandbox|debug)$/.test(arg.text) || /^-i(?:\.\w+)?$/.test(arg.text)) continue
    const script = /^(?:-[nErsuz]*e|--expression=)([\s\S]*)$/.exec(arg.text)
    if (script === null) {
      if (/^-[nErsuz]+i?$/.test(arg.text)) continue
      return `sed: its option ${arg.text} isn't analysed`
    }
    const text = script[1] === '' ? args[++at] : { text: script[1] ?? '', known: true }
    if (text?.known !== true) return 'sed: its script is only known at run time'
    scripts.push(text.text)
  }
  if (scripts.length > 0) return scripts
  const [first] = operands
  if (first === undefined) return args.some((arg) => arg.text === '--version') ? [] : 'sed without a script'
  return first.known ? [first.text] : 'sed: its script is only known at run time'
}

/** Commands p, d, q, = and s with the flags g, p, i, I and a number, each with up to two addresses, joined by `;`. */
function isPlainScript(script: string): boolean {
  let rest = script.trim()
  while (rest !== '') {
    const after = oneCommand(rest)
    if (after === undefined) return false
    rest = after.replace(/^[ \t]*/, '')
    if (rest === '') return true
    if (!rest.startsWith(';')) return false
    rest = rest.replace(/^[; \t]+/, '')
  }
  return true
}

const address = /^(?:\d+|\$|\/(?:[^/\\\n[\]]|\\[^\n])*\/I?)/

function oneCommand(text: string): string | undefined {
  let rest = text
  const first = address.exec(rest)
  if (first !== null) {
    rest = rest.slice(first[0].length)
    if (rest.startsWith(',')) {
      const second = address.exec(rest.slice(1))
      if (second === null) return undefined
      rest = rest.slice(1 + second[0].length)
    }
  }
  rest = rest.replace(/^[ \t]*!?[ \t]*/, '')
  if (/^[pdq=]/.test(rest)) return rest.slice(1)
  return substitution(rest)
}

/** s with a delimiter that can't be taken for anything else, no bracket expression (a delimiter in one doesn't delimit). */
function substitution(text: string): string | undefined {
  const delimiter = /^s([/|#,@%:_])/.exec(text)?.[1]
  if (delimiter === undefined) return undefined
  let at = 2
  for (let parts = 0; parts < 2; at++) {
    const char = text[at]
    if (char === undefined || char === '\n' || char === '[' || char === ']') return undefined
    if (char === '\\') {
      if (text[at + 1] === undefined || text[at + 1] === '\n') return undefined
      at++
    } else if (char === delimiter) parts++
  }
  const flags = /^[gpiI\d]*/.exec(text.slice(at))?.[0] ?? ''
  return text.slice(at + flags.length)
}
