import { compileMasks, compileRules, type ActionTree, type CompiledMasks, type CompiledRules, type Decision } from '@sallyport/policy'
import type { ApprovalDesk } from './approvals.js'
import { commandDigest, type Command, type CommandScope } from './command.js'
import type { CommandReleasedEvent } from './event.js'
import type { ApprovalDecisionPayload, GrantPayload } from './grant.js'
import type { CommandResult, Denial, Guard, Hold, RecordedPiece, Refusal, SubmitOptions } from './guard.js'
import { mintClearance, mintPermit, type Clearance, type Permit } from './permit.js'
import { encodeChunks, makePayload } from './recording/payload.js'
import type { Spool } from './spool/spool.js'
import type { Receipt } from './spool/receipt.js'
import type { VerifiedGrant } from './verified-grant.js'

export interface SessionGuardOptions {
  readonly grant: VerifiedGrant
  readonly actions: ActionTree
  readonly spool: Pick<Spool, 'append' | 'appendClosing' | 'durable'>
  readonly approvals: ApprovalDesk
  /** Key of keyed-hash masks, from the grant. */
  readonly maskKey?: Uint8Array
  /** Ends every hold when the session ends. */
  readonly signal: AbortSignal
  /** Strict sessions wait this long for the control plane. */
  readonly durableMilliseconds?: number
  /** Text of a command kept in its event. */
  readonly maxTextBytes?: number
}

const defaults = { durableMilliseconds: 10_000, maxTextBytes: 64 * 1024, maxParameterBytes: 4 * 1024 }
const longestHoldSeconds = 24 * 3600

