import { reservedWords } from '../quote.js'

const systemFolders = /^\/(?:usr\/(?:local\/)?)?s?bin\/([^/]+)$/

/**
 * The name by which a program's argument syntax is known: a bare name, or one in a system folder. `./sudo` and
 * `/tmp/env` aren't sudo and env: taking them for wrappers would hide that they run at all.
 */
export function trustedName(word: string): string | undefined {
  if (!word.includes('/')) return word
  return systemFolders.exec(word)?.[1]
}

/** The last part of the path, for rules that only ever make things stricter. */
export function baseName(word: string): string {
  return word.slice(word.lastIndexOf('/') + 1)
}

/**
 * Why a command word can't be taken at face value. Letters that look like others, invisible and bidirectional characters
 * deceive the person who approves; they have no place in a program's name.
 */
export function deceptiveWord(word: string): string | undefined {
  if (word === '') return 'the command word is empty'
  if (!/^[\u0020-\u007E]+$/.test(word)) return 'the command word has characters outside of printable ASCII'
  if (/[\s'"\\$`*?;&|<>()]/.test(word)) return 'the command word has characters that a shell gives a meaning'
  // Where one parser sees a command of this name (`>f ! id`), a shell may see the reserved word, and the next word as the command.
  if (reservedWords.has(word)) return 'the command word is a reserved word'
  if (word.startsWith('-')) return 'the command word begins with a dash'
  if (word.split('/').includes('..')) return 'the path of the command climbs up'
  return undefined
}
