/**
 * One spelling for each argv, which every POSIX shell reads back as the same argv. Words of plain characters stand bare,
 * all others in single quotes. A first word that a shell would take for an assignment or a reserved word is quoted too.
 */
export function quoteArgv(argv: readonly string[]): string {
  return argv.map((word, index) => (isPlain(word, index) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`)).join(' ')
}

/** Words that sh or bash gives a meaning at the start of a command; `time` is left out, it means nearly the same as the program. */
export const reservedWords: ReadonlySet<string> = new Set('if then else elif fi do done case esac while until for in select function coproc { } ! [[ ]]'.split(' '))

function isPlain(word: string, index: number): boolean {
  return /^[\w@%+:,./-]+$/.test(word) && !(index === 0 && (reservedWords.has(word) || word === 'time'))
}
