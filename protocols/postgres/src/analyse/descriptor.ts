import { TargetSpecError, type OfflineAnalysis, type ProtocolDescriptor } from '@sallyport/kit'
import { sqlActions } from './actions.js'
import { analyse, loadAnalyser } from './analyse.js'
import { offlineCatalog, offlineNames } from './catalog.js'
import { postgresTargetSchema } from '../target-spec.js'
import { withoutLiterals } from './parser.js'
import { AnalysisError } from './types.js'

const catalog = offlineCatalog()

/** All that the core asks of PostgreSQL. */
export const postgresDescriptor: ProtocolDescriptor = {
  protocol: 'postgres',
  actions: sqlActions,
  parseTargetSpec(spec) {
    const parsed = postgresTargetSchema.safeParse(spec)
    if (parsed.success) return { ...parsed.data }
    const issue = parsed.error.issues[0]
    const path = (issue?.path ?? []).map((part) => (typeof part === 'number' ? part : String(part)))
    throw new TargetSpecError(path, issue?.message ?? 'invalid')
  },
  load: loadAnalyser,
  analyse(text): OfflineAnalysis {
    try {
      const { statements } = analyse(text, catalog, offlineNames)
      return { commands: statements.map((statement) => ({ text: statement.text, effects: statement.effects })) }
    } catch (error) {
      if (error instanceof AnalysisError) return { commands: [], error: error.message }
      throw error
    }
  },
  withoutValues: withoutLiterals,
}
