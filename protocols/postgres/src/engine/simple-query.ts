import type { Command, Denial, Permit, SubmitOptions } from '@sallyport/kit'
import type { Analysis } from '../analyse/index.js'
import { encodeReadyForQuery } from '../codec/index.js'
import { statementCommand } from './commands.js'
import { txFailed, txIdle, txOpen, type Conversation } from './conversation.js'
import { batchRefusal, denialError, refusedError, type Refused } from './denial-text.js'
import type { Run } from './expected.js'
import { checkMaskedCopy } from './masking/copied-data.js'
import type { NameGate } from './name-gate.js'
import { copyBarrier, emptyStatement, newRun } from './runs.js'

/** Simple query protocol: decides every statement of a Query message, and sends the message when all are permitted. */
export class SimpleQuery {
  readonly #c: Conversation
  readonly #gate: NameGate
  readonly #holds: SubmitOptions

  constructor(conversation: Conversation, gate: NameGate, holds: SubmitOptions) {
    this.#c = conversation
    this.#gate = gate
    this.#holds = holds
  }

  query(text: string, bytes: Buffer): Promise<void> | undefined {
    return this.#gate.whenReady(() => this.#gate.whenAnalysed(text, (analysis) => this.#queryDecide(analysis, text, bytes)))
  }

  #queryDecide(analysis: Analysis | Refused, text: string, bytes: Buffer): Promise<void> | undefined {
    const c = this.#c
    if (!('statements' in analysis)) return this.#refuseQuery(statementCommand(text, [], c.status), analysis)
    const commands = analysis.statements.map((statement, index) => statementCommand(statement.text, statement.effects, c.status, { index, of: analysis.statements.length, text }))
    if (commands.length === 0) commands.push(statementCommand(text, [], c.status))
    for (const [index, statement] of analysis.statements.entries()) {
      const copied = checkMaskedCopy(statement, c.guard.masks)
      const command = commands[index]
      if (copied && command) return this.#refuseQuery(command, copied)
    }
    if (commands.length > 1) return this.#batch(analysis, commands, bytes)
    const [command] = commands
    const [statement] = analysis.statements
    if (!command) return undefined
    const outcome = c.guard.submit(command, this.#holds)
    if (outcome instanceof Promise) return outcome.then((result) => this.#queryRun([result], analysis, bytes))
    // The common case, without a closure or an array more than needed.
    if (outcome.kind === 'permit' && statement) return this.#sendQuery([newRun(c, outcome, statement)], bytes)
    return this.#queryRun([outcome], analysis, bytes)
  }

  /** Several statements in one message are one transaction: all are permitted, or none is sent. */
  async #batch(analysis: Analysis, commands: readonly Command[], bytes: Buffer): Promise<void> {
    const c = this.#c
    const denied = commands.findIndex((command) => c.guard.recheck(command).verdict === 'deny')
    const outcomes: (Permit | Denial)[] = []
    for (const [index, command] of commands.entries()) {
      // When one is known to be denied, the others aren't held for nothing, but each is on record.
      if (denied >= 0 && index !== denied) c.guard.refuse(command, batchRefusal)
      else if (denied >= 0 || !outcomes.some((outcome) => outcome.kind === 'denial')) outcomes.push(await c.guard.submit(command, this.#holds))
      else c.guard.refuse(command, batchRefusal)
    }
    await this.#queryRun(outcomes, analysis, bytes)
  }

  #queryRun(outcomes: readonly (Permit | Denial)[], analysis: Analysis, bytes: Buffer): Promise<void> | undefined {
    const c = this.#c
    const denial = outcomes.find((outcome) => outcome.kind === 'denial')
    const permits = outcomes.filter((outcome) => outcome.kind === 'permit')
    if (denial || c.ended) {
      for (const permit of permits) c.withdraw(permit)
      return denial ? this.#denyQuery(denialError(denial)) : undefined
    }
    const runs: Run[] = []
    for (const [index, permit] of permits.entries()) runs.push(newRun(c, permit, analysis.statements[index] ?? emptyStatement))
    return this.#sendQuery(runs, bytes)
  }

  #sendQuery(runs: readonly Run[], bytes: Buffer): Promise<void> | undefined {
    const c = this.#c
    c.link.run(runs.map((run) => run.permit), bytes)
    c.expected.push({ kind: 'query', runs, current: 0 })
    c.openBatch = false
    if (runs.some((run) => run.analysis.copy?.direction === 'in')) return copyBarrier(c)
    return undefined
  }

  #refuseQuery(command: Command, refused: Refused): Promise<void> | undefined {
    const denial = this.#c.guard.refuse(command, refused)
    return this.#denyQuery(denial.cause === 'denied' ? refusedError(refused) : denialError(denial))
  }

  /** Leaves client and target in the same transaction state as a server error would. */
  #denyQuery(error: Buffer): Promise<void> | undefined {
    const c = this.#c
    if (c.expected.size > 0 && !c.openBatch) return c.settle().then(() => this.#denyQuery2(error))
    return this.#denyQuery2(error)
  }

  #denyQuery2(error: Buffer): undefined {
    const c = this.#c
    if (c.ended) return undefined
    if (!c.openBatch && c.status !== txOpen) {
      c.client.write(error)
      c.client.write(encodeReadyForQuery(c.status === txFailed ? txFailed : txIdle))
      return undefined
    }
    c.link.poisonQuery()
    c.expected.push({ kind: 'poison', protocol: 'simple', error, reported: false })
    c.openBatch = false
    return undefined
  }

  /** Calls a function by OID with no text to analyse (attack P1): never let through. */
  functionCall(): Promise<void> | undefined {
    const command: Command = { text: '[FunctionCall]', effects: [{ action: 'sql.call', resource: 'function by oid' }] }
    return this.#refuseQuery(command, {
      rule: 'function-call',
      sqlstate: '42501',
      message: 'Sallyport: the FunctionCall message is not let through',
      hint: 'Call the function with SELECT instead (large objects: lo_get, lo_put).',
    })
  }
}
