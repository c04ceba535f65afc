import type { Clearance, Command, Denial, Permit, SubmitOptions } from '@sallyport/kit'
import { sameMeaning, type Analysis, type StatementAnalysis } from '../analyse/index.js'
import type { Bind, Parse } from '../codec/index.js'
import { bindCommand, statementCommand } from './commands.js'
import type { Conversation } from './conversation.js'
import { denialError, refusedError, type Refused } from './denial-text.js'
import { checkMaskedCopy } from './masking/copied-data.js'
import type { NameGate } from './name-gate.js'
import { copyBarrier, emptyStatement, newRun } from './runs.js'
import type { Statement } from './statement.js'
import { checkName } from './target-link.js'

/** Extended query protocol: a statement is cleared at Parse, decided and held at Bind with its values, and checked again at Execute. */
export class ExtendedQuery {
  readonly #c: Conversation
  readonly #gate: NameGate
  readonly #holds: SubmitOptions

  constructor(conversation: Conversation, gate: NameGate, holds: SubmitOptions) {
    this.#c = conversation
    this.#gate = gate
    this.#holds = holds
  }

  parse(message: Parse, bytes: Buffer): Promise<void> | undefined {
    checkName(message.name)
    return this.#gate.whenReady(() => this.#gate.whenAnalysed(message.text, (analysis) => this.#parseDecide(analysis, message, bytes)))
  }

