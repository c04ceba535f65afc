import { builtins } from '../commands/builtins.js'
import { find } from '../commands/find.js'
import { doas, su, sudo, systemdRun } from '../commands/privilege.js'
import { baseName, deceptiveWord, trustedName } from '../commands/program-name.js'
import { shell, shellNames } from '../commands/shells.js'
import type { Handler, Step } from '../commands/step.js'
import { wrappers } from '../commands/wrappers.js'
import { mayBeExported } from '../commands/environment.js'
import type { Dialect } from '../grammar/parser.js'
import { maxWrappers } from '../limits.js'
import { hiddenCode } from '../programs/rules.js'
import type { Assignment, SimpleCommand } from '../types.js'
import type { Field } from '../words/field.js'
import type { Report } from './report.js'

/** Where a command stands: what is around it, and who reads its texts. */
export interface Context {
  readonly report: Report
  readonly dialect: Dialect
  readonly via: readonly string[]
  readonly assignments: readonly Assignment[]
  readonly runAs: string | undefined
  readonly stdin: string | undefined
  /** The command word is looked up by a shell, so it may be a builtin or a function. */
  readonly inShell: boolean
  /** As written. */
  readonly source: string
  /** Texts read by shells inside of it, through `analyseText` of the whole analysis. */
  readonly read: (text: string, dialect: Dialect | undefined, context: Context) => void
}

const handlers = new Map<string, Handler>([
  ...wrappers,
  ...shellNames.map((name): [string, Handler] => [name, shell]),
  ['sudo', sudo],
  ['doas', doas],
  ['su', su],
  ['runuser', su],
  ['systemd-run', systemdRun],
  ['find', find],
])

/** One simple command, wrappers and all. Words are in the order of argv, the command word first. */
export function runWords(words: readonly Field[], context: Context): void {
  const { report, source } = context
  const [head, ...args] = words
  if (head === undefined) return
  if (!head.known) {
    report.refuse('the command is only known at run time', source)
    return
  }
  const deceptive = deceptiveWord(head.text)
  if (deceptive !== undefined) report.refuse(deceptive, source)
  const steps = stepsOf(head.text, args, context)
  for (const step of steps) carryOut(step, words, context)
}

function stepsOf(word: string, args: readonly Field[], context: Context): readonly Step[] {
  const trusted = trustedName(word)
  if (context.inShell && !word.includes('/')) {
    // The keyword of bash and the command of dash mean the same when nothing but -p stands behind.
    if (word === 'time' && args[0] !== undefined) return timed(args)
    context.report.called.push({ name: word, text: context.source })
    const builtin = builtins.get(word)
    if (builtin !== undefined) return builtin(args, surroundings(word, context))
  }
  const handler = trusted === undefined ? undefined : handlers.get(trusted)
  if (trusted !== undefined && handler !== undefined) return handler(args, surroundings(trusted, context))
  const hidden = hiddenCode(baseName(word), args)
  if (hidden !== undefined) return [{ kind: 'itself' }, { kind: 'opaque', reason: hidden }]
  if (trusted === 'tee') return tee(args)
  return [{ kind: 'itself' }]
}

function timed(args: readonly Field[]): readonly Step[] {
  const words = args[0]?.known === true && args[0].text === '-p' ? args.slice(1) : args
  return [{ kind: 'run', words, inShell: true }]
}

function surroundings(name: string, context: Context): { name: string; dialect: Dialect; stdin?: string } {
  return { name, dialect: context.dialect, ...(context.stdin === undefined ? {} : { stdin: context.stdin }) }
}

/** tee is a redirection by another name. */
function tee(args: readonly Field[]): readonly Step[] {
  if (args.some((arg) => !arg.known)) return [{ kind: 'itself' }, { kind: 'opaque', reason: 'tee writes to a file that is only known at run time' }]
  const end = args.findIndex((arg) => arg.text === '--')
  const options = args.filter((arg, index) => (end === -1 || index < end) && arg.text.startsWith('-') && arg.text !== '-')
  const append = options.some((option) => /^-[a-z]*a|^--a/.test(option.text))
  const files = args.filter((arg, index) => !options.includes(arg) && index !== end)
  return [
    { kind: 'itself' },
    ...files.map((file): Step => ({ kind: 'redirect', redirection: { access: append ? 'append' : 'write', path: file.text } })),
  ]
}

function carryOut(step: Step, words: readonly Field[], context: Context): void {
  const { report, source } = context
  switch (step.kind) {
    case 'itself':
      report.add(simpleCommand(words, context))
      return
    case 'opaque':
      report.refuse(step.reason, source)
      return
    case 'redirect':
      report.redirections.push(step.redirection)
      return
    case 'sets':
      if (mayBeExported(step.name)) report.settings.push({ name: step.name, value: step.value })
      return
    case 'run':
      if (context.via.length >= maxWrappers) report.refuse('wrapped too often', source)
      else runWords(step.words, { ...within(context, step.via, step.runAs, step.assignments), inShell: step.inShell === true })
      return
    case 'text':
      context.read(step.text, step.dialect, within(context, step.via, step.runAs, []))
  }
}

function within(context: Context, via: string | undefined, runAs: string | undefined, assignments: readonly Assignment[] = []): Context {
  return {
    ...context,
    via: via === undefined ? context.via : [...context.via, via],
    runAs: runAs ?? context.runAs,
    assignments: [...context.assignments, ...assignments],
  }
}

function simpleCommand(words: readonly Field[], context: Context): SimpleCommand {
  const firstSplit = words.findIndex((word) => word.splits)
  const unknown = words.flatMap((word, index) => (!word.known || (firstSplit !== -1 && index > firstSplit) ? [index] : []))
  return {
    argv: words.map((word) => word.text),
    assignments: context.assignments,
    via: context.via,
    ...(context.runAs === undefined ? {} : { runAs: context.runAs }),
    ...(unknown.length === 0 ? {} : { unknownArguments: unknown }),
    text: context.source,
  }
}
