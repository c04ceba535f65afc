import { createHash } from 'node:crypto'
import type { Command } from '@sallyport/kit'
import type { Effect, JsonObject } from '@sallyport/policy'
import type { Bind } from '../codec/index.js'

const txOpen = 0x54
const txFailed = 0x45

const inTransaction: JsonObject = { transaction: 'open' }
const inFailedTransaction: JsonObject = { transaction: 'failed' }

/** Facts of a statement on its own: none while no transaction is open, so that the common event stays small. */
function transactionFacts(status: number): JsonObject | undefined {
  if (status === txOpen) return inTransaction
  return status === txFailed ? inFailedTransaction : undefined
}

/** One statement of a simple query. In a message of several, the whole message is part of what an approval is bound to. */
export function statementCommand(text: string, effects: readonly Effect[], status: number, batch?: { readonly index: number; readonly of: number; readonly text: string }): Command {
  let facts = transactionFacts(status)
  if (batch && batch.of > 1) {
    const digest = createHash('sha256').update(batch.text).digest('hex')
    facts = { ...facts, batch: { statement: batch.index + 1, of: batch.of, sha256: digest } }
  }
  return facts ? { text, effects, facts } : { text, effects }
}

/** A bound statement: its values are part of the command, with the format that they were sent in. */
export function bindCommand(text: string, effects: readonly Effect[], status: number, bind: Bind): Command {
  const facts = transactionFacts(status)
  const parameters = bind.parameters.map((value, index) => {
    if (value === null) return null
    return bind.parameterFormats[index] === 1 ? `\\x${value.toString('hex')}` : value.toString('utf8')
  })
  const binary = bind.parameterFormats.includes(1) ? { binary_parameters: bind.parameterFormats } : undefined
  if (!facts && !binary) return { text, effects, parameters }
  return { text, effects, parameters, facts: { ...facts, ...binary } }
}
