import type { Dialect } from '../grammar/parser.js'
import { hasOption, parseOptions } from './options.js'
import { itself, opaque, type Handler } from './step.js'

/**
 * `sh` is dash on one host and bash on the next; ash and dash are read as POSIX. zsh, ksh, fish and csh have grammars of
 * their own, which nothing here parses: they are opaque, `-c` or not.
 */
const dialects = new Map<string, Dialect | undefined>([
  ['sh', undefined],
  ['bash', 'bash'],
  ['dash', 'posix'],
  ['ash', 'posix'],
])

export const shellNames: readonly string[] = [...dialects.keys()]

const syntax = {
  // -i reads aliases, -k takes assignments from arguments, -a exports what is assigned, -O changes the grammar.
  flags: 'ceuxfvnls',
  values: 'o',
  longFlags: ['login', 'norc', 'noprofile'],
}

const plainModes = new Set(['errexit', 'nounset', 'xtrace', 'pipefail', 'noglob', 'verbose', 'noexec'])

/** sh -c TEXT, and a shell that reads a text we have from its standard input. */
export const shell: Handler = (args, { name, stdin }) => {
  if (args.length === 1 && args[0]?.known === true && args[0].text === '--version') return itself
  const parsed = parseOptions(args, syntax)
  if ('problem' in parsed) return opaque(`${name}: ${parsed.problem}`)
  if (parsed.options.some((option) => option.name === 'o' && !(option.value?.known === true && plainModes.has(option.value.text)))) {
    return opaque(`${name}: a mode that changes how it reads`)
  }
  const dialect = dialects.get(name)
  const read = (text: string, via: string) => [{ kind: 'text' as const, text, via, ...(dialect === undefined ? {} : { dialect }) }]
  if (hasOption(parsed, 'c')) {
    const [text] = parsed.operands
    return text?.known === true ? read(text.text, `${name} -c`) : opaque(`${name} -c: its text is only known at run time`)
  }
  if (parsed.operands.length > 0 && !hasOption(parsed, 's')) return opaque(`${name} runs a script file`)
  return stdin === undefined ? opaque(`${name} runs what it reads from its standard input`) : read(stdin, name)
}
