import type { Decoder } from './decode.js'
import { flag, list, raw, type Raw, rawOrNothing, text, typeOf } from './raw.js'
import type { Dynamic, Part, Word } from './tree.js'

export function decodeWord(decoder: Decoder, node: Raw): Word {
  return { parts: list(node['Parts']).map((part) => decodePart(decoder, part)), source: decoder.source(node) }
}

/** @throws TooDeep, Unreadable */
export function decodePart(decoder: Decoder, node: Raw): Part {
  const type = typeOf(node)
  switch (type) {
    case 'Lit':
      return { kind: 'literal', raw: text(node['Value']) }
    case 'SglQuoted':
      return { kind: 'single', value: text(node['Value']), ansi: flag(node['Dollar']) }
    case 'DblQuoted':
      return { kind: 'double', parts: list(node['Parts']).map((part) => decodePart(decoder, part)), translated: flag(node['Dollar']) }
    case 'CmdSubst':
      return substitution(decoder, node)
    case 'ProcSubst':
      return dynamic(decoder, node, { splits: false })
    case 'ParamExp':
      return parameter(decoder, node)
    case 'ArithmExp':
      return dynamic(decoder, node, { hazards: arithmeticHazards(decoder.source(node)) })
    case 'ExtGlob':
      // `!(id)` is a pattern with extglob and a negated subshell without; whether it's on is the host's matter.
      return dynamic(decoder, node, { hazards: ['an extended glob is read differently where extglob is off'] })
    default:
      return dynamic(decoder, node, { list: true, hazards: [`${type} isn't analysed`] })
  }
}

function substitution(decoder: Decoder, node: Raw): Part {
  const hazards: string[] = []
  if (flag(node['TempFile']) || flag(node['ReplyVar'])) hazards.push('a substitution of another shell')
  // Backslashes lose a level inside backquotes before the text is parsed: no two shells agree on all of them.
  if (flag(node['Backquotes']) && decoder.source(node).includes('\\')) hazards.push('a backslash inside backquotes')
  return dynamic(decoder, node, { hazards })
}

/** Everything that is run inside of the node, wherever it stands, comes along. */
function dynamic(decoder: Decoder, node: Raw, facts: Partial<Dynamic>): Dynamic {
  return { kind: 'dynamic', splits: true, list: false, nested: decoder.nested(node), names: [], hazards: [], ...facts }
}

/** Operands with quotes or expansions: inside double quotes a single quote doesn't quote, so `"${x:-'$(id)'}"` runs id. */
const plainOperand = /^[\w .,:/@%+=*?^#-]*$/

function parameter(decoder: Decoder, node: Raw): Part {
  const name = text(raw(node['Param'])['Value'])
  const source = decoder.source(node)
  const expanded = { list: source.includes('@') }
  if (flag(node['Short'])) return dynamic(decoder, node, expanded)
  const hazards: string[] = []
  // ${!name} evaluates a subscript in the variable's value; ${name@P} runs the value's substitutions; ${name:offset} and
  // subscripts are arithmetic, which does both.
  if (flag(node['Excl'])) hazards.push('an indirect expansion evaluates what the variable holds')
  if (flag(node['Width'])) hazards.push('an expansion of another shell')
  const index = rawOrNothing(node['Index'])
  if (index !== undefined && !/^(?:\d+|[@*])$/.test(decoder.source(index))) hazards.push('a subscript is evaluated as arithmetic')
  const slice = rawOrNothing(node['Slice'])
  if (slice !== undefined && !/^\$\{\w+:[ -]?\d+(?::-?\d+)?\}$/.test(source)) hazards.push('a slice is evaluated as arithmetic')
  const operand = source.slice(source.indexOf(name) + name.length, -1)
  if (index === undefined && !plainOperand.test(operand)) hazards.push('an operand with quotes or expansions')
  if (operand.includes('@') && index === undefined) hazards.push('a transformation can run what the variable holds')
  const assigns = /^:?=/.test(operand)
  return dynamic(decoder, node, { ...expanded, hazards, names: assigns ? [name] : [] })
}

/** bash evaluates the values of variables as arithmetic again, subscripts with substitutions included: `a[$(id)]`. */
export function arithmeticHazards(source: string): string[] {
  const inner = source.replace(/^\$?(?:\(\(|\[)|(?:\)\)|\])$/g, '')
  return /^[\d\s+\-*/%()<>=!&|^~,?:]*$/.test(inner) ? [] : ['arithmetic evaluates what variables hold']
}

/** Operators of [[ ]] that only look: all others (-v, -eq …) evaluate their operand as arithmetic, or aren't known. */
const lookingTests = new Set(['-a', '-b', '-c', '-d', '-e', '-f', '-g', '-h', '-k', '-p', '-r', '-s', '-u', '-w', '-x', '-z', '-n', '-G', '-L', '-N', '-O', '-S', '-nt', '-ot', '-ef'])

export function testHazards(source: string): string[] {
  if (/\\\n/.test(source)) return ['a test over several lines']
  const operators = source.split(/[\s()]+/).filter((token) => token.startsWith('-'))
  return operators.every((operator) => lookingTests.has(operator)) ? [] : ['a test evaluates what variables hold as arithmetic']
}
