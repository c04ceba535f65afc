import { maxCommands } from '../limits.js'
import type { Assignment, Opaque, Redirection, ShellAnalysis, SimpleCommand } from '../types.js'

/** What an analysis found so far. */
export class Report {
  readonly commands: SimpleCommand[] = []
  readonly redirections: Redirection[] = []
  readonly opaque: Opaque[] = []
  /** Variables set for the shell that commands after it may inherit. */
  readonly settings: Assignment[] = []
  readonly functions = new Set<string>()
  /** Words that the shell looked up, functions first. */
  readonly called: { readonly name: string; readonly text: string }[] = []

  refuse(reason: string, text: string): void {
    this.opaque.push({ reason, text })
  }

  add(command: SimpleCommand): void {
    if (this.commands.length < maxCommands) this.commands.push(command)
    else if (this.commands.length === maxCommands) this.refuse('more commands than are analysed', command.text)
  }

  absorb(other: Report): void {
    for (const command of other.commands) this.add(command)
    this.redirections.push(...other.redirections)
    this.opaque.push(...other.opaque)
    this.settings.push(...other.settings)
    this.called.push(...other.called)
    for (const name of other.functions) this.functions.add(name)
  }

  /** Everything but the spelling: `time ls` is a keyword and a command to one shell and two words to the other. */
  meaning(): string {
    return JSON.stringify([
      this.commands.map((command) => ({ ...command, text: '' })),
      this.redirections,
      this.opaque.map((one) => one.reason),
      this.settings,
      [...this.functions],
      this.called.map((call) => call.name),
    ])
  }

  finish(): ShellAnalysis {
    for (const { name, text } of this.called) {
      if (this.functions.has(name)) this.refuse(`${name} is a function of this text`, text)
    }
    const settings = distinct(this.settings)
    const commands = settings.length === 0 ? this.commands : this.commands.map((command) => ({ ...command, assignments: [...settings, ...command.assignments] }))
    return { commands: distinct(commands), redirections: distinct(this.redirections), opaque: distinct(this.opaque) }
  }
}

/** The same command twice in a text is one to decide about; order is kept. */
function distinct<T>(values: readonly T[]): readonly T[] {
  const seen = new Set<string>()
  return values.filter((value) => {
    const key = JSON.stringify(value)
    return seen.has(key) ? false : seen.add(key)
  })
}
