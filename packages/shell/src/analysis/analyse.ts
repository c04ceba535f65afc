import { Decoder } from '../grammar/decode.js'
import { type Dialect, loadedParser } from '../grammar/parser.js'
import { TooDeep, Unreadable } from '../grammar/raw.js'
import type { Statement } from '../grammar/tree.js'
import { maxShells, maxText, maxWork } from '../limits.js'
import { quoteArgv } from '../quote.js'
import type { ShellAnalysis } from '../types.js'
import { knownField } from '../words/field.js'
import { Report } from './report.js'
import { type Context, runWords } from './run.js'
import { secondOpinion } from './second-reader.js'
import { refuseText } from './text.js'
import { walkStatements } from './walk.js'

/**
 * What a command line would run.
 *
 * @param text at most 64 KiB; a newline separates commands
 * @param options.dialect who reads it, when that is sure; else dash and bash must agree, or the text is opaque
 * @returns never throws: what can't be parsed, or before loadShell(), is one opaque thing
 */
export function analyseShell(text: string, options: { readonly dialect?: Dialect } = {}): ShellAnalysis {
  return guarded(text, (analysis) => analysis.read(text, options.dialect, analysis.context(text)))
}

/**
 * What an argv would run that no shell reads, such as the command of `kubectl exec`.
 *
 * @returns never throws, as analyseShell
 */
export function analyseArgv(argv: readonly string[]): ShellAnalysis {
  return guarded(quoteArgv(argv), (analysis) => {
    const { report } = analysis
    const context = analysis.context(quoteArgv(argv))
    if (argv.length === 0) report.refuse('no command', '')
    else if (argv.some((word) => word.includes('\0') || !word.isWellFormed())) report.refuse('not a text', context.source)
    else if (context.source.length > maxText) report.refuse(`longer than ${maxText} characters`, context.source.slice(0, 200))
    else runWords(argv.map(knownField), context)
  })
}

function guarded(text: string, run: (analysis: Analysis) => void): ShellAnalysis {
  const analysis = new Analysis()
  try {
    run(analysis)
    return analysis.report.finish()
  } catch {
    // A defect here must not become "nothing runs".
    return { commands: [], redirections: [], opaque: [{ reason: "it can't be analysed", text: text.slice(0, maxText) }] }
  }
}

class Analysis {
  readonly report = new Report()
  #work = 0
  #shells = 0

  context(source: string): Context {
    return {
      report: this.report,
      dialect: 'posix',
      via: [],
      assignments: [],
      runAs: undefined,
      stdin: undefined,
      inShell: false,
      source,
      read: (text, dialect, context) => this.read(text, dialect, context),
    }
  }

  /** Reads a text into the context's report; with no dialect, as both shells would. */
  read(text: string, dialect: Dialect | undefined, context: Context): void {
    const refused = refuseText(text)
    if (refused !== undefined) {
      context.report.refuse(refused, text.slice(0, maxText))
      return
    }
    if (this.#shells >= maxShells) {
      context.report.refuse('shells in shells, too many', text)
      return
    }
    this.#shells++
    try {
      if (dialect !== undefined) context.report.absorb(this.#readAs(text, dialect, context))
      else this.#readAsBoth(text, context)
    } finally {
      this.#shells--
    }
  }

  #readAsBoth(text: string, context: Context): void {
    const posix = this.#readAs(text, 'posix', context)
    const bash = this.#readAs(text, 'bash', context)
    context.report.absorb(bash)
    if (posix.meaning() === bash.meaning()) return
    context.report.absorb(posix)
    context.report.refuse('sh and bash read this differently', text)
  }

  #readAs(text: string, dialect: Dialect, context: Context): Report {
    const report = new Report()
    this.#work += text.length
    if (this.#work > maxWork) {
      report.refuse('too much to analyse', text)
      return report
    }
    const statements = parseText(text, dialect)
    if (typeof statements === 'string') report.refuse(statements, text)
    else walkStatements(statements, { ...context, report, dialect, inShell: true, stdin: undefined, source: text })
    return report
  }
}

function parseText(text: string, dialect: Dialect): readonly Statement[] | string {
  const parser = loadedParser()
  if (parser === undefined) return "the parser isn't loaded"
  let statements: readonly Statement[]
  try {
    statements = new Decoder(text).file(parser.parse(text, dialect))
  } catch (error) {
    if (error instanceof TooDeep || error instanceof RangeError) return 'nested too deeply'
    if (error instanceof Unreadable) return `the parser's tree can't be read: ${error.message}`
    return "it isn't valid shell"
  }
  return (dialect === 'bash' ? secondOpinion(text, statements) : undefined) ?? statements
}
