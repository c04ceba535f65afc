import type { Field } from '../words/field.js'

/** How a program reads options that stand before its operands (POSIX guideline 9: the first operand ends them). */
export interface OptionSyntax {
  /** Short options without a value. */
  readonly flags?: string
  /** Short options with a value, attached or as the next word. */
  readonly values?: string
  readonly longFlags?: readonly string[]
  readonly longValues?: readonly string[]
}

export interface ParsedOptions {
  /** Names as written, without dashes. */
  readonly options: readonly { readonly name: string; readonly value?: Field }[]
  readonly operands: readonly Field[]
}

export interface OptionProblem {
  readonly problem: string
}

const unsure: OptionProblem = { problem: 'where its options end is only known at run time' }

/**
 * Reads options exactly as listed; anything else, abbreviations of long options included, is a problem: an option that is
 * misread makes an operand of what is a value, and so another program of what runs.
 */
export function parseOptions(args: readonly Field[], syntax: OptionSyntax): ParsedOptions | OptionProblem {
  const options: { name: string; value?: Field }[] = []
  let at = 0
  for (; at < args.length; at++) {
    const field = args[at]
    if (field === undefined || field.splits || (!field.known && field.maybeOption)) return unsure
    if (!field.known || field.text === '-' || !field.text.startsWith('-')) break
    if (field.text === '--') {
      at++
      break
    }
    const problem = field.text.startsWith('--') ? long(field.text.slice(2)) : cluster(field.text.slice(1))
    if (problem !== undefined) return problem
  }
  return { options, operands: args.slice(at) }

  function long(text: string): OptionProblem | undefined {
    const equals = text.indexOf('=')
    const name = equals === -1 ? text : text.slice(0, equals)
    if (syntax.longFlags?.includes(name) === true && equals === -1) {
      options.push({ name })
      return undefined
    }
    if (syntax.longValues?.includes(name) !== true) return unknownOption(`--${name}`)
    return equals === -1 ? valueOf(name) : value(name, text.slice(equals + 1))
  }

  function cluster(text: string): OptionProblem | undefined {
    for (let index = 0; index < text.length; index++) {
      const name = text.charAt(index)
      if (syntax.flags?.includes(name) === true) options.push({ name })
      else if (syntax.values?.includes(name) !== true) return unknownOption(`-${name}`)
      else return index + 1 < text.length ? value(name, text.slice(index + 1)) : valueOf(name)
    }
    return undefined
  }

  function value(name: string, text: string): undefined {
    options.push({ name, value: { text, known: true, splits: false, maybeOption: false } })
    return undefined
  }

  function valueOf(name: string): OptionProblem | undefined {
    const next = args[++at]
    if (next === undefined || next.splits) return unsure
    options.push({ name, value: next })
    return undefined
  }
}

function unknownOption(name: string): OptionProblem {
  return { problem: `its option ${name} isn't analysed` }
}

/** The option's last value. */
export function lastValue(parsed: ParsedOptions, ...names: readonly string[]): Field | undefined {
  return parsed.options.findLast((option) => names.includes(option.name))?.value
}

export function hasOption(parsed: ParsedOptions, ...names: readonly string[]): boolean {
  return parsed.options.some((option) => names.includes(option.name))
}
