import { compileMasks, compileRules, type ActionTree, type AuditMode, type CompiledMasks, type CompiledRules, type Decision } from '@sallyport/policy'
import type { ApprovalDesk } from './approvals.js'
import { commandDigest, type Command, type CommandScope } from './command.js'
import type { CommandReleasedEvent } from './event.js'
import { GapKeeper } from './gap-keeper.js'
import type { ApprovalDecisionPayload, GrantPayload } from './grant.js'
import type { CommandResult, Denial, Guard, Hold, RecordedPiece, Refusal, SubmitOptions } from './guard.js'
import { mintClearance, mintPermit, type Clearance, type Permit } from './permit.js'
import { encodeChunks, makePayload } from './recording/payload.js'
import { keepsValues, recordedCommand, recordedResult, recordedText, type RecordingTerms } from './recorded-command.js'
import { SpoolError, type Spool } from './spool/spool.js'
import type { Receipt } from './spool/receipt.js'
import type { VerifiedGrant } from './verified-grant.js'

export interface SessionGuardOptions {
  readonly grant: VerifiedGrant
  readonly actions: ActionTree
  readonly spool: Pick<Spool, 'append' | 'appendClosing' | 'durable' | 'room' | 'overdue' | 'backlogMilliseconds'>
  readonly approvals: ApprovalDesk
  /** Key of keyed-hash masks, from the grant. */
  readonly maskKey?: Uint8Array
  /** Ends every hold when the session ends. */
  readonly signal: AbortSignal
  /** Who waits for the control plane, or for room in the spool, waits so long. */
  readonly durableMilliseconds?: number
  /** Text of a command kept in its event. */
  readonly maxTextBytes?: number
  /** The protocol's reading of a text without its values. Without it nothing of a text stays where values mustn't. */
  readonly withoutValues?: ((text: string) => string | undefined) | undefined
  /** Something of a best_effort session goes on unrecorded from now on; with the code of the spool's refusal. */
  readonly onGap?: (reason: string) => void
}

const defaults = { durableMilliseconds: 10_000, maxTextBytes: 64 * 1024 }
const longestHoldSeconds = 24 * 3600

/** The one implementation of {@link Guard}: decide → record → (hold) → permit, and every failure on the way denies. */
export class SessionGuard implements Guard {
  readonly #spool: SessionGuardOptions['spool']
  readonly #approvals: ApprovalDesk
  readonly #actions: ActionTree
  readonly #signal: AbortSignal
  readonly #durableMilliseconds: number
  readonly #maxTextBytes: number
  readonly #withoutValues: SessionGuardOptions['withoutValues']
  readonly #scope: CommandScope
  readonly #gaps: GapKeeper
  /** Permits given while the record had to be durable first: so has the result's. */
  readonly #sure = new WeakSet<Permit>()
  #grant: GrantPayload
  #rules: CompiledRules
  #masks: CompiledMasks
  #maskKey: Uint8Array | undefined
  #ordinal = 0

  constructor(options: SessionGuardOptions) {
    this.#spool = options.spool
    this.#approvals = options.approvals
    this.#actions = options.actions
    this.#signal = options.signal
    this.#durableMilliseconds = options.durableMilliseconds ?? defaults.durableMilliseconds
    this.#maxTextBytes = options.maxTextBytes ?? defaults.maxTextBytes
    this.#withoutValues = options.withoutValues
    this.#grant = options.grant.payload
    this.#rules = compileRules(this.#grant.rules, this.#actions)
    this.#maskKey = options.maskKey
    this.#masks = compileMasks(this.#grant.masks, this.#maskKey)
    this.#scope = { session: this.#grant.sid, target: this.#grant.target.id, identity: this.#grant.identity.id }
    this.#gaps = new GapKeeper(options.spool, this.#scope.session, options.onGap)
  }

  get grantVersion(): number {
    return this.#grant.version
  }

  get masks(): CompiledMasks {
    return this.#masks
  }

  get recordResultBytes(): number {
    return this.#grant.terms.record_result_bytes
  }

  get recordTerminalBytes(): number {
    // A terminal shows what is typed: the statements.
    return this.#grant.terms.record_statements === undefined ? this.#grant.terms.record_terminal_bytes : 0
  }

  get recordInput(): boolean {
    return this.#grant.terms.record_input && this.#grant.terms.record_statements === undefined
  }

  /** How sure the record has to be before a command goes on. */
  get audit(): AuditMode {
    return this.#grant.terms.audit
  }