/** The one implementation of {@link Guard}: decide → record → (hold) → permit, and every failure on the way denies. */
export class SessionGuard implements Guard {
  readonly #spool: SessionGuardOptions['spool']
  readonly #approvals: ApprovalDesk
  readonly #actions: ActionTree
  readonly #signal: AbortSignal
  readonly #durableMilliseconds: number
  readonly #maxTextBytes: number
  readonly #scope: CommandScope
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
    this.#grant = options.grant.payload
    this.#rules = compileRules(this.#grant.rules, this.#actions)
    this.#maskKey = options.maskKey
    this.#masks = compileMasks(this.#grant.masks, this.#maskKey)
    this.#scope = { session: this.#grant.sid, target: this.#grant.target.id, identity: this.#grant.identity.id }
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
    return this.#grant.terms.record_terminal_bytes
  }

  get recordInput(): boolean {
    return this.#grant.terms.record_input
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
    const decision = this.recheck(command)
    const ordinal = ++this.#ordinal
    const digest = decision.verdict === 'hold' ? commandDigest(command, this.#scope) : undefined
    let receipt: Receipt
    try {
      receipt = this.#record(command, ordinal, decision, digest)
    } catch (error) {
      return auditUnavailable(error)
    }
    if (decision.verdict === 'deny') return denied(decision)
    if (decision.verdict === 'hold' && digest !== undefined) return this.#hold(command, ordinal, decision, digest, receipt, options.hold?.())
    if (decision.verdict !== 'allow') return denied(decision)
    if (this.#grant.terms.audit !== 'strict') return mintPermit(ordinal, command, this.#grant.version, process.hrtime.bigint())
    return this.#permitWhenDurable(command, ordinal, receipt)
  }

  clear(command: Command): Clearance | Denial {
    if (this.#signal.aborted) return sessionOver
    const decision = this.recheck(command)
    if (decision.verdict !== 'deny') return mintClearance(command)
    try {
      this.#record(command, ++this.#ordinal, decision, undefined)
    } catch (error) {
      return auditUnavailable(error)
    }
    return denied(decision)
  }

  refuse(command: Command, refusal: Refusal): Denial {
    if (this.#signal.aborted) return sessionOver
    const decision: Decision = { verdict: 'deny', rule: refusal.rule, reason: refusal.message, hint: refusal.hint }
    try {
      this.#record(command, ++this.#ordinal, decision, undefined)
    } catch (error) {
      return auditUnavailable(error)
    }
    return denied(decision)
  }

  record(permit: Permit, piece: RecordedPiece): void {
    // Not as a closing record: the room kept for those must not fill up with output.
    const { first, chunks, ...ends } = piece
    const { facts, payload } = encodeChunks(chunks)
    this.#spool.append({ kind: 'recording', session: this.#scope.session, command: permit.ordinal, first, ...facts, ...ends }, payload)
  }

  finish(permit: Permit, result: CommandResult): Promise<void> | undefined {
    const { result: preview, ...rest } = result
    const made = preview === undefined ? undefined : makePayload(JSON.stringify(preview))
    const event = {
      kind: 'command.end' as const,
      session: this.#scope.session,
      command: permit.ordinal,
      duration_us: Number((process.hrtime.bigint() - permit.startedAt) / 1000n),
      ...rest,
      ...(made === undefined ? {} : { result_bytes: made.facts.bytes, result_sha256: made.facts.sha256 }),
    }
    const receipt = this.#spool.appendClosing(event, made?.payload)
    return this.#grant.terms.audit === 'strict' ? this.#durable(receipt) : undefined
  }

  #record(command: Command, ordinal: number, decision: Decision, digest: string | undefined): Receipt {
    // Conservative: a character is at most 4 bytes, so a short text needs no measuring.
    const cut = command.text.length * 4 > this.#maxTextBytes && Buffer.byteLength(command.text) > this.#maxTextBytes
    return this.#spool.append({
      kind: 'command',
      session: this.#scope.session,
      command: ordinal,
      text: cut ? command.text.slice(0, this.#maxTextBytes / 4) : command.text,
      ...(cut ? { text_truncated: true as const } : {}),
      ...(command.parameters ? { parameters: command.parameters.map(capParameter) } : {}),
      ...(digest === undefined ? {} : { digest }),
      effects: command.effects,
      decision,
      ...(command.facts ? { facts: command.facts } : {}),
    })
  }

  async #permitWhenDurable(command: Command, ordinal: number, receipt: Receipt): Promise<Permit | Denial> {
    try {
      await this.#durable(receipt)
    } catch (error) {
      return auditUnavailable(error)
    }
    if (this.#signal.aborted) return sessionOver
    // The grant may have changed during the wait: what counts is what is allowed when the command goes out.
    const again = this.recheck(command)
    if (again.verdict !== 'allow') return denied(again)
    return mintPermit(ordinal, command, this.#grant.version, process.hrtime.bigint())
  }

  async #hold(command: Command, ordinal: number, decision: Decision, digest: string, receipt: Receipt, waiting: Hold | undefined): Promise<Permit | Denial> {
    try {
      return await this.#wait(command, ordinal, decision, digest, receipt, waiting)
    } finally {
      waiting?.release()
    }
  }

  async #wait(command: Command, ordinal: number, decision: Decision, digest: string, receipt: Receipt, waiting: Hold | undefined): Promise<Permit | Denial> {
    const hold = decision.hold
    if (!hold) return denied(decision)
    const seconds = Math.min(hold.timeout_seconds, longestHoldSeconds)
    const signals = [this.#signal, AbortSignal.timeout(seconds * 1000)]
    if (waiting) signals.push(waiting.signal)
    const over = AbortSignal.any(signals)
    if (this.#grant.terms.audit === 'strict') {
      try {
        await this.#durable(receipt)
      } catch (error) {
        return auditUnavailable(error)
      }
    }
    const pending = this.#approvals.request({ session: this.#scope.session, command: ordinal, digest, content: command, hold })
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
      return await this.#release(command, ordinal, decision, digest, decided)
    } catch (error) {
      const ending = endOfHold(over, this.#signal, waiting?.signal, error)
      pending.cancel(ending.cause)
      this.#released(ordinal, approval, ending.cause === 'expired' ? 'expired' : ending.cause === 'cancelled' ? 'cancelled' : 'refused', [], ending.message)
      return { kind: 'denial', rule: decision.rule, ...ending }
    }
  }

  async #release(command: Command, ordinal: number, decision: Decision, digest: string, decided: ApprovalDecisionPayload): Promise<Permit | Denial> {
    const rule = decision.rule
    const now = Math.floor(Date.now() / 1000)
    const bound = decided.sid === this.#scope.session && decided.command === String(ordinal) && decided.digest === digest
    if (!bound || decided.exp < now) {
      const message = bound ? 'the approval came too late' : 'the approval is not for this command'
      this.#released(ordinal, decided.approval, 'refused', decided.reviewers, message)
      return { kind: 'denial', cause: 'refused', rule, message, hint: 'Run the command again to ask for a new approval.' }
    }
    if (decided.verdict !== 'approved') {
      this.#released(ordinal, decided.approval, decided.verdict, decided.reviewers, decided.reason)
      return { kind: 'denial', rule, ...refusalText[decided.verdict](decided) }
    }
    // A policy that denies by now wins over an approval that was given under the older one.
    const again = this.recheck(command)
    if (again.verdict === 'deny') {
      this.#released(ordinal, decided.approval, 'refused', decided.reviewers, again.reason)
      return denied(again)
    }
    // Nor may an approval by the people asked then stand for those that the policy asks now.
    if (again.verdict === 'hold' && requirementsOf(again) !== requirementsOf(decision)) {
      const message = 'the policy changed while the command waited: other people must approve it now'
      this.#released(ordinal, decided.approval, 'refused', decided.reviewers, message)
      return { kind: 'denial', cause: 'refused', rule: again.rule, message, hint: 'Run the command again to ask for a new approval.' }
    }
    const receipt = this.#released(ordinal, decided.approval, 'approved', decided.reviewers, decided.reason)
    if (receipt === undefined) return auditUnavailable(undefined)
    if (this.#grant.terms.audit === 'strict') {
      try {
        await this.#durable(receipt)
      } catch (error) {
        return auditUnavailable(error)
      }
    }
    if (this.#signal.aborted) return sessionOver
    const last = this.recheck(command)
    if (last.verdict === 'deny') return denied(last)
    return mintPermit(ordinal, command, this.#grant.version, process.hrtime.bigint(), requirementsOf(decision))
  }

  #released(ordinal: number, approval: string | undefined, verdict: CommandReleasedEvent['verdict'], reviewers: readonly string[], reason: string): Receipt | undefined {
    try {
      return this.#spool.append({
        kind: 'command.released',
        session: this.#scope.session,
        command: ordinal,
        ...(approval === undefined ? {} : { approval }),
        verdict,
        reviewers,
        reason,
      })
    } catch {
      // Denied either way; an approval that can't be recorded does not permit.
      return undefined
    }
  }

  #durable(receipt: Receipt): Promise<void> {
    return abortable(this.#spool.durable(receipt), AbortSignal.timeout(this.#durableMilliseconds))
  }
}

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
    hint: 'See the approval in Sallyport, or ask your platform team.',
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

