import { changesWhatRuns, mayBeExported } from '../commands/environment.js'
import type { Assign, Command, Redirect, Statement, Word } from '../grammar/tree.js'
import type { Assignment } from '../types.js'
import { knownField, type Field } from '../words/field.js'
import { assignedNames, isQuotedWord, nestedStatements, resolveHeredoc, resolveValue, resolveWord, wordHazards } from '../words/resolve.js'
import { type Context, runWords } from './run.js'

/** Reports everything that the statements would run, whichever way control goes. */
export function walkStatements(statements: readonly Statement[], context: Context): void {
  for (const statement of statements) walkStatement(statement, context)
}

function walkStatement(statement: Statement, context: Context): void {
  for (const hazard of statement.hazards) context.report.refuse(hazard, statement.source)
  for (const redirect of statement.redirects) walkRedirect(redirect, statement.source, context)
  if (statement.command === undefined) return
  walkCommand(statement.command, { ...context, stdin: standardInput(statement.redirects) })
}

function walkCommand(command: Command, context: Context): void {
  const { report } = context
  switch (command.kind) {
    case 'call':
      walkCall(command, { ...context, source: command.source })
      return
    case 'declaration':
      walkDeclaration(command, { ...context, source: command.source })
      return
    case 'function':
      report.functions.add(command.name)
      // bash calls this one for every command that it doesn't find.
      if (command.name === 'command_not_found_handle') report.refuse('a function that the shell calls by itself', command.body.source)
      walkStatement(command.body, withoutInput(context))
      return
    case 'time':
      if (command.statement !== undefined) walkStatement(command.statement, context)
      return
    case 'compound':
      for (const hazard of command.hazards) report.refuse(hazard, command.source)
      for (const name of command.names) setVariable(name, '', command.source, context)
      for (const word of command.words) walkWord(word, context)
      walkStatements(command.statements, withoutInput(context))
  }
}

/** What a here-document feeds to a group is shared by its commands: none of them alone is sure to read it. */
function withoutInput(context: Context): Context {
  return { ...context, stdin: undefined }
}

function walkCall(call: Extract<Command, { kind: 'call' }>, context: Context): void {
  const assignments = call.assigns.flatMap((assign) => walkAssign(assign, context))
  for (const word of call.words) walkWord(word, context)
  const words = call.words.flatMap((word) => resolveWord(word, context.dialect))
  if (call.words.length === 0) {
    for (const { name, value } of assignments) if (mayBeExported(name)) context.report.settings.push({ name, value })
    return
  }
  if (words.length === 0) {
    context.report.refuse('the command is only known at run time', context.source)
    return
  }
  runWords(words, { ...context, assignments: [...context.assignments, ...assignments], inShell: true })
}

/** export, declare, readonly, local: words to one grammar, assignments to the other; both come to the same fields. */
function walkDeclaration(declaration: Extract<Command, { kind: 'declaration' }>, context: Context): void {
  const fields = declaration.args.map((assign): Field => {
    if (assign.value !== undefined) walkWord(assign.value, context)
    for (const hazard of assign.hazards) context.report.refuse(hazard, context.source)
    if (assign.elements !== undefined) {
      for (const word of assign.elements) walkWord(word, context)
      return { text: assign.source, known: false, splits: false, maybeOption: false }
    }
    if (assign.naked) return assign.value === undefined ? knownField(assign.name) : (resolveWord(assign.value, context.dialect)[0] ?? knownField(''))
    const value = resolveValue(assign.value)
    const name = `${assign.name}${assign.append ? '+' : ''}=`
    return value.known ? knownField(name + value.text) : { text: assign.source, known: false, splits: false, maybeOption: false }
  })
  runWords([knownField(declaration.variant), ...fields], { ...context, inShell: true })
}

function walkAssign(assign: Assign, context: Context): readonly Assignment[] {
  for (const hazard of assign.hazards) context.report.refuse(hazard, context.source)
  for (const word of assign.elements ?? []) walkWord(word, context)
  if (assign.value !== undefined) walkWord(assign.value, context)
  if (changesWhatRuns(assign.name)) {
    context.report.refuse(`${assign.name} changes what runs`, context.source)
    return []
  }
  const value = assign.elements === undefined ? resolveValue(assign.value).text : assign.source
  return [{ name: assign.name, value }]
}

function setVariable(name: string, value: string, source: string, context: Context): void {
  if (changesWhatRuns(name)) context.report.refuse(`${name} changes what runs`, source)
  else if (mayBeExported(name)) context.report.settings.push({ name, value })
}

function walkWord(word: Word, context: Context): void {
  for (const hazard of wordHazards(word)) context.report.refuse(hazard, word.source)
  for (const name of assignedNames(word)) setVariable(name, word.source, word.source, context)
  walkStatements(nestedStatements(word), withoutInput(context))
}

function walkRedirect(redirect: Redirect, source: string, context: Context): void {
  const { report } = context
  walkWord(redirect.word, context)
  if (redirect.heredoc !== undefined) walkWord(redirect.heredoc, context)
  if (!/^\d{0,3}$/.test(redirect.descriptor)) report.refuse('a redirection that sets a variable', source)
  if (['<<', '<<-', '<<<'].includes(redirect.operator)) return
  const target = resolveWord(redirect.word, context.dialect)
  const [path] = target
  if (target.length !== 1 || path?.known !== true) {
    report.refuse('a redirection to what is only known at run time', source)
    return
  }
  // bash opens connections by these names, and more of the kind may come.
  if (/^\/dev\/(?:tcp|udp)\b/.test(path.text)) {
    report.refuse('a redirection to the network', source)
    return
  }
  switch (redirect.operator) {
    case '<':
      report.redirections.push({ access: 'read', path: path.text })
      return
    case '>':
    case '>|':
    case '&>':
      report.redirections.push({ access: 'write', path: path.text })
      return
    case '>>':
    case '&>>':
      report.redirections.push({ access: 'append', path: path.text })
      return
    case '<>':
      report.redirections.push({ access: 'read', path: path.text }, { access: 'write', path: path.text })
      return
    case '>&':
    case '<&':
      if (!/^(?:\d+-?|-)$/.test(path.text)) report.refuse('sh and bash read this redirection differently', source)
      return
    default:
      report.refuse("a redirection that isn't analysed", source)
  }
}

/** The last redirection of descriptor 0 counts. Only a text that stands there whole is known. */
function standardInput(redirects: readonly Redirect[]): string | undefined {
  const last = redirects.findLast((redirect) => redirect.operator.startsWith('<') && ['', '0'].includes(redirect.descriptor))
  if (last === undefined) return undefined
  if (last.operator === '<<<') {
    const value = resolveValue(last.word)
    return value.known ? `${value.text}\n` : undefined
  }
  if (last.heredoc === undefined) return last.operator.startsWith('<<') ? '' : undefined
  return resolveHeredoc(last.heredoc, isQuotedWord(last.word), last.operator === '<<-')
}
