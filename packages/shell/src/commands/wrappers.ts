import { exact, type Field, knownField, unknownFields } from '../words/field.js'
import { changesWhatRuns } from './environment.js'
import { hasOption, lastValue, type OptionSyntax, parseOptions } from './options.js'
import { leadingAssignments } from './privilege.js'
import { itself, opaque, type Handler, type Step } from './step.js'

/** A wrapper whose operands are some of its own and then the command. */
function plain(syntax: OptionSyntax, own = 0, withoutCommand: readonly Step[] = []): Handler {
  return (args, { name }) => {
    const parsed = parseOptions(args, syntax)
    if ('problem' in parsed) return opaque(`${name}: ${parsed.problem}`)
    const operands = parsed.operands.slice(0, own)
    if (operands.some((operand) => operand.splits)) return opaque(`${name}: where the command begins is only known at run time`)
    const words = parsed.operands.slice(own)
    if (words.length === 0) return withoutCommand.length > 0 ? withoutCommand : opaque(`${name} without a command`)
    return [{ kind: 'run', words, via: name }]
  }
}

const nice: Handler = (args, surroundings) => {
  const [first] = args
  // The old form: nice -10 command.
  const rest = first?.known === true && /^-\d+$/.test(first.text) ? args.slice(1) : args
  return plain({ values: 'n', longValues: ['adjustment'] }, 0, itself)(rest, surroundings)
}

const env: Handler = (args) => {
  const split = splitString(args)
  if (typeof split === 'string') return opaque(`env: ${split}`)
  const parsed = parseOptions(split, {
    flags: 'i0v',
    values: 'uC',
    longFlags: ['ignore-environment', 'null', 'debug'],
    longValues: ['unset', 'chdir'],
  })
  if ('problem' in parsed) return opaque(`env: ${parsed.problem}`)
  for (const { name, value } of parsed.options) {
    if ((name === 'u' || name === 'unset') && (value?.known !== true || changesWhatRuns(value.text))) return opaque('env unsets a variable that changes what runs')
  }
  // A lone dash is -i.
  const operands = parsed.operands[0]?.known === true && parsed.operands[0].text === '-' ? parsed.operands.slice(1) : parsed.operands
  const taken = leadingAssignments(operands)
  if (typeof taken === 'string') return opaque(`env: ${taken}`)
  if (taken.rest.length === 0) return itself
  return [{ kind: 'run', words: taken.rest, via: 'env', assignments: taken.assignments }]
}

/**
 * env -S 'a b' stands for the words in it; with quoting and variables of its own, which aren't followed. Only as the first
 * word: behind others it may be the value of an option, and is then refused as an option that isn't analysed.
 */