  /** Commands submitted so far. */
  get commands(): number {
    return this.#ordinal
  }

  /** Takes a newer grant of the same session. Older or foreign ones are ignored: an update can't be replayed. */
  update(grant: VerifiedGrant, maskKey?: Uint8Array): boolean {
    const next = grant.payload
    if (next.sid !== this.#grant.sid || next.version <= this.#grant.version) return false
    this.#rules = compileRules(next.rules, this.#actions)
    this.#maskKey = maskKey ?? this.#maskKey
    this.#masks = compileMasks(next.masks, this.#maskKey)
    this.#grant = next
    return true
  }

  recheck(command: Command): Decision {
    return this.#rules.decide(command.effects, command.text)
  }

  stands(permit: Permit): Denial | undefined {
    if (this.#signal.aborted) return sessionOver
    if (permit.grantVersion === this.#grant.version) return undefined
    const decision = this.recheck(permit.command)
    if (decision.verdict === 'allow') return undefined
    if (decision.verdict === 'deny') return this.refuse(permit.command, { rule: decision.rule, message: decision.reason, hint: decision.hint })
    // What was allowed, or approved by others, may have to be approved by now.
    if (permit.approved !== undefined && permit.approved === requirementsOf(decision)) return undefined
    return this.refuse(permit.command, { rule: decision.rule, message: 'the policy has changed: the command needs an approval now', hint: 'Run the command again to ask for it.' })
  }

  submit(command: Command, options: SubmitOptions = {}): Permit | Denial | Promise<Permit | Denial> {
    if (this.#signal.aborted) return sessionOver
    try {
      return this.#submit(command, options, this.audit === 'strict' || (this.audit === 'spooled' && this.#spool.overdue))
    } catch (error) {
      if (this.audit === 'best_effort' || !lacksRoom(error)) return this.#unavailable(error)
      return this.#submitWhenRoom(command, options, error)
    }
  }

  /**
   * @param sure the record must be durable before the command runs
   * @throws {SpoolError}
   */
  #submit(command: Command, options: SubmitOptions, sure: boolean): Permit | Denial | Promise<Permit | Denial> {
    const decision = this.recheck(command)
    const ordinal = this.#ordinal + 1
    const digest = decision.verdict === 'hold' ? commandDigest(command, this.#scope) : undefined
    let receipt: Receipt
    try {
      receipt = this.#record(command, ordinal, decision, digest)
    } catch (error) {
      // What people are asked to approve must be on record, in every mode.
      if (this.audit !== 'best_effort' || decision.verdict === 'hold' || !this.#gaps.missed('command', ordinal, error)) throw error
      this.#ordinal = ordinal
      return decision.verdict === 'allow' ? this.#mint(ordinal, command) : denied(decision)
    }
    this.#ordinal = ordinal
    if (decision.verdict === 'deny') return denied(decision)
    if (decision.verdict === 'hold' && digest !== undefined) return this.#hold(command, ordinal, decision, digest, receipt, options.hold?.(), sure)
    if (decision.verdict !== 'allow') return denied(decision)
    return sure ? this.#permitWhenDurable(command, ordinal, receipt) : this.#mint(ordinal, command)
  }

  /** The spool is full: the command waits until there is room, for a time, and is then as sure as in a strict session. */
  async #submitWhenRoom(command: Command, options: SubmitOptions, refused: unknown): Promise<Permit | Denial> {
    const over = AbortSignal.any([this.#signal, AbortSignal.timeout(this.#durableMilliseconds)])
    let error = refused
    for (;;) {
      try {
        await abortable(this.#spool.room(), over)
      } catch {
        return this.#signal.aborted ? sessionOver : this.#unavailable(error)
      }
      try {
        return await this.#submit(command, options, true)
      } catch (again) {
        if (!lacksRoom(again)) return this.#unavailable(again)
        error = again
      }
    }
  }

  #mint(ordinal: number, command: Command, approved?: string): Permit {
    return mintPermit(ordinal, command, this.#grant.version, process.hrtime.bigint(), approved)
  }

  clear(command: Command): Clearance | Denial {
    if (this.#signal.aborted) return sessionOver
    const decision = this.recheck(command)
    if (decision.verdict !== 'deny') return mintClearance(command)
    return this.#denyOnRecord(command, decision)
  }

  refuse(command: Command, refusal: Refusal): Denial {
    if (this.#signal.aborted) return sessionOver
    const decision: Decision = { verdict: 'deny', rule: refusal.rule, reason: refusal.message, hint: refusal.hint }
    return this.#denyOnRecord(command, decision)
  }

  record(permit: Permit, piece: RecordedPiece): void {
    const { first, chunks, ...ends } = piece
    const head = { kind: 'recording', session: this.#scope.session, command: permit.ordinal, first } as const
    try {
      // Not as a closing record: the room kept for those must not fill up with output.
      const { facts, payload } = encodeChunks(chunks)
      this.#spool.append({ ...head, ...facts, ...ends }, payload)
    } catch (error) {
      if (this.audit === 'best_effort' && this.#gaps.missed('recording', permit.ordinal, error)) return
      if (!lacksRoom(error) || piece.last !== true) throw error
      // Its output has no room, its end has: the recording is closed as cut off.
      const { facts, payload } = encodeChunks([])
      this.#spool.appendClosing({ ...head, ...facts, ...ends, truncated: true }, payload)
    }
  }

  finish(permit: Permit, result: CommandResult): Promise<void> | undefined {
    const { result: preview, ...rest } = result
    const made = preview === undefined ? undefined : makePayload(JSON.stringify(preview))
    const event = {
      kind: 'command.end' as const,
      session: this.#scope.session,
      command: permit.ordinal,
      duration_us: Number((process.hrtime.bigint() - permit.startedAt) / 1000n),
      ...recordedResult(rest, this.#grant.terms),
      ...(made === undefined ? {} : { result_bytes: made.facts.bytes, result_sha256: made.facts.sha256 }),
    }
    let receipt: Receipt
    try {
      receipt = this.#spool.appendClosing(event, made?.payload)
    } catch (error) {
      if (this.audit === 'best_effort' && this.#gaps.missed('command.end', permit.ordinal, error)) return undefined
      throw error
    }
    if (this.audit !== 'strict' && !this.#sure.has(permit)) return undefined
    const durable = this.#durable(receipt)
    // Who shows nothing to the client needn't wait; a rejection that nobody takes would end the process.
    durable.catch(() => undefined)
    return durable
  }

  /** The session is about to end: what it could not record is written down. */
  close(): void {
    this.#gaps.close()
  }

  #denyOnRecord(command: Command, decision: Decision): Denial {
    const ordinal = this.#ordinal + 1
    try {
      this.#record(command, ordinal, decision, undefined)
    } catch (error) {
      if (this.audit !== 'best_effort' || !this.#gaps.missed('command', ordinal, error)) return this.#unavailable(error)
    }
    this.#ordinal = ordinal
    return denied(decision)
  }

  #record(command: Command, ordinal: number, decision: Decision, digest: string | undefined): Receipt {
    return this.#spool.append({
      kind: 'command',
      session: this.#scope.session,
      command: ordinal,
      ...(this.audit === 'best_effort' ? { audit: 'best_effort' as const } : {}),
      ...recordedCommand(command, decision, digest, this.#recording),
    })
  }

  get #recording(): RecordingTerms {
    return { terms: this.#grant.terms, scope: this.#scope, withoutValues: this.#withoutValues, maxTextBytes: this.#maxTextBytes }
  }

  async #permitWhenDurable(command: Command, ordinal: number, receipt: Receipt): Promise<Permit | Denial> {
    try {
      await this.#durable(receipt)
    } catch (error) {
      return this.#unavailable(error)
    }
    if (this.#signal.aborted) return sessionOver
    // The grant may have changed during the wait: what counts is what is allowed when the command goes out.
    const again = this.recheck(command)
    if (again.verdict !== 'allow') return denied(again)
    return this.#surely(this.#mint(ordinal, command))
  }

  #surely(permit: Permit): Permit {
    this.#sure.add(permit)
    return permit
  }

  async #hold(command: Command, ordinal: number, decision: Decision, digest: string, receipt: Receipt, waiting: Hold | undefined, sure: boolean): Promise<Permit | Denial> {
    try {
      return await this.#wait(command, ordinal, decision, digest, receipt, waiting, sure)
    } finally {
      waiting?.release()
    }
  }

  async #wait(command: Command, ordinal: number, decision: Decision, digest: string, receipt: Receipt, waiting: Hold | undefined, sure: boolean): Promise<Permit | Denial> {
    const hold = decision.hold
    if (!hold) return denied(decision)
    const seconds = Math.min(hold.timeout_seconds, longestHoldSeconds)
    const signals = [this.#signal, AbortSignal.timeout(seconds * 1000)]
    if (waiting) signals.push(waiting.signal)
    const over = AbortSignal.any(signals)
    if (sure) {
      try {
        await this.#durable(receipt)
      } catch (error) {
        return this.#unavailable(error)
      }
    }
    const recorded = recordedText(command, this.#recording)
    const pending = this.#approvals.request({ session: this.#scope.session, command: ordinal, digest, content: command, hold, ...(keepsValues(this.#grant.terms) ? {} : { forgetParameters: true }), ...(recorded === undefined ? {} : { recorded }) })
    let approval: string | undefined
    try {
      const held = await abortable(pending.held, over)
      approval = held.approval
      this.#spool.append({ kind: 'command.held', session: this.#scope.session, command: ordinal, approval })
      waiting?.onHeld({
        approval,
        url: this.#grant.approval_url + approval,
        groups: held.groups,
        timeoutSeconds: Math.max(1, Math.min(seconds, held.exp - Math.floor(Date.now() / 1000))),
        rule: decision.rule,
      })
      const decided = await abortable(pending.decided, over)
      return await this.#release(command, ordinal, decision, digest, decided, sure)
    } catch (error) {
      const ending = endOfHold(over, this.#signal, waiting?.signal, error)
      pending.cancel(ending.cause)
      this.#released(ordinal, approval, ending.cause === 'expired' ? 'expired' : ending.cause === 'cancelled' ? 'cancelled' : 'refused', [], ending.message)
      return { kind: 'denial', rule: decision.rule, ...ending }
    }
  }

  async #release(command: Command, ordinal: number, decision: Decision, digest: string, decided: ApprovalDecisionPayload, sure: boolean): Promise<Permit | Denial> {
    const rule = decision.rule
    const now = Math.floor(Date.now() / 1000)
    const bound = decided.sid === this.#scope.session && decided.command === String(ordinal) && decided.digest === digest
    if (!bound || decided.exp < now) {
      const message = bound ? 'the approval came too late' : 'the approval is not for this command'
      this.#released(ordinal, decided.approval, 'refused', recordedReviewers(decided), message)
      return { kind: 'denial', cause: 'refused', rule, message, hint: 'Run the command again to ask for a new approval.' }
    }
    if (decided.verdict !== 'approved') {
      this.#released(ordinal, decided.approval, decided.verdict, recordedReviewers(decided), decided.recorded_reason ?? decided.reason)
      return { kind: 'denial', rule, ...refusalText[decided.verdict](decided) }
    }
    // A policy that denies by now wins over an approval that was given under the older one.
    const again = this.recheck(command)
    if (again.verdict === 'deny') {
      this.#released(ordinal, decided.approval, 'refused', recordedReviewers(decided), again.reason)
      return denied(again)
    }
    // Nor may an approval by the people asked then stand for those that the policy asks now.
    if (again.verdict === 'hold' && requirementsOf(again) !== requirementsOf(decision)) {
      const message = 'the policy changed while the command waited: other people must approve it now'
      this.#released(ordinal, decided.approval, 'refused', recordedReviewers(decided), message)
      return { kind: 'denial', cause: 'refused', rule: again.rule, message, hint: 'Run the command again to ask for a new approval.' }
    }
    const receipt = this.#released(ordinal, decided.approval, 'approved', recordedReviewers(decided), decided.recorded_reason ?? decided.reason)
    if (receipt === undefined) return this.#unavailable(undefined)
    if (sure) {
      try {
        await this.#durable(receipt)
      } catch (error) {
        return this.#unavailable(error)
      }
    }
    if (this.#signal.aborted) return sessionOver
    const last = this.recheck(command)
    if (last.verdict === 'deny') return denied(last)
    const permit = this.#mint(ordinal, command, requirementsOf(decision))
    return sure ? this.#surely(permit) : permit
  }

  #released(ordinal: number, approval: string | undefined, verdict: CommandReleasedEvent['verdict'], reviewers: readonly string[], reason: string): Receipt | undefined {
    const event = { kind: 'command.released', session: this.#scope.session, command: ordinal, ...(approval === undefined ? {} : { approval }), verdict, reviewers, reason } as const
    try {
      return this.#spool.append(event)
    } catch (error) {
      // Denied either way: an approval that can't be recorded does not permit. There is room to say that the wait is over.
      this.#closeReleased(verdict === 'approved' ? { ...event, verdict: 'refused', reason: 'the approval could not be recorded' } : event, error)
      return undefined
    }
  }

  #closeReleased(event: CommandReleasedEvent, refused: unknown): void {
    try {
      if (lacksRoom(refused)) this.#spool.appendClosing(event)
    } catch {
      // A disk that failed: the next start of the agent closes the command.
    }
  }

  #durable(receipt: Receipt): Promise<void> {
    return abortable(this.#spool.durable(receipt), AbortSignal.timeout(this.#durableMilliseconds))
  }

  #unavailable(error: unknown): Denial {
    return auditUnavailable(error, this.#spool.backlogMilliseconds)
  }
}

const recordedReviewers = (decided: ApprovalDecisionPayload): readonly string[] => decided.recorded_reviewers ?? decided.reviewers

const refusalText = {
  rejected: (decided: ApprovalDecisionPayload) => ({
    cause: 'rejected' as const,
    message: `rejected by ${decided.reviewers.join(', ') || 'a reviewer'}${decided.reason ? `: ${decided.reason}` : ''}`,
    hint: 'Do not retry the same command. Talk to the reviewer, or change what it does.',
  }),
  expired: () => ({ cause: 'expired' as const, message: 'nobody approved in time', hint: 'Run the command again when a reviewer is available.' }),
  refused: (decided: ApprovalDecisionPayload) => ({
    cause: 'refused' as const,
    message: decided.reason || 'the control plane refused to take the approval request',
    hint: decided.hint ?? 'See the approval in Sallyport, or ask your platform team.',
  }),
}

const sessionOver: Denial = {
  kind: 'denial',
  cause: 'unavailable',
  rule: 'session-over',
  message: 'the session has ended',
  hint: 'Connect again.',
}

/** Who has to approve, in a form that can be compared. */
function requirementsOf(decision: Decision): string {
  return JSON.stringify(decision.hold?.requirements)
}

function denied(decision: Decision): Denial {
  return { kind: 'denial', cause: 'denied', rule: decision.rule, message: decision.reason, hint: decision.hint }
}

const notExecuted = 'Nothing was executed.'
const spoolHints: Readonly<Record<SpoolError['code'], string>> = {
  full: `${notExecuted} Try again when the control plane can be reached and takes records, or the agent's disk has room; tell your platform team if it lasts.`,
  unwritable: `${notExecuted} Tell your platform team: the disk of the agent's spool has failed, and the agent has to be started again on a sound one.`,
  too_large: `${notExecuted} Make the command smaller.`,
  closed: `${notExecuted} Connect again in a moment.`,
  behind: `${notExecuted} Tell your platform team: the agent has to be revoked and enrolled again.`,
}

/** @param backlog milliseconds since which the control plane has acknowledged nothing of what waits */
function auditUnavailable(error: unknown, backlog: number): Denial {
  const known = error instanceof SpoolError
  const seconds = Math.round(backlog / 1000)
  const why = known ? error.message : `the control plane could not make the audit record durable${seconds > 1 ? `: it has not acknowledged for ${seconds} s` : ''}`
  return {
    kind: 'denial',
    cause: 'unavailable',
    rule: 'audit-unavailable',
    message: `nothing runs unrecorded: ${why}`,
    hint: known ? spoolHints[error.code] : `${notExecuted} Try again when the control plane can be reached and its database takes records; tell your platform team if it lasts.`,
  }
}

function lacksRoom(error: unknown): boolean {
  return error instanceof SpoolError && error.code === 'full'
}

function endOfHold(over: AbortSignal, session: AbortSignal, client: AbortSignal | undefined, error: unknown): Pick<Denial, 'cause' | 'message' | 'hint'> {
  if (session.aborted) return { cause: 'unavailable', message: 'the session ended while the command waited', hint: 'Nothing was executed. Connect again.' }
  if (client?.aborted) return { cause: 'cancelled', message: 'cancelled while waiting for approval', hint: 'Nothing was executed.' }
  if (over.aborted) return { cause: 'expired', message: 'nobody approved in time', hint: 'Nothing was executed. Run the command again when a reviewer is available.' }
  const why = error instanceof SpoolError ? error.message : 'the control plane can not be reached'
  return { cause: 'unavailable', message: `no approval can be had: ${why}`, hint: 'Nothing was executed. Try again later.' }
}

/** Settles like the promise, or rejects as soon as the signal aborts; leaves no listener behind. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    promise.catch(() => undefined)
    return Promise.reject(new Error('aborted'))
  }
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(new Error('aborted'))
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(
      (value) => {
        signal.removeEventListener('abort', onAbort)
        resolve(value)
      },
      (error: unknown) => {
        signal.removeEventListener('abort', onAbort)
        reject(error instanceof Error ? error : new Error(String(error)))
      },
    )
  })
}
