import type { Clearance, Command, Denial, Hold, Permit, SubmitOptions } from '@sallyport/kit'
import { AnalysisError, type Analysis, type StatementAnalysis } from '../analyse/index.js'
import {
  decodeBind,
  decodeExecute,
  decodeNamedObject,
  decodeParse,
  decodeQuery,
  encodeReadyForQuery,
  frontend,
  ProtocolError,
  requireEmpty,
  type Bind,
  type Parse,
} from '../codec/index.js'
import { bindCommand, statementCommand } from './commands.js'
import { txFailed, txIdle, txOpen, type Conversation } from './conversation.js'
import { batchRefusal, denialError, fromAnalysisError, refusedError, type Refused } from './denial-text.js'
import type { Run } from './expected.js'
import { checkMaskedCopy } from './masking/copied-data.js'
import { Preview } from './preview.js'
import type { Statement } from './statement.js'
import { reservedName } from './target-link.js'

/** Tells the client that a statement waits, and lets it cancel. */
export interface HoldTeller {
  begin(): Hold
}

/**
 * Handles what the client sends, one message at a time. A handler that returns a promise holds back everything behind
 * it. State × message, in the order in which they are asked:
 *
 * | state    | Q P B E            | D C       | S                 | H       | d c f   | F      | X   | other |
 * |----------|--------------------|-----------|-------------------|---------|---------|--------|-----|-------|
 * | skipping | dropped            | dropped   | forwarded, normal | dropped | dropped | dropped| end | fatal |
 * | copy in  | fatal              | fatal     | dropped           | dropped | forward | fatal  | end | fatal |
 * | normal   | decided            | forwarded | forwarded         | forward | dropped | denied | end | fatal |
 */
export class ClientSide {
  readonly #c: Conversation
  readonly #end: () => void
  readonly #submitOptions: SubmitOptions

  constructor(conversation: Conversation, holds: HoldTeller, end: () => void) {
    this.#c = conversation
    this.#end = end
    this.#submitOptions = { hold: () => holds.begin() }
  }

  /** @throws {ProtocolError} when the message can't be spoken here */
  handle(type: number, buffer: Buffer, start: number, end: number): Promise<void> | undefined {
    const c = this.#c
    if (type === frontend.terminate) {
      this.#end()
      return undefined
    }
    if (type === frontend.password) throw new ProtocolError('authentication message after login')
    if (c.copyIn) return this.#copyIn(type, c.copyIn, buffer, start, end)
    if (c.skipping && type !== frontend.sync) return undefined
    switch (type) {
      case frontend.query:
        return this.#query(decodeQuery(buffer, start, end), buffer.subarray(start, end))
      case frontend.parse:
        return this.#parse(decodeParse(buffer, start, end), buffer.subarray(start, end))
      case frontend.bind:
        return this.#bind(decodeBind(buffer, start, end), buffer.subarray(start, end))
      case frontend.execute:
        return this.#execute(decodeExecute(buffer, start, end).portal, buffer.subarray(start, end))
      case frontend.describe: {
        const { kind, name } = decodeNamedObject(buffer, start, end)
        return this.#describe(kind, name)
      }
      case frontend.close: {
        const { kind, name } = decodeNamedObject(buffer, start, end)
        refuseReserved(name)
        c.link.close(kind, name)
        c.expected.push({ kind: 'close', of: kind, name })
        c.openBatch = true
        return undefined
      }
      case frontend.sync:
        requireEmpty(buffer, start, end)
        c.link.sync()
        c.expected.push({ kind: 'sync' })
        c.openBatch = false
        c.skipping = false
        return undefined
      case frontend.flush:
        requireEmpty(buffer, start, end)
        c.link.flush()
        return undefined
      case frontend.copyData:
      case frontend.copyDone:
      case frontend.copyFail:
        // As the server does: what is left of a COPY that has failed is thrown away.
        return undefined
      case frontend.functionCall:
        return this.#functionCall()
      default:
        throw new ProtocolError(`invalid frontend message type ${type}`)
    }
  }

