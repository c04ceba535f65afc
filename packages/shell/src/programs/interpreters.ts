import { hidesOptions, type Rule } from './rule.js'

/** Letters that change neither what is run nor from where. Modules and libraries on the command line are code as well. */
const plainFlags = new Map<string, RegExp>([
  ['python', /^-[uBIEsSOqbvd]+$/],
  ['pypy', /^-[uBIEsSOqbvd]+$/],
  ['perl', /^-[wWtTsX]+$/],
  ['ruby', /^-[wW]+$/],
  ['node', /^--(?:no-warnings|trace-warnings)$/],
  ['nodejs', /^--(?:no-warnings|trace-warnings)$/],
  ['deno', /^$/],
  ['bun', /^$/],
  ['php', /^-[nq]+$/],
  ['lua', /^-[Ev]+$/],
  ['luajit', /^-[Ev]+$/],
])

const asksVersion = /^(?:--version|-V|-VV|-v|--help|-h)$/

/** To these -v means verbose, and they go on to read their standard input. */
const verboseByV = /^(?:python|pypy)/

function family(name: string): RegExp | undefined {
  return plainFlags.get(name) ?? plainFlags.get(name.replace(/[\d.]+m?$/, ''))
}

export function isInterpreter(name: string): boolean {
  return family(name) !== undefined
}

/** A script file is a program as any other, and its path stands in argv; code on the command line or from standard input isn't. */
export const interpreter: Rule = (args, name) => {
  const flags = family(name)
  if (flags === undefined) return undefined
  const [first] = args
  if (first === undefined) return `${name} runs what it reads from its standard input`
  if (args.length === 1 && first.known && asksVersion.test(first.text) && !(first.text === '-v' && verboseByV.test(name))) return undefined
  for (const arg of args) {
    if (!arg.known) return hidesOptions([arg]) || arg.splits ? `${name}: what it runs is only known at run time` : `${name} runs a file that is only known at run time`
    if (arg.text === '-' || /(?:^|\/)(?:stdin|fd\/+\d+|proc\/.*)$/.test(arg.text)) return `${name} runs what it reads from its standard input`
    // deno's and bun's first words are subcommands, eval among them.
    if (!arg.text.startsWith('-')) return name.startsWith('deno') || name.startsWith('bun') ? `${name} runs code` : undefined
    if (!flags.test(arg.text)) return `${name} ${arg.text} can run code`
  }
  return `${name} runs what it reads from its standard input`
}