function splitString(args: readonly Field[]): readonly Field[] | string {
  const [option, next] = args
  const attached = option === undefined ? null : /^(?:(-[iv0]*)S|--split-string=)([\s\S]*)$/.exec(option.text)
  if (option === undefined || (attached === null && option.text !== '--split-string')) return args
  const detached = attached === null || (attached[1] !== undefined && attached[2] === '')
  const source = detached ? next : { ...option, text: attached[2] ?? '' }
  if (!option.known || source?.known !== true) return 'its text is only known at run time'
  if (/[\\'"$#`]/.test(source.text)) return "-S with a text that isn't plain words"
  const flags = attached?.[1] !== undefined && attached[1] !== '-' ? [attached[1]] : []
  const words = [...flags, ...source.text.split(/[ \t\n]+/).filter((word) => word !== '')]
  return [...words.map(knownField), ...args.slice(detached ? 2 : 1)]
}

const xargs: Handler = (args) => {
  const parsed = parseOptions(args, {
    flags: '0rtxp',
    values: 'nLPsIdEa',
    longFlags: ['null', 'no-run-if-empty', 'verbose', 'exit', 'interactive'],
    longValues: ['max-args', 'max-lines', 'max-procs', 'max-chars', 'delimiter', 'arg-file'],
  })
  if ('problem' in parsed) return opaque(`xargs: ${parsed.problem}`)
  const replaced = lastValue(parsed, 'I')
  const [command] = parsed.operands
  if (command === undefined) return [{ kind: 'run', words: [knownField('echo'), unknownFields], via: 'xargs' }]
  if (replaced === undefined) return [{ kind: 'run', words: [...parsed.operands, unknownFields], via: 'xargs' }]
  if (!replaced.known || replaced.text === '') return opaque('xargs replaces a text that is only known at run time')
  return [{ kind: 'run', words: parsed.operands.map((word) => filled(word, replaced.text)), via: 'xargs' }]
}

/** A line of input takes the marker's place: one word, whatever is in it. */
function filled(word: Field, marker: string): Field {
  if (!word.text.includes(marker)) return word
  return { text: word.text, known: false, splits: word.splits, maybeOption: word.text.startsWith(marker) || word.text.startsWith('-') || word.maybeOption }
}

const busybox: Handler = (args, { name }) => {
  const [applet] = args
  if (applet === undefined) return itself
  if (!applet.known) return opaque(`${name}: the applet is only known at run time`)
  if (applet.text.startsWith('-')) return applet.text === '--list' ? itself : opaque(`${name}: its option ${applet.text} isn't analysed`)
  // Behind busybox a path is no applet.
  return applet.text.includes('/') ? opaque(`${name}: ${applet.text} is no applet`) : [{ kind: 'run', words: args, via: name }]
}

/** watch joins its words and has a shell read them again. */
const watch: Handler = (args) => {
  const parsed = parseOptions(args, {
    flags: 'dtgebcwx',
    values: 'n',
    longFlags: ['no-title', 'chgexit', 'errexit', 'beep', 'color', 'exec', 'precise', 'no-wrap'],
    longValues: ['interval'],
  })
  if ('problem' in parsed) return opaque(`watch: ${parsed.problem}`)
  if (parsed.operands.length === 0) return opaque('watch without a command')
  if (hasOption(parsed, 'x', 'exec')) return [{ kind: 'run', words: parsed.operands, via: 'watch' }]
  const words = exact(parsed.operands)
  return words === undefined ? opaque('watch: the text for its shell is only known at run time') : [{ kind: 'text', text: words.join(' '), via: 'watch' }]
}

/** script records a shell, or the command of -c, which a shell reads. */
const script: Handler = (args) => {
  const parsed = parseOptions(args, { flags: 'qefa', values: 'c', longFlags: ['quiet', 'return', 'flush', 'append'], longValues: ['command'] })
  if ('problem' in parsed) return opaque(`script: ${parsed.problem}`)
  const text = lastValue(parsed, 'c', 'command')
  if (text?.known !== true || parsed.operands.length > 1) return opaque('script starts a shell')
  const [file] = parsed.operands
  if (file !== undefined && !file.known) return opaque('script writes to a file that is only known at run time')
  const access = hasOption(parsed, 'a', 'append') ? 'append' : 'write'
  return [
    { kind: 'redirect', redirection: { access, path: file?.text ?? 'typescript' } },
    { kind: 'text', text: text.text, via: 'script -c' },
  ]
}

const flock: Handler = (args) => {
  const parsed = parseOptions(args, {
    flags: 'sxenuoF',
    values: 'wE',
    longFlags: ['shared', 'exclusive', 'nonblock', 'unlock', 'close', 'no-fork'],
    longValues: ['timeout', 'wait', 'conflict-exit-code'],
  })
  if ('problem' in parsed) return opaque(`flock: ${parsed.problem}`)
  const [file, ...words] = parsed.operands
  if (file?.known !== true) return opaque('flock on a file that is only known at run time')
  const [first, text, ...more] = words
  if (first === undefined) return itself
  const opened: Step = { kind: 'redirect', redirection: { access: 'append', path: file.text } }
  if (first.known && (first.text === '-c' || first.text === '--command')) {
    return text?.known === true && more.length === 0 ? [opened, { kind: 'text', text: text.text, via: 'flock -c' }] : opaque('flock -c: its text is only known at run time')
  }
  return first.known && first.text.startsWith('-') ? opaque("flock: options behind the file aren't analysed") : [opened, { kind: 'run', words, via: 'flock' }]
}

/** Programs that run another program, by name. */
export const wrappers = new Map<string, Handler>([
  ['env', env],
  ['nohup', plain({})],
  ['nice', nice],
  ['ionice', plain({ flags: 't', values: 'cn', longFlags: ['ignore'], longValues: ['class', 'classdata'] })],
  ['timeout', plain({ flags: 'v', values: 'ks', longFlags: ['foreground', 'preserve-status', 'verbose'], longValues: ['kill-after', 'signal'] }, 1)],
  ['time', plain({ flags: 'pv', longFlags: ['portability', 'verbose'] })],
  ['stdbuf', plain({ values: 'ioe', longValues: ['input', 'output', 'error'] })],
  ['setsid', plain({ flags: 'cfw', longFlags: ['ctty', 'fork', 'wait'] })],
  ['xargs', xargs],
  ['busybox', busybox],
  ['toybox', busybox],
  ['watch', watch],
  ['script', script],
  ['flock', flock],
])
