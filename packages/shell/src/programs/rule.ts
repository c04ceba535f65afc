import type { Field } from '../words/field.js'

/**
 * Why this command can run code that its argv doesn't show as a command, or undefined when it can't in this form.
 *
 * @param args the words behind the command word
 */
export type Rule = (args: readonly Field[], name: string) => string | undefined

/** Whether a word may be an option that isn't seen: then no rule about options can be kept. */
export function hidesOptions(args: readonly Field[]): boolean {
  return args.some((arg) => !arg.known && arg.maybeOption)
}

export interface DangerousOptions {
  /** Short options, found in any cluster, and so sometimes in the value of another: stricter than needed. */
  readonly short?: string
  /** Long options, found by every abbreviation that getopt would accept. */
  readonly long?: readonly string[]
  /** Whole words, with one dash or none. */
  readonly words?: readonly string[]
  /** Anything else about one word. */
  readonly pattern?: RegExp
}

/** A rule from the options that run code. */
export function without(options: DangerousOptions): Rule {
  return (args, name) => {
    if (hidesOptions(args)) return `${name}: an argument that is only known at run time may be an option that runs code`
    const found = args.find((arg) => arg.known && isDangerous(arg.text, options))
    return found === undefined ? undefined : `${name} ${found.text.split('=')[0] ?? ''} can run code`
  }
}

function isDangerous(word: string, { short = '', long = [], words = [], pattern }: DangerousOptions): boolean {
  if (words.includes(word) || pattern?.test(word) === true) return true
  if (word.startsWith('--')) {
    const name = word.slice(2).split('=')[0] ?? ''
    return name !== '' && long.some((option) => option.startsWith(name))
  }
  return word.startsWith('-') && [...word.slice(1)].some((letter) => short.includes(letter))
}