function auditUnavailable(error: unknown): Denial {
  const why = error instanceof Error && error.name === 'SpoolError' ? error.message : 'the audit record could not be made durable'
  return {
    kind: 'denial',
    cause: 'unavailable',
    rule: 'audit-unavailable',
    message: `nothing runs unrecorded: ${why}`,
    hint: 'Nothing was executed. Try again later; tell your platform team if it lasts.',
  }
}

function endOfHold(over: AbortSignal, session: AbortSignal, client: AbortSignal | undefined, error: unknown): Pick<Denial, 'cause' | 'message' | 'hint'> {
  if (session.aborted) return { cause: 'unavailable', message: 'the session ended while the command waited', hint: 'Nothing was executed. Connect again.' }
  if (client?.aborted) return { cause: 'cancelled', message: 'cancelled while waiting for approval', hint: 'Nothing was executed.' }
  if (over.aborted) return { cause: 'expired', message: 'nobody approved in time', hint: 'Nothing was executed. Run the command again when a reviewer is available.' }
  const why = error instanceof Error && error.name === 'SpoolError' ? error.message : 'the control plane can not be reached'
  return { cause: 'unavailable', message: `no approval can be had: ${why}`, hint: 'Nothing was executed. Try again later.' }
}

function capParameter(value: string | null): string | null {
  return value !== null && value.length > defaults.maxParameterBytes ? `${value.slice(0, defaults.maxParameterBytes)}…` : value
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
