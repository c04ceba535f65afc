export { analyseArgv, analyseShell } from './analysis/analyse.js'
export { type Dialect, loadShell } from './grammar/parser.js'
export { quoteArgv } from './quote.js'
export type { Assignment, Opaque, Redirection, ShellAnalysis, SimpleCommand } from './types.js'
