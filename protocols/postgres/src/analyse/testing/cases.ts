import { readFileSync } from 'node:fs'
import { analyse } from '../analyse.js'
import { AnalysisError, type Catalog, type NameContext, type StatementAnalysis } from '../types.js'

/**
 * A table of cases: SQL lines, then what it comes to, one line a fact, indented:
 *   `= [implied|harmless] action resource {facts}` an effect · `> name! <- sources` an output column (`!`: direct) · `> none|unknown`
 *   `+ sources -> column` a stored value · `! code` the error. `---` between statements of one text. Lines with # are comments.
 */
export interface Case {
  readonly sql: string
  readonly expected: string
}

export function readCases(file: URL): Case[] {
  const cases: { sql: string[]; expected: string[] }[] = []
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    if (line.startsWith('#') || line.trim() === '') continue
    let last = cases.at(-1)
    if (line.startsWith('  ')) last?.expected.push(line)
    else {
      if (!last || last.expected.length > 0) cases.push((last = { sql: [], expected: [] }))
      last.sql.push(line)
    }
  }
  return cases.map((one) => ({ sql: one.sql.join('\n'), expected: one.expected.join('\n') }))
}

/** Facts that every table has, or that are there for the audit: left out, so that a case says what it is about. */
const quiet = new Set(['columns_read', 'predicates', 'kind', 'verb', 'direction', 'arguments', 'volatility', 'cursor'])

export function outcome(sql: string, catalog: Catalog, names: NameContext): string {
  try {
    return analyse(sql, catalog, names).statements.map(describe).join('\n  ---\n')
  } catch (error) {
    if (error instanceof AnalysisError) return `  ! ${error.code}`
    throw error
  }
}

function describe(statement: StatementAnalysis): string {
  const lines = statement.effects.map((effect) => {
    const details = Object.entries(effect.details ?? {}).filter(([name]) => !quiet.has(name))
    const flags = `${effect.implied ? 'implied ' : ''}${effect.harmless ? 'harmless ' : ''}`
    const facts = details.length === 0 ? '' : ` ${JSON.stringify(Object.fromEntries(details))}`
    return `  = ${flags}${effect.action} ${effect.resource}`.trimEnd() + facts
  })
  const { output } = statement
  if (output.kind !== 'columns') lines.push(`  > ${output.kind}`)
  else {
    for (const column of output.columns)
      lines.push(`  > ${column.name}${column.direct ? '!' : ''} <- ${column.sources.join(' ')}`.trimEnd())
  }
  for (const stored of statement.stores) lines.push(`  + ${stored.sources.join(' ')} -> ${stored.into ?? ''}`.trimEnd())
  return lines.join('\n')
}
