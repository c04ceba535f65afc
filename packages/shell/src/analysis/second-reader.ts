import { forEachChild, parse, type SyntaxNode } from 'unbash'
import type { Assign, Command, Redirect, Statement, Word } from '../grammar/tree.js'
import { nestedStatements } from '../words/resolve.js'

/**
 * A second, independent parser has to see the same simple commands, word for word. A text that makes one parser see a
 * quoted string where the host's shell sees a command would have to deceive both in the same way.
 *
 * @returns why the two readings differ, undefined when they don't
 */
export function secondOpinion(text: string, statements: readonly Statement[]): string | undefined {
  let second: string[] | undefined
  try {
    second = otherReading(text)
  } catch {
    second = undefined
  }
  if (second === undefined) return 'a second parser does not accept it'
  const first = statements.flatMap((statement) => reading(statement))
  return first.sort().join('\u0001') === second.sort().join('\u0001') ? undefined : 'two parsers read it differently'
}

function otherReading(text: string): string[] | undefined {
  const commands: string[] = []
  let failed = false
  const visit = (node: SyntaxNode): void => {
    if ('errors' in node && node.errors !== undefined && node.errors.length > 0) failed = true
    if (node.type === 'Command') {
      const words = [...node.prefix.filter((part) => part.type === 'Assignment'), ...(node.name === undefined ? [] : [node.name]), ...node.args]
      if (words.length > 0) commands.push(spelled(words.map((word) => word.text)))
    }
    forEachChild(node, visit)
  }
  visit(parse(text))
  return failed ? undefined : commands
}

/** Continued lines and what backquotes do to backslashes are spelled differently by the two. */
function spelled(words: readonly string[]): string {
  return words.map((word) => word.replaceAll('\\\n', '')).join('\u0000')
}

function reading(statement: Statement): string[] {
  return [...(statement.command === undefined ? [] : ofCommand(statement.command)), ...statement.redirects.flatMap(ofRedirect)]
}

function ofCommand(command: Command): string[] {
  switch (command.kind) {
    case 'call': {
      const own = [...command.assigns.map((assign) => assign.source), ...command.words.map((word) => word.source)]
      return [spelled(own), ...command.assigns.flatMap(ofAssign), ...command.words.flatMap(ofWord)]
    }
    case 'declaration':
      return [spelled([command.variant, ...command.args.map((assign) => assign.source)]), ...command.args.flatMap(ofAssign)]
    case 'function':
      return reading(command.body)
    case 'time':
      return command.statement === undefined ? [] : reading(command.statement)
    case 'compound':
      return [...command.statements.flatMap(reading), ...command.words.flatMap(ofWord)]
  }
}

function ofAssign(assign: Assign): string[] {
  return [...(assign.value === undefined ? [] : ofWord(assign.value)), ...(assign.elements ?? []).flatMap(ofWord)]
}

function ofRedirect(redirect: Redirect): string[] {
  return [...ofWord(redirect.word), ...(redirect.heredoc === undefined ? [] : ofWord(redirect.heredoc))]
}

function ofWord(word: Word): string[] {
  return nestedStatements(word).flatMap(reading)
}
