import type { Assignment } from '../types.js'
import type { Field } from '../words/field.js'
import { changesWhatRuns } from './environment.js'
import { hasOption, lastValue, parseOptions } from './options.js'
import { itself, opaque, type Handler, type Step } from './step.js'

const sudoSyntax = {
  flags: 'bHnkSPElvKV',
  values: 'uph',
  longFlags: ['background', 'set-home', 'non-interactive', 'reset-timestamp', 'stdin', 'preserve-groups', 'preserve-env', 'list', 'validate', 'remove-timestamp', 'version'],
  longValues: ['user', 'prompt', 'host'],
}

/** -e edits, -i and -s start a shell, -g keeps the user but lends a group's rights, -R and -D move the ground: not listed. */
export const sudo: Handler = (args) => {
  const parsed = parseOptions(args, sudoSyntax)
  if ('problem' in parsed) return opaque(`sudo: ${parsed.problem}`)
  if (hasOption(parsed, 'h', 'host')) return opaque('sudo on another host')
  const onlyAsks = hasOption(parsed, 'l', 'list', 'v', 'validate', 'K', 'remove-timestamp', 'V', 'version', 'k', 'reset-timestamp')
  const user = lastValue(parsed, 'u', 'user')
  const taken = leadingAssignments(parsed.operands)
  if (typeof taken === 'string') return opaque(`sudo: ${taken}`)
  if (taken.rest.length === 0) return onlyAsks ? itself : opaque('sudo without a command')
  return switched('sudo', user, taken.rest, taken.assignments)
}

export const doas: Handler = (args) => {
  const parsed = parseOptions(args, { flags: 'n', values: 'u' })
  if ('problem' in parsed) return opaque(`doas: ${parsed.problem}`)
  if (parsed.operands.length === 0) return opaque('doas without a command')
  return switched('doas', lastValue(parsed, 'u'), parsed.operands, [])
}

function switched(via: string, user: Field | undefined, words: readonly Field[], assignments: readonly Assignment[]): readonly Step[] {
  if (user !== undefined && !user.known) return opaque(`${via} as a user that is only known at run time`)
  return [{ kind: 'run', words, via, runAs: user?.text ?? 'root', assignments }]
}

/** NAME=VALUE before the command, as env and sudo take them. A string is the reason why they can't be vouched for. */
export function leadingAssignments(words: readonly Field[]): { assignments: readonly Assignment[]; rest: readonly Field[] } | string {
  const assignments: Assignment[] = []
  let at = 0
  for (; at < words.length; at++) {
    const word = words[at]
    if (word === undefined || word.splits) return 'where the command begins is only known at run time'
    const equals = /^([A-Za-z_]\w*)=/.exec(word.text)
    if (equals?.[1] === undefined) {
      if (word.known && word.text.includes('=')) return 'an assignment to something that is no variable'
      break
    }
    if (changesWhatRuns(equals[1])) return `${equals[1]} changes what runs`
    assignments.push({ name: equals[1], value: word.text.slice(equals[0].length) })
  }
  return { assignments, rest: words.slice(at) }
}

/** su and runuser take options anywhere, and hand the text to the login shell of the user, which isn't known. */
export const su: Handler = (args, { name }) => {
  if (name === 'runuser' && args.some((arg) => arg.known && (arg.text === '-u' || arg.text.startsWith('--user')))) return runuserDirect(args)
  const operands: Field[] = []
  let text: Field | undefined
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]
    if (arg === undefined || !arg.known) return opaque(`${name}: an argument is only known at run time`)
    if (['-', '-l', '--login', '-m', '-p', '--preserve-environment'].includes(arg.text)) continue
    if (arg.text === '-c' || arg.text === '--command') text = args[++at]
    else if (arg.text.startsWith('--command=')) text = { ...arg, text: arg.text.slice('--command='.length) }
    else if (arg.text.startsWith('-')) return opaque(`${name}: its option ${arg.text} isn't analysed`)
    else operands.push(arg)
  }
  if (text === undefined) return opaque(`${name} starts a shell`)
  if (!text.known) return opaque(`${name} -c: its text is only known at run time`)
  if (operands.length > 1) return opaque(`${name} with arguments for the shell`)
  return [{ kind: 'text', text: text.text, via: `${name} -c`, runAs: operands[0]?.text ?? 'root' }]
}

function runuserDirect(args: readonly Field[]): readonly Step[] {
  const parsed = parseOptions(args, { values: 'u', longValues: ['user'] })
  if ('problem' in parsed) return opaque(`runuser: ${parsed.problem}`)
  const user = lastValue(parsed, 'u', 'user')
  if (user === undefined || parsed.operands.length === 0) return opaque('runuser starts a shell')
  return switched('runuser', user, parsed.operands, [])
}

const systemdRunSyntax = {
  flags: 'qPtG',
  values: 'u',
  longFlags: ['quiet', 'wait', 'pipe', 'pty', 'collect', 'no-block', 'no-ask-password'],
  longValues: ['unit', 'description', 'uid'],
}

/** The service manager runs it, as root unless told otherwise; properties (-p) can hold further commands and aren't listed. */
export const systemdRun: Handler = (args) => {
  const parsed = parseOptions(args, systemdRunSyntax)
  if ('problem' in parsed) return opaque(`systemd-run: ${parsed.problem}`)
  if (parsed.operands.length === 0) return opaque('systemd-run without a command')
  return switched('systemd-run', lastValue(parsed, 'uid'), parsed.operands, [])
}
