import type { Command } from '@sallyport/kit'
import type { Analysis } from '../analyse/types.js'
import type { FieldDescription } from '../codec/index.js'

/** A protocol-level prepared statement, analysed. */
export interface Statement {
  readonly name: string
  readonly text: string
  readonly analysis: Analysis
  /** Without parameters; Bind adds them. */
  readonly command: Command
  /** What the names meant when it was analysed; a later generation means analysing again. */
  readonly generation: number
  /** From a ParameterDescription or RowDescription of the target; undefined until described. */
  fields: readonly FieldDescription[] | 'none' | undefined
  /** Its names were seen to mean something else; which of the meanings the target has, can't be told. */
  outdated: boolean
  /** A Describe of it is on its way. */
  describing: boolean
}