  #parseDecide(analysis: Analysis | Refused, message: Parse, bytes: Buffer): undefined {
    const c = this.#c
    // The server forgets the old unnamed statement as soon as a new one is parsed, whether that succeeds or not.
    if (message.name === '') c.statements.delete('')
    if (!('statements' in analysis)) return this.#refuseExtended(statementCommand(message.text, [], c.status), analysis)
    const [first] = analysis.statements
    const command = statementCommand(message.text, first?.effects ?? [], c.status)
    if (analysis.statements.length > 1) return this.#refuseExtended(command, severalCommands)
    const copied = first && checkMaskedCopy(first, c.guard.masks)
    if (copied) return this.#refuseExtended(command, copied)
    const cleared = c.guard.clear(command)
    if (cleared.kind === 'denial') return this.#denyExtended(denialError(cleared))
    this.#sendParse(cleared, { name: message.name, text: message.text, analysis, command, generation: c.names.generation, fields: undefined, outdated: false, describing: false }, bytes)
    return undefined
  }

  #sendParse(cleared: Clearance, statement: Statement, bytes: Buffer): void {
    const c = this.#c
    c.link.prepare(cleared, bytes)
    c.expected.push({ kind: 'parse', statement })
    c.openBatch = true
  }

  bind(message: Bind, bytes: Buffer): Promise<void> | undefined {
    checkName(message.portal)
    checkName(message.statement)
    const unsure = this.#c.unsure('statement', message.statement)
    return this.#gate.whenReady(() => this.#bindKnown(message, bytes), unsure ? this.#c.settle() : undefined)
  }

  #bindKnown(message: Bind, bytes: Buffer): Promise<void> | undefined {
    const c = this.#c
    const statement = c.statement(message.statement) ?? this.#sqlPrepared(message.statement)
    if (!statement) return this.#denyExtended(refusedError(unknownStatement(message.statement)))
    // Between Parse and now a name may have come to mean something else, for the server as well: decide on what it means now.
    if (statement.generation === c.names.generation) return this.#bindDecide(statement.analysis, statement, message, bytes)
    return this.#gate.whenAnalysed(statement.text, (analysis) => this.#bindDecide(analysis, statement, message, bytes))
  }

  #bindDecide(analysis: Analysis | Refused, statement: Statement, message: Bind, bytes: Buffer): Promise<void> | undefined {
    const c = this.#c
    if (!('statements' in analysis)) return this.#refuseExtended(statement.command, analysis)
    const [first = emptyStatement] = analysis.statements
    if (!sameMeaning(statement.analysis.statements[0]?.effects ?? [], first.effects)) statement.outdated = true
    if (statement.outdated) return this.#refuseExtended(statement.command, outdated)
    const command = bindCommand(statement.text, first.effects, c.status, message)
    const copied = checkMaskedCopy(first, c.guard.masks)
    if (copied) return this.#refuseExtended(command, copied)
    const outcome = c.guard.submit(command, this.#holds)
    if (outcome instanceof Promise) return outcome.then((result) => this.#bindRun(result, first, statement, message, bytes))
    return this.#bindRun(outcome, first, statement, message, bytes)
  }

  #bindRun(outcome: Permit | Denial, analysis: StatementAnalysis, statement: Statement, message: Bind, bytes: Buffer): undefined {
    const c = this.#c
    if (outcome.kind === 'denial') return this.#denyExtended(denialError(outcome))
    if (c.ended || c.skipping) {
      c.withdraw(outcome)
      return undefined
    }
    const run = newRun(c, outcome, analysis, statement, message.resultFormats)
    c.link.run([outcome], bytes)
    c.expected.push({ kind: 'bind', portal: { name: message.portal, statement, run } })
    c.openBatch = true
    return undefined
  }

  describe(kind: 'statement' | 'portal', name: string): Promise<void> | undefined {
    checkName(name)
    // The server resolves a statement's names again when it describes it; a portal's are settled.
    return kind === 'statement' ? this.#gate.whenReady(() => this.#describeStatement(name)) : this.#sendDescribe(kind, name)
  }

  #describeStatement(name: string): Promise<void> | undefined {
    const c = this.#c
    const known = c.statement(name) ?? this.#sqlPrepared(name)
    if (!known || known.generation === c.names.generation) return this.#sendDescribe('statement', name)
    return this.#gate.whenAnalysed(known.text, (value) => {
      if (!('statements' in value) || !sameMeaning(known.analysis.statements[0]?.effects ?? [], value.statements[0]?.effects ?? [])) {
        known.outdated = true
        c.names.forgetPrepared(name)
      }
      return this.#sendDescribe('statement', name)
    })
  }

  #sendDescribe(kind: 'statement' | 'portal', name: string): undefined {
    const c = this.#c
    const portal = kind === 'portal' ? c.portal(name) : undefined
    const statement = kind === 'statement' ? c.statement(name) : portal?.statement
    if (statement) statement.describing = true
    c.link.describe(kind, name)
    c.expected.push({ kind: 'describe', of: kind, statement, portal, hidden: false })
    c.openBatch = true
    return undefined
  }

  execute(name: string, bytes: Buffer): Promise<void> | undefined {
    checkName(name)
    if (this.#c.unsure('portal', name)) return this.#c.settle().then(() => this.#execute2(name, bytes))
    return this.#execute2(name, bytes)
  }

  #execute2(name: string, bytes: Buffer): Promise<void> | undefined {
    const c = this.#c
    if (c.ended || c.skipping) return undefined
    const portal = c.portal(name)
    if (!portal) return this.#denyExtended(refusedError(unknownPortal(name)))
    if (portal.run.permit.grantVersion !== c.guard.grantVersion) {
      // The policy changed since Bind (attacks P4, P6): a portal that was begun ends here, too.
      const { permit, analysis } = portal.run
      const copied = checkMaskedCopy(analysis, c.guard.masks)
      if (copied) return this.#refuseExtended(permit.command, copied)
      const denial = c.guard.stands(permit)
      if (denial) return this.#denyExtended(denialError(denial))
    }
    if (portal.run.analysis.output.kind !== 'none' && portal.statement.fields === undefined && !portal.statement.describing) {
      // Rows can be masked only when their columns are known, and this client doesn't ask.
      portal.statement.describing = true
      c.link.describe('portal', name)
      c.expected.push({ kind: 'describe', of: 'portal', statement: portal.statement, portal, hidden: true })
    }
    c.link.execute(portal.run.permit, bytes)
    c.expected.push({ kind: 'execute', portal })
    c.openBatch = true
    if (portal.run.analysis.copy?.direction === 'in') {
      c.link.flush()
      return copyBarrier(c)
    }
    return undefined
  }

  #refuseExtended(command: Command, refused: Refused): undefined {
    const denial = this.#c.guard.refuse(command, refused)
    return this.#denyExtended(denial.cause === 'denied' ? refusedError(refused) : denialError(denial))
  }

  /** The target gets an error of its own, so that its transaction fails as the client will believe. */
  #denyExtended(error: Buffer): undefined {
    const c = this.#c
    c.link.poisonParse()
    c.link.flush()
    c.expected.push({ kind: 'poison', protocol: 'extended', error, reported: false })
    c.openBatch = true
    c.skipping = true
    return undefined
  }

  /** SQL-level PREPARE shares its names with Parse. */
  #sqlPrepared(name: string): Statement | undefined {
    const prepared = this.#c.names.context.prepared.get(name)
    if (!prepared) return undefined
    const { analysis } = prepared
    const command = statementCommand(analysis.text, analysis.effects, this.#c.status)
    // No generation of ours: its names may mean something else by now, so that Bind analyses it again.
    return { name, text: analysis.text, analysis: { statements: [analysis] }, command, generation: -1, fields: undefined, outdated: false, describing: false }
  }
}

const severalCommands: Refused = {
  rule: 'several-commands',
  sqlstate: '42601',
  message: 'cannot insert multiple commands into a prepared statement',
  hint: 'Send one statement at a time.',
}

/** With the code that PostgreSQL itself uses here, at which drivers prepare again. */
const outdated: Refused = {
  rule: 'outdated-statement',
  sqlstate: '0A000',
  message: 'cached plan must not change result type (Sallyport: names in the prepared statement mean something else by now)',
  hint: 'Prepare the statement again.',
}

function unknownStatement(name: string): Refused {
  const message = name === '' ? 'unnamed prepared statement does not exist' : `prepared statement "${name.slice(0, 64)}" does not exist`
  return { rule: 'protocol', sqlstate: '26000', message, hint: 'Prepare it on this connection first.' }
}

function unknownPortal(name: string): Refused {
  return { rule: 'protocol', sqlstate: '34000', message: `portal "${name.slice(0, 64)}" does not exist`, hint: 'Bind it in this transaction first; read SQL cursors with FETCH.' }
}
