import { exact, type Field } from '../words/field.js'
import { changesWhatRuns } from './environment.js'
import { parseOptions } from './options.js'
import { itself, opaque, type Handler, type Step } from './step.js'

/** `command` and `builtin` skip functions; the words behind are looked up by the shell all the same. */
const command: Handler = (args) => {
  const parsed = parseOptions(args, { flags: 'pvV' })
  if ('problem' in parsed) return opaque(`command: ${parsed.problem}`)
  if (parsed.options.some((option) => option.name !== 'p') || parsed.operands.length === 0) return itself
  return [{ kind: 'run', words: parsed.operands, inShell: true }]
}

const builtin: Handler = (args) => {
  const parsed = parseOptions(args, {})
  if ('problem' in parsed) return opaque(`builtin: ${parsed.problem}`)
  const [name] = parsed.operands
  if (name === undefined) return itself
  return builtins.has(name.text) ? [{ kind: 'run', words: parsed.operands, inShell: true }] : opaque(`${name.text} is no builtin`)
}

const exec: Handler = (args) => {
  const parsed = parseOptions(args, {})
  if ('problem' in parsed) return opaque(`exec: ${parsed.problem}`)
  // Without a command it only redirects, and those are reported by themselves.
  return parsed.operands.length === 0 ? itself : [{ kind: 'run', words: parsed.operands }]
}

const trap: Handler = (args, { dialect }) => {
  const [action, ...conditions] = args
  if (action === undefined) return itself
  if (!action.known) return opaque('trap: its action is only known at run time')
  if (action.text === '-p' || action.text === '-l') return itself
  if (action.text === '--') return trap(args.slice(1), { name: 'trap', dialect })
  if (action.text.startsWith('-') && action.text !== '-') return opaque("trap: its options aren't analysed")
  // One condition alone, or a number first, resets: nothing runs.
  if (action.text === '-' || action.text === '' || conditions.length === 0 || /^\d+$/.test(action.text)) return itself
  return [{ kind: 'itself' }, { kind: 'text', text: action.text, dialect, via: 'trap' }]
}

const plainModes = new Set(['errexit', 'nounset', 'xtrace', 'pipefail', 'noglob', 'noclobber', 'verbose', 'monitor', 'notify'])

const set: Handler = (args) => {
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]
    if (arg === undefined || (!arg.known && arg.maybeOption)) return opaque('set: an argument is only known at run time')
    if (arg.text === '--' || arg.text === '-' || !/^[-+]/.test(arg.text)) return itself
    // -a exports what is assigned, -k takes assignments from arguments, -p and -B and -h change how commands are found.
    if (!/^[-+][euxfvCbmo]+$/.test(arg.text)) return opaque(`set ${arg.text} changes how commands are read`)
    if (arg.text.endsWith('o') && args[at + 1] !== undefined) {
      const mode = args[++at]
      if (mode?.known !== true || !plainModes.has(mode.text)) return opaque('set -o with a mode that changes how commands are read')
    }
  }
  return itself
}

const shopt: Handler = (args) => {
  const words = exact(args)
  const harmless = /^(?:-[squ]+|nullglob|failglob|dotglob|globstar|nocaseglob|inherit_errexit)$/
  return words?.every((word) => harmless.test(word)) === true ? itself : opaque('shopt changes how commands are read')
}

/** Names of variables as arguments: assigned (`read x`), removed (`unset x`), or with values (`export x=1`). */
function variables(allowedFlags: string, valueOptions = ''): Handler {
  return (args, { name }) => {
    const parsed = parseOptions(args, { flags: allowedFlags, values: valueOptions })
    if ('problem' in parsed) return opaque(`${name}: ${parsed.problem}`)
    const steps: Step[] = [{ kind: 'itself' }]
    for (const operand of parsed.operands) {
      const step = variable(operand, name)
      if (step.kind === 'opaque') return opaque(step.reason)
      steps.push(step)
    }
    return steps
  }
}

function variable(operand: Field, builtinName: string): Step {
  // A subscript is arithmetic, and that runs substitutions: read 'a[$(id)]'.
  const name = /^([A-Za-z_]\w*)(\+?=|$)/.exec(operand.text)
  if (name?.[1] === undefined || operand.splits || (!operand.known && name[2] === '')) return { kind: 'opaque', reason: `${builtinName} of a variable that isn't named plainly` }
  if (changesWhatRuns(name[1])) return { kind: 'opaque', reason: `${builtinName} of ${name[1]}, which changes what runs` }
  return { kind: 'sets', name: name[1], value: operand.text.slice(name[0].length) }
}

