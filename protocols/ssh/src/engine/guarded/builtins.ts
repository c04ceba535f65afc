import path from 'node:path'
import { analyseShell } from '@sallyport/shell'

/** A line that the engine carries out itself, because its effect is on the lines after it. */
export type Builtin =
  | { readonly kind: 'exit'; readonly status: number | undefined }
  /** `directory` absolute, not yet canonical. */
  | { readonly kind: 'cd'; readonly directory: string }
  | { readonly kind: 'export'; readonly variables: ReadonlyMap<string, string> }
  /** One of them, but not in a form that can be carried out. */
  | { readonly kind: 'misused'; readonly message: string }

export interface Place {
  readonly home: string
  readonly directory: string
  readonly previous: string | undefined
}

/**
 * What single quotes keep in every shell that may be the account's: fish reads backslashes in them, csh exclamation marks.
 * A directory that is called otherwise could turn the quoted path into something else.
 */
const carriable = /^[^\p{C}\p{Zl}\p{Zp}'\\!]*$/u

/** The builtin that a line is; undefined when it is a command line for the target. `place` is undefined when the target doesn't tell it. */
export function builtinOf(line: string, place: Place | undefined): Builtin | undefined {
  const { commands, redirections } = analyseShell(line)
  const [only] = commands
  if (only === undefined || commands.length > 1 || redirections.length > 0 || only.via.length > 0 || only.runAs !== undefined) return undefined
  const [name, ...words] = only.argv
  const unknown = (only.unknownArguments?.length ?? 0) > 0
  switch (name) {
    case 'exit':
    case 'logout':
      return exit(words, unknown)
    case 'cd':
      return cd(line, words, unknown, place)
    case 'export':
      return exported(words, unknown, only.assignments)
    default:
      return undefined
  }
}

function exit(words: readonly string[], unknown: boolean): Builtin {
  const [status] = words
  if (unknown || words.length > 1 || (status !== undefined && !/^\d{1,3}$/.test(status))) return { kind: 'misused', message: 'usage: exit [STATUS]' }
  return { kind: 'exit', status: status === undefined ? undefined : Number(status) & 255 }
}

function cd(line: string, words: readonly string[], unknown: boolean, place: Place | undefined): Builtin {
  if (place === undefined) return { kind: 'misused', message: 'cd: this target does not tell its directories (no sftp); name files by their whole paths' }
  const tilde = /^\s*cd\s+~(?:\/([\w./@%+,:-]*))?\s*$/.exec(line)
  if (tilde) return { kind: 'cd', directory: path.posix.join(place.home, tilde[1] ?? '') }
  const [directory, ...more] = words[0] === '--' ? words.slice(1) : words
  if (unknown || more.length > 0) return { kind: 'misused', message: 'usage: cd [DIRECTORY], written out: no variables, no wildcards' }
  if (directory === undefined) return { kind: 'cd', directory: place.home }
  if (directory === '-') return place.previous === undefined ? { kind: 'misused', message: 'cd: there is no directory before this one' } : { kind: 'cd', directory: place.previous }
  if (directory.startsWith('-')) return { kind: 'misused', message: 'usage: cd [DIRECTORY]' }
  if (directory === '' || !isCarriable(directory)) return { kind: 'misused', message: 'cd: a directory with such a name can not be entered here' }
  return { kind: 'cd', directory: directory.startsWith('/') ? directory : `${place.directory}/${directory}` }
}

function exported(words: readonly string[], unknown: boolean, assignments: readonly { readonly name: string }[]): Builtin {
  const variables = new Map<string, string>()
  const misused: Builtin = { kind: 'misused', message: 'usage: export NAME=VALUE, written out: no variables, no substitutions' }
  if (unknown || words.length === 0) return misused
  for (const word of words) {
    const found = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/su.exec(word)
    if (!found?.[1]) return misused
    const value = found[2] ?? ''
    if (!isCarriable(value)) return { kind: 'misused', message: `export: the value of ${found[1]} holds a character that can not be carried over` }
    variables.set(found[1], value)
  }
  // `A=1 export B=2` means different things to different shells.
  return assignments.every(({ name }) => variables.has(name)) ? { kind: 'export', variables } : misused
}

export function isCarriable(text: string): boolean {
  return carriable.test(text)
}
