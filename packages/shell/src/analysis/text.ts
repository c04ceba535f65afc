import { maxOpeners, maxText, maxTokens } from '../limits.js'

/**
 * Why a text isn't even parsed. Characters that no terminal shows deceive who approves; a carriage return, a form feed and
 * the blanks of Unicode separate words for one reader and not for another.
 */
export function refuseText(text: string): string | undefined {
  if (text.trim() === '') return 'no command'
  if (text.length > maxText) return `longer than ${maxText} characters`
  if (text.includes('\0')) return 'a NUL character'
  if (!text.isWellFormed()) return 'not valid Unicode'
  if (/[^\P{C}\t\n]/u.test(text) || /[^\P{Z} ]/u.test(text)) return 'a control character, or one that isn\'t visible'
  const openers = text.match(/[({`[]|\b(?:if|while|until|for|case|select|function|coproc|time)\b|!/g)?.length ?? 0
  if (openers > maxOpeners) return 'nested too deeply'
  if ((text.match(/[^\s;|&<>]+|[;|&<>\n]/g)?.length ?? 0) > maxTokens) return 'more words than are analysed'
  return continuations(text)
}

/**
 * Shells take `\`+newline away before they look for tokens, so that `$\⏎(id)` is a substitution. Only between words, or
 * in the middle of one, does every reader agree; in here-documents it can hide the delimiter.
 */
function continuations(text: string): string | undefined {
  for (let at = text.indexOf('\\\n'); at !== -1; at = text.indexOf('\\\n', at + 1)) {
    const around = text.charAt(at - 1) + text.charAt(at + 2)
    if (text.includes('<<') || !/^(?:[ \t\w./-]?[ \t\w./'"-]?)$/.test(around)) return 'a continued line in the middle of a token'
  }
  return undefined
}