/** printf -v NAME assigns; a subscript in NAME is arithmetic. */
const printf: Handler = (args) => {
  const [first, target] = args
  if (first === undefined || (!first.known && first.maybeOption)) return opaque('printf: its first argument may be -v')
  if (!first.text.startsWith('-v')) return itself
  const name = first.text === '-v' ? target : { ...first, text: first.text.slice(2) }
  const step = name === undefined ? undefined : variable(name, 'printf -v')
  if (step?.kind !== 'sets' || name?.text.includes('=') === true) return opaque("printf -v of a variable that can't be vouched for")
  return [{ kind: 'itself' }, step]
}

const testOperators = new Set(
  '= == != < > -eq -ne -lt -le -gt -ge -nt -ot -ef -n -z -b -c -d -e -f -g -h -k -L -p -r -s -S -u -w -x -O -G -N -t'.split(' '),
)

/**
 * test -v and -R evaluate a subscript, substitutions in it included. An argument that isn't known may be one of them, unless
 * an operator beside it makes it an operand.
 */
const test: Handler = (args) => {
  const operator = (arg: Field | undefined): boolean => arg?.known === true && testOperators.has(arg.text)
  const evaluates = args.some((arg, at) => {
    if (arg.known) return arg.text === '-v' || arg.text === '-R'
    return arg.maybeOption && (arg.splits || !(operator(args[at - 1]) || operator(args[at + 1])))
  })
  return evaluates ? opaque('test -v evaluates what it is given') : itself
}

const getopts: Handler = (args) => {
  const [, name] = args
  const step = name === undefined ? undefined : variable(name, 'getopts')
  return step?.kind === 'sets' ? [{ kind: 'itself' }, step] : opaque("getopts of a variable that can't be vouched for")
}

const hash: Handler = (args) => (exact(args)?.every((word) => word === '-r' || word === '-l') === true ? itself : opaque('hash says where a command is found'))

function always(reason: string): Handler {
  return () => opaque(reason)
}

const readOnly: Handler = () => itself

/** Builtins of bash and dash. One that isn't here is taken for a program. */
export const builtins = new Map<string, Handler>([
  ...[':', 'true', 'false', 'echo', 'cd', 'pwd', 'exit', 'return', 'break', 'continue', 'shift', 'jobs', 'umask', 'ulimit', 'times', 'kill'].map(
    (name): [string, Handler] => [name, readOnly],
  ),
  ...['type', 'dirs', 'pushd', 'popd', 'fg', 'bg', 'disown', 'suspend', 'logout', 'help', 'caller', 'chdir'].map((name): [string, Handler] => [name, readOnly]),
  ['command', command],
  ['builtin', builtin],
  ['exec', exec],
  ['trap', trap],
  ['set', set],
  ['shopt', shopt],
  ['export', variables('p')],
  ['readonly', variables('pa')],
  ['declare', variables('xrpgalu')],
  ['typeset', variables('xrpgalu')],
  ['local', variables('xrpalu')],
  ['unset', variables('v')],
  ['read', variables('rse', 'pntdNu')],
  ['wait', (args) => (exact(args)?.some((word) => /^-\w*p/.test(word)) === false ? itself : opaque("wait with arguments that can't be vouched for"))],
  ['getopts', getopts],
  ['printf', printf],
  ['test', test],
  ['[', test],
  ['hash', hash],
  ['unalias', readOnly],
  ['alias', (args) => (args.length === 0 ? itself : opaque('alias gives a command another meaning'))],
  ['eval', always('eval runs what its arguments come to')],
  ['source', always('source runs a file')],
  ['.', always('. runs a file')],
  ['enable', always('enable changes what is a builtin')],
  ['mapfile', always('mapfile can run a callback')],
  ['readarray', always('readarray can run a callback')],
  ['complete', always('complete can run commands')],
  ['compgen', always('compgen can run commands')],
  ['compopt', always('compopt changes completion')],
  ['bind', always('bind can run commands')],
  ['fc', always('fc runs commands of the history')],
  ['history', always('history reads and writes files')],
  ['let', always('arithmetic evaluates what variables hold')],
  ['coproc', always('sh and bash read coproc differently')],
])
