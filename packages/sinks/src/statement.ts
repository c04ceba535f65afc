/**
 * Takes the values out of statements. Conservative: what can't be told apart from a value goes. It isn't a parser, and no
 * decision rests on it; a text that it reads wrongly loses more than it had to, because every unknown run becomes `?`.
 */

const word = /[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*/y
const number = /(?:\d|\.\d)[0-9A-Za-z_.]*(?:(?<=[eE])[+-]\d+)?/y
const dollar = /\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/y
const space = /\s+/y
const prefix = /^[eEbBxXnN]$/

const matchAt = (pattern: RegExp, text: string, at: number): string | undefined => {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0]
}

/** Index behind the closing quote; the text's end when it isn't closed: all of the rest counts as a value then. */
function quoted(text: string, from: number, quote: string, backslashes: boolean): number {
  for (let at = from + 1; at < text.length; at++) {
    if (backslashes && text[at] === '\\') at++
    else if (text[at] === quote) {
      if (text[at + 1] !== quote) return at + 1
      at++
    }
  }
  return text.length
}

function blockComment(text: string, from: number): number {
  let depth = 0
  for (let at = from; at < text.length; at++) {
    const two = text.slice(at, at + 2)
    if (two === '/*') depth++
    else if (two === '*/') depth--
    else continue
    at++
    if (depth === 0) return at + 1
  }
  return text.length
}

/** SQL with `?` for every literal. Comments go, since people put values into them. Quoted identifiers stay. */
export function sqlWithoutLiterals(text: string): string {
  let out = ''
  /** The string that comes next is an E'…', where a backslash escapes in any case. */
  let escapes = false
  for (let at = 0; at < text.length; ) {
    const c = text[at] ?? ''
    const two = text.slice(at, at + 2)
    if (two === '--') {
      const end = text.indexOf('\n', at)
      at = end < 0 ? text.length : end
      continue
    }
    if (two === '/*') {
      at = blockComment(text, at)
      out += ' '
      continue
    }
    if (c === "'") {
      // Whether a backslash escapes depends on the server's settings: where that makes two readings, all of the rest is a value.
      const [plain, escaped] = [quoted(text, at, "'", false), quoted(text, at, "'", true)]
      at = escapes || plain === escaped ? escaped : text.length
      escapes = false
      out += '?'
      continue
    }
    if (c === '"') {
      const end = quoted(text, at, '"', false)
      out += text.slice(at, end)
      at = end
      continue
    }
    const tag = c === '$' ? matchAt(dollar, text, at) : undefined
    if (tag !== undefined) {
      const end = text.indexOf(tag, at + tag.length)
      at = end < 0 ? text.length : end + tag.length
      out += '?'
      continue
    }
    const digits = matchAt(number, text, at)
    if (digits !== undefined) {
      out += '?'
      at += digits.length
      continue
    }
    const name = matchAt(word, text, at) ?? (c === '$' ? matchAt(/\$\d+/y, text, at) : undefined)
    if (name !== undefined) {
      at += name.length
      // E'…', B'…', X'…', U&'…': the prefix belongs to the literal.
      if (/^[uU]$/.test(name) && text.startsWith("&'", at)) at++
      else if (!(prefix.test(name) && text[at] === "'")) out += name
      escapes = /^[eE]$/.test(name) && text[at] === "'"
      continue
    }
    const gap = matchAt(space, text, at)
    out += gap === undefined ? c : ' '
    at += gap?.length ?? 1
  }
  return out.trim()
}

/** A shell command or a request: its first word, and a `?` for each further one. Quotes and `=` never hide a value. */
export function firstWordOnly(text: string): string {
  const [first = '', ...rest] = text.trim().split(/\s+/)
  // NAME=value in front of a command is a value, too.
  const shown = /^[A-Za-z0-9_./:-]{1,128}$/.test(first) ? first : '?'
  return [shown, ...rest.slice(0, 32).map(() => '?'), ...(rest.length > 32 ? ['…'] : [])].join(' ')
}
