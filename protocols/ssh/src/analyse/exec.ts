import path from 'node:path'
import { formatPath, type Effect, type JsonObject } from '@sallyport/policy'
import { analyseShell, type Redirection, type ShellAnalysis, type SimpleCommand } from '@sallyport/shell'

const maxShownArguments = 32
/** What may be a program's name. Anything else in its place could be anything. */
const programName = /^[A-Za-z0-9_./:+-]{1,128}$/

/** The programs of a command line, with `?` for each argument; assignments, redirections and what can't be told are left out. */
export function programsOf(command: string): string {
  const { commands, opaque: unknown } = analyseShell(command)
  const shown = commands.map(({ argv: [program = '', ...rest] }) => [programName.test(program) ? program : '?', ...rest.slice(0, maxShownArguments).map(() => '?')].join(' '))
  return [...shown, ...(unknown.length > 0 ? ['?'] : [])].join('; ')
}

/** Words of the shell itself that do nothing by themselves. */
const idle = new Set([':', 'true', 'false', 'exit'])

/** Effects of a command line that the login shell of an account runs. Never empty, never throws. */
export function effectsOfExec(command: string, login: string): Effect[] {
  if (command.trim() === '') return [opaque('an empty command line starts a shell that reads its commands from the connection', login)]
  return effectsOf(analyseShell(command), login)
}

function effectsOf(analysis: ShellAnalysis, login: string): Effect[] {
  const effects: Effect[] = []
  for (const simple of analysis.commands) effects.push(...effectsOfSimple(simple, login))
  for (const redirection of analysis.redirections) effects.push(redirectionEffect(redirection, login))
  for (const { reason, text } of analysis.opaque) effects.push(opaque(reason, login, text))
  // Assignments or comments alone: nothing runs, but what that is has not been told.
  return effects.length > 0 ? effects : [{ action: 'ssh.exec', resource: ':', harmless: true, details: { login, argv: [':'] } }]
}

function effectsOfSimple(simple: SimpleCommand, login: string): Effect[] {
  const [program = ''] = simple.argv
  const details: JsonObject = {
    login,
    argv: simple.argv,
    ...(simple.unknownArguments?.length ? { unknown: simple.unknownArguments } : {}),
    ...(simple.via.length > 0 ? { via: simple.via } : {}),
    ...(simple.runAs === undefined ? {} : { run_as: simple.runAs }),
    ...(simple.assignments.length > 0 ? { environment: simple.assignments.map(({ name, value }) => `${name}=${value}`) } : {}),
  }
  const exec: Effect = { action: 'ssh.exec', resource: formatPath(program), details, ...(idle.has(program) && simple.runAs === undefined ? { harmless: true as const } : {}) }
  if (simple.runAs === undefined) return [exec]
  return [exec, { action: 'ssh.sudo', resource: formatPath(simple.runAs), details: { login, argv: simple.argv } }]
}

function redirectionEffect({ access, path: file }: Redirection, login: string): Effect {
  const canonical = path.posix.isAbsolute(file) ? path.posix.normalize(file) : file
  const harmless = canonical === '/dev/null' ? { harmless: true as const } : {}
  return {
    action: access === 'read' ? 'ssh.redirect.read' : 'ssh.redirect.write',
    resource: formatPath(canonical),
    details: { login, ...(access === 'append' ? { append: true } : {}) },
    ...harmless,
  }
}

function opaque(reason: string, login: string, text = ''): Effect {
  return { action: 'ssh.exec.opaque', resource: '', details: { login, mustName: true, reason, ...(text === '' ? {} : { text: text.slice(0, 500) }) } }
}
