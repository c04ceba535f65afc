import type { Permit } from '@sallyport/kit'
import type { StatementAnalysis } from '../analyse/index.js'
import type { Conversation } from './conversation.js'
import type { Run } from './expected.js'
import { Preview } from './preview.js'
import type { Statement } from './statement.js'

/** A permitted statement, about to run. `formats`: of the result, as bound; undefined for the simple protocol. */
export function newRun(c: Conversation, permit: Permit, analysis: StatementAnalysis, statement?: Statement, formats?: readonly number[]): Run {
  const room = c.guard.recordResultBytes
  const shows = room > 0 && (analysis.output.kind !== 'none' || analysis.copy?.direction === 'out')
  return {
    permit,
    analysis,
    statement,
    formats,
    fields: undefined,
    rowMask: undefined,
    copyMask: undefined,
    preview: shows ? new Preview(room) : undefined,
    rows: 0,
    bytes: 0,
    masked: 0,
    done: false,
  }
}

/** Until the target says whether it takes the rows of a COPY, it isn't known what the client's next bytes are. */
export function copyBarrier(c: Conversation): Promise<void> {
  return new Promise((resolve) => {
    c.copyAnswered = resolve
  })
}

/** An empty query string. */
export const emptyStatement: StatementAnalysis = {
  text: '',
  node: 'Empty',
  effects: [],
  output: { kind: 'none' },
  reads: [],
  rows: [],
  stores: [],
  changes: [],
  endsTransaction: false,
}