  #copyIn(type: number, run: Run, buffer: Buffer, start: number, end: number): undefined {
    const c = this.#c
    switch (type) {
      case frontend.copyData:
        run.bytes += end - start - 5
        c.link.copy(run.permit, buffer.subarray(start, end))
        return undefined
      case frontend.copyDone:
      case frontend.copyFail:
        c.copyIn = undefined
        c.link.copy(run.permit, buffer.subarray(start, end))
        return undefined
      case frontend.sync:
      case frontend.flush:
        // Ignored by the server in copy mode: libpq sends them before it knows that the command is a COPY.
        return undefined
      default:
        throw new ProtocolError(`unexpected message type 0x${type.toString(16)} during COPY from stdin`)
    }
  }

  // ---- simple protocol

  #query(text: string, bytes: Buffer): Promise<void> | undefined {
    const ready = this.#ready()
    if (ready) return ready.then(() => this.#query2(text, bytes))
    return this.#query2(text, bytes)
  }

  #query2(text: string, bytes: Buffer): Promise<void> | undefined {
    const c = this.#c
    if (c.ended || c.skipping) return undefined
    const analysis = this.#analyse(text)
    if (analysis instanceof Promise) return analysis.then((value) => this.#queryDecide(value, text, bytes))
    return this.#queryDecide(analysis, text, bytes)
  }

  #queryDecide(analysis: Analysis | Refused, text: string, bytes: Buffer): Promise<void> | undefined {
    const c = this.#c
    if (c.ended || c.skipping) return undefined
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
    const outcome = this.#submit(command)
    if (outcome instanceof Promise) return outcome.then((result) => this.#queryRun([result], analysis, bytes))
    // The common case, without a closure or an array more than needed.
    if (outcome.kind === 'permit' && statement) return this.#sendQuery([this.#run(outcome, statement, undefined, undefined)], bytes)
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
      else if (denied >= 0 || !outcomes.some((outcome) => outcome.kind === 'denial')) outcomes.push(await this.#submit(command))
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
    for (const [index, permit] of permits.entries()) runs.push(this.#run(permit, analysis.statements[index] ?? emptyStatement, undefined, undefined))
    return this.#sendQuery(runs, bytes)
  }

  #sendQuery(runs: readonly Run[], bytes: Buffer): Promise<void> | undefined {
    const c = this.#c
    c.link.run(runs.map((run) => run.permit), bytes)
    c.expected.push({ kind: 'query', runs, current: 0 })
    c.openBatch = false
    if (runs.some((run) => run.analysis.copy?.direction === 'in')) return this.#copyBarrier()
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
  #functionCall(): Promise<void> | undefined {
    const command: Command = { text: '[FunctionCall]', effects: [{ action: 'sql.call', resource: 'function by oid' }] }
    return this.#refuseQuery(command, {
      rule: 'function-call',
      sqlstate: '42501',
      message: 'Sallyport: the FunctionCall message is not let through',
      hint: 'Call the function with SELECT instead (large objects: lo_get, lo_put).',
    })
  }

  // ---- extended protocol

  #parse(message: Parse, bytes: Buffer): Promise<void> | undefined {
    refuseReserved(message.name)
    const ready = this.#ready()
    if (ready) return ready.then(() => this.#parse2(message, bytes))
    return this.#parse2(message, bytes)
  }

  #parse2(message: Parse, bytes: Buffer): Promise<void> | undefined {
    const c = this.#c
    if (c.ended || c.skipping) return undefined
    const analysis = this.#analyse(message.text)
    if (analysis instanceof Promise) return analysis.then((value) => this.#parseDecide(value, message, bytes))
    return this.#parseDecide(analysis, message, bytes)
  }

  #parseDecide(analysis: Analysis | Refused, message: Parse, bytes: Buffer): undefined {
    const c = this.#c
    if (c.ended || c.skipping) return undefined
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
    this.#sendParse(cleared, { name: message.name, text: message.text, analysis, command, generation: c.names.generation, fields: undefined, describing: false }, bytes)
    return undefined
  }

  #sendParse(cleared: Clearance, statement: Statement, bytes: Buffer): void {
    const c = this.#c
    c.link.prepare(cleared, bytes)
    c.expected.push({ kind: 'parse', statement })
    c.openBatch = true
  }

  #bind(message: Bind, bytes: Buffer): Promise<void> | undefined {
    refuseReserved(message.portal)
    refuseReserved(message.statement)
    const unsure = this.#c.unsure('statement', message.statement)
    const ready = unsure ? this.#c.settle().then(() => this.#ready()) : this.#ready()
    if (ready) return ready.then(() => this.#bind2(message, bytes))
    return this.#bind2(message, bytes)
  }

  #bind2(message: Bind, bytes: Buffer): Promise<void> | undefined {
    const c = this.#c
    if (c.ended || c.skipping) return undefined
    const statement = c.statement(message.statement) ?? this.#sqlPrepared(message.statement)
    if (!statement) return this.#denyExtended(refusedError(unknownStatement(message.statement)))
    // Between Parse and now a name may have come to mean something else, for the server as well: decide on what it means now.
    if (statement.generation === c.names.generation) return this.#bindDecide(statement.analysis, statement, message, bytes)
    const analysis = this.#analyse(statement.text)
    if (analysis instanceof Promise) return analysis.then((value) => this.#bindDecide(value, statement, message, bytes))
    return this.#bindDecide(analysis, statement, message, bytes)
  }

  #bindDecide(analysis: Analysis | Refused, statement: Statement, message: Bind, bytes: Buffer): Promise<void> | undefined {
    const c = this.#c
    if (c.ended || c.skipping) return undefined
    if (!('statements' in analysis)) return this.#refuseExtended(statement.command, analysis)
    const [first = emptyStatement] = analysis.statements
    const command = bindCommand(statement.text, first.effects, c.status, message)
    const copied = checkMaskedCopy(first, c.guard.masks)
    if (copied) return this.#refuseExtended(command, copied)
    const outcome = this.#submit(command)
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
    const run = this.#run(outcome, analysis, statement, message.resultFormats)
    c.link.run([outcome], bytes)
    c.expected.push({ kind: 'bind', portal: { name: message.portal, statement, run, grantVersion: c.guard.grantVersion } })
    c.openBatch = true
    return undefined
  }

  #describe(kind: 'statement' | 'portal', name: string): undefined {
    const c = this.#c
    refuseReserved(name)
    const portal = kind === 'portal' ? c.portal(name) : undefined
    const statement = kind === 'statement' ? c.statement(name) : portal?.statement
    if (statement) statement.describing = true
    c.link.describe(kind, name)
    c.expected.push({ kind: 'describe', of: kind, statement, portal, hidden: false })
    c.openBatch = true
    return undefined
  }

  #execute(name: string, bytes: Buffer): Promise<void> | undefined {
    refuseReserved(name)
    if (this.#c.unsure('portal', name)) return this.#c.settle().then(() => this.#execute2(name, bytes))
    return this.#execute2(name, bytes)
  }

  #execute2(name: string, bytes: Buffer): Promise<void> | undefined {
    const c = this.#c
    if (c.ended || c.skipping) return undefined
    const portal = c.portal(name)
    if (!portal) return this.#denyExtended(refusedError(unknownPortal(name)))
    if (portal.grantVersion !== c.guard.grantVersion) {
      // The policy changed since Bind (attacks P4, P6): a portal that was begun ends here, too.
      const decision = c.guard.recheck(portal.run.permit.command)
      if (decision.verdict === 'deny') {
        return this.#denyExtended(denialError({ kind: 'denial', cause: 'denied', rule: decision.rule, message: decision.reason, hint: decision.hint }))
      }
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
      return this.#copyBarrier()
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

  // ---- shared

  /** A promise while the target must be asked or answered first, before names can be resolved. */
  #ready(): Promise<void> | undefined {
    const c = this.#c
    if (c.expected.size === 0) c.names.checkAge()
    else if (c.namesInMotion()) return c.settle().then(() => this.#ready())
    if (!c.names.stale || c.status === txFailed || c.skipping || c.ended) return undefined
    return this.#refreshNames()
  }

  async #refreshNames(): Promise<void> {
    const c = this.#c
    await c.settle()
    if (c.ended || c.skipping || c.status === txFailed) return
    await c.names.refresh((query) => this.#ask(query))
  }

  #ask(query: string): Promise<string[]> {
    const c = this.#c
    return new Promise((resolve, reject) => {
      const hidden = { rows: [], resolve, reject }
      c.link.hiddenQuery(query)
      for (const step of ['parse', 'bind', 'execute', 'close', 'close'] as const) c.expected.push({ kind: 'hidden', step, query: hidden })
      if (c.openBatch) c.link.flush()
      else {
        c.link.sync()
        c.expected.push({ kind: 'hidden', step: 'sync', query: hidden })
      }
    })
  }

  /** Analyses; when a name isn't known, asks the target for its catalog once more. */
  #analyse(text: string): Analysis | Refused | Promise<Analysis | Refused> {
    const c = this.#c
    try {
      return c.names.analyse(text)
    } catch (error) {
      if (!(error instanceof AnalysisError)) return internalRefusal
      if (error.code === 'unresolved' && c.status !== txFailed && c.names.retryUnresolved()) {
        return this.#refreshNames().then(() => {
          try {
            return c.names.analyse(text)
          } catch (again) {
            return again instanceof AnalysisError ? fromAnalysisError(again) : internalRefusal
          }
        })
      }
      return fromAnalysisError(error)
    }
  }

  /** SQL-level PREPARE shares its names with Parse. */
  #sqlPrepared(name: string): Statement | undefined {
    const prepared = this.#c.names.context.prepared.get(name)
    if (!prepared) return undefined
    const { analysis } = prepared
    const command = statementCommand(analysis.text, analysis.effects, this.#c.status)
    // No generation of ours: its names may mean something else by now, so that Bind analyses it again.
    return { name, text: analysis.text, analysis: { statements: [analysis] }, command, generation: -1, fields: undefined, describing: false }
  }

  #submit(command: Command): Permit | Denial | Promise<Permit | Denial> {
    return this.#c.guard.submit(command, this.#submitOptions)
  }

  #run(permit: Permit, analysis: StatementAnalysis, statement: Statement | undefined, formats: readonly number[] | undefined): Run {
    const room = this.#c.guard.recordResultBytes
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

  /** Until the target says whether it takes the rows, it isn't known what the client's next bytes are. */
  #copyBarrier(): Promise<void> {
    return new Promise((resolve) => {
      this.#c.copyAnswered = resolve
    })
  }
}

