import type { Argument, Command, Option } from 'commander'
import { pathOf } from '../examples.js'

export interface Candidate {
  readonly value: string
  readonly text: string
}

/** What could stand where the cursor is: words that the command table knows, or names of which kind the control plane is to be asked for. */
export type Wanted =
  | { readonly of: 'words'; readonly candidates: readonly Candidate[] }
  /** A value of this option or argument (`target`, `id`, `saved`) of this command. */
  | { readonly of: 'names'; readonly name: string; readonly command: string; readonly prefix: string }
  /** Files, or a command of its own: the shell knows better. */
  | { readonly of: 'nothing' }

const nothing: Wanted = { of: 'nothing' }

/**
 * Reads a command line as far as it goes.
 * @param words those after the program's name; the last one is where the cursor is, empty when it is yet to begin
 */
export function wantedFor(program: Command, words: readonly string[]): Wanted {
  let command = program
  let position = 0
  let waiting: Option | undefined
  for (const word of words.slice(0, -1)) {
    if (waiting) {
      waiting = undefined
    } else if (word === '--') {
      return nothing
    } else if (word.startsWith('-') && word !== '-') {
      const option = optionOf(command, word.split('=', 1)[0] ?? '')
      waiting = option && takesValue(option) && !word.includes('=') ? option : undefined
    } else {
      const child = command.commands.find((one) => one.name() === word)
      if (child) {
        command = child
        position = 0
      } else position += 1
    }
  }
  return at(command, position, waiting, words.at(-1) ?? '')
}

function at(command: Command, position: number, waiting: Option | undefined, last: string): Wanted {
  if (waiting) return valueOf(command, waiting.attributeName(), waiting.argChoices, '')
  if (last.startsWith('--') && last.includes('=')) {
    const name = last.slice(0, last.indexOf('='))
    const option = optionOf(command, name)
    return option ? valueOf(command, option.attributeName(), option.argChoices, `${name}=`) : nothing
  }
  if (last.startsWith('-')) {
    const options = [...new Map(command.createHelp().visibleOptions(command).map((option) => [option.long, option])).values()]
    return { of: 'words', candidates: options.flatMap(({ long, description }) => (long === undefined || long === null ? [] : [{ value: long, text: description }])) }
  }
  const children = command.createHelp().visibleCommands(command)
  if (children.length > 0) return { of: 'words', candidates: children.map((child) => ({ value: child.name(), text: child.description() })) }
  const argument: Argument | undefined = command.registeredArguments[position] ?? command.registeredArguments.filter(({ variadic }) => variadic).at(-1)
  return argument ? valueOf(command, argument.name(), argument.argChoices, '') : nothing
}

function valueOf(command: Command, name: string, choices: readonly string[] | undefined, prefix: string): Wanted {
  if (choices) return { of: 'words', candidates: choices.map((choice) => ({ value: prefix + choice, text: '' })) }
  return { of: 'names', name, command: pathOf(command), prefix }
}

const takesValue = (option: Option): boolean => option.required || option.optional

function optionOf(command: Command, word: string): Option | undefined {
  return command.options.find((option) => option.long === word || option.short === word)
}
