import { isCarriable } from './builtins.js'

/** What holds for the lines of a guarded shell, because earlier lines said so and were permitted. */
export interface Carried {
  /** Canonical; undefined for where the target's shell begins. */
  readonly directory: string | undefined
  readonly variables: ReadonlyMap<string, string>
}

/**
 * A decided line as the target gets it: in its directory and with the variables that were exported, and otherwise as it was
 * decided. What stands in front are whole lines of their own, so they can't change how the line is read.
 * @throws when something carried isn't what single quotes keep; builtins let no such thing in
 */
export function lineForTarget(line: string, { directory, variables }: Carried): string {
  const before = directory === undefined ? [] : [`cd -P -- ${quoted(directory)} || exit 1`]
  for (const [name, value] of variables) before.push(`export ${name}=${quoted(value)}`)
  return [...before, line].join('\n')
}

/** Enters a directory and says where that is. */
export function enterDirectory(directory: string): string {
  return `cd -P -- ${quoted(directory)} && pwd -P`
}

function quoted(text: string): string {
  if (!isCarriable(text)) throw new Error('a text that quotes do not keep')
  return `'${text}'`
}