const emptyStatement: StatementAnalysis = {
  text: '',
  node: 'Empty',
  effects: [],
  output: { kind: 'none' },
  reads: [],
  stores: [],
  changes: [],
  endsTransaction: false,
}

const severalCommands: Refused = {
  rule: 'several-commands',
  sqlstate: '42601',
  message: 'cannot insert multiple commands into a prepared statement',
  hint: 'Send one statement at a time.',
}

const internalRefusal: Refused = {
  rule: 'analysis-failed',
  sqlstate: 'XX000',
  message: 'Sallyport: the statement could not be analysed, so it is denied',
  hint: 'Nothing was executed. Please report the statement to your platform team.',
}

function unknownStatement(name: string): Refused {
  const message = name === '' ? 'unnamed prepared statement does not exist' : `prepared statement "${name.slice(0, 64)}" does not exist`
  return { rule: 'protocol', sqlstate: '26000', message, hint: 'Prepare it on this connection first.' }
}

function unknownPortal(name: string): Refused {
  return { rule: 'protocol', sqlstate: '34000', message: `portal "${name.slice(0, 64)}" does not exist`, hint: 'Bind it in this transaction first; read SQL cursors with FETCH.' }
}

function refuseReserved(name: string): void {
  if (reservedName(name)) throw new ProtocolError('names that start with "sallyport." are reserved')
}
