import { quoteArgv } from '../quote.js'
import type { ShellAnalysis } from '../types.js'

/** A line, and all of its analysis as `rendered` writes it. */
export type Case = readonly [line: string, ...gives: string[]]

/**
 * One line for each thing found: `sudo > env > @app NAME=value argv ?2` for a command (wrappers, user, assignments, argv,
 * unknown positions), `write /path` for a redirection, `opaque: reason`.
 */
export function rendered(analysis: ShellAnalysis): readonly string[] {
  return [
    ...analysis.commands.map((command) =>
      [
        ...command.via.map((wrapper) => `${wrapper} >`),
        ...(command.runAs === undefined ? [] : [`@${command.runAs}`]),
        ...command.assignments.map(({ name, value }) => `${name}=${value}`),
        quoteArgv(command.argv),
        ...(command.unknownArguments === undefined ? [] : [`?${command.unknownArguments.join(',')}`]),
      ].join(' '),
    ),
    ...analysis.redirections.map(({ access, path }) => `${access} ${path}`),
    ...analysis.opaque.map(({ reason }) => `opaque: ${reason}`),
  ]
}
