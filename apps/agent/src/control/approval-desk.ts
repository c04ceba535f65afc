import type { ApprovalAsk, ApprovalDecisionPayload, ApprovalDesk, HeldPayload, PendingApproval } from '@sallyport/kit'
import type { ControlLink } from './control-link.js'

/** The control plane must confirm that it has stored the hold within this time. */
const confirmMilliseconds = 10_000
/** Without a confirmation by then it is asked again by another gateway: the first may withhold it. */
const askAgainMilliseconds = 2_500

interface Entry {
  readonly ask: ApprovalAsk
  readonly held: PromiseWithResolvers<HeldPayload>
  readonly decided: PromiseWithResolvers<ApprovalDecisionPayload>
  confirmed: boolean
  readonly timer: NodeJS.Timeout
  readonly again: NodeJS.Timeout
}

/** Holds that wait for people, by session and command. Each decision is taken once. */
export class RemoteApprovalDesk implements ApprovalDesk {
  readonly #entries = new Map<string, Entry>()

  constructor(readonly link: ControlLink) {}

  get size(): number {
    return this.#entries.size
  }

  request(ask: ApprovalAsk): PendingApproval {
    const key = keyOf(ask.session, String(ask.command))
    const held = Promise.withResolvers<HeldPayload>()
    const decided = Promise.withResolvers<ApprovalDecisionPayload>()
    // Whoever asked may stop listening before an answer comes.
    held.promise.catch(() => undefined)
    decided.promise.catch(() => undefined)
    const fail = (): void => {
      clearInterval(again)
      this.#entries.delete(key)
      held.reject(new Error('the control plane did not confirm the approval request'))
      decided.reject(new Error('the control plane did not confirm the approval request'))
    }
    const timer = setTimeout(fail, confirmMilliseconds)
    const again = setInterval(() => {
      this.link.rotate()
      this.#send(ask)
    }, askAgainMilliseconds)
    this.#entries.set(key, { ask, held, decided, confirmed: false, timer, again })
    if (!this.#send(ask)) {
      clearTimeout(timer)
      fail()
    }
    return { held: held.promise, decided: decided.promise, cancel: (reason) => this.#cancel(key, ask, reason) }
  }

  /** A relay came up: what isn't decided yet is asked again. The control plane knows each by session and command. */
  resend(): void {
    for (const entry of this.#entries.values()) this.#send(entry.ask)
  }

  held(payload: HeldPayload): void {
    const entry = this.#entries.get(keyOf(payload.sid, payload.command))
    if (!entry || payload.digest !== entry.ask.digest) return
    stopTimers(entry)
    entry.confirmed = true
    entry.held.resolve(payload)
  }

  decided(payload: ApprovalDecisionPayload): void {
    const key = keyOf(payload.sid, payload.command)
    const entry = this.#entries.get(key)
    if (!entry || payload.digest !== entry.ask.digest) return
    this.#entries.delete(key)
    stopTimers(entry)
    // A refusal can come without a hold having been stored.
    entry.held.resolve({ agent: payload.agent, sid: payload.sid, command: payload.command, approval: payload.approval, digest: payload.digest, groups: [], exp: payload.exp })
    entry.decided.resolve(payload)
  }

  #cancel(key: string, ask: ApprovalAsk, reason: string): void {
    const entry = this.#entries.get(key)
    if (!entry) return
    this.#entries.delete(key)
    stopTimers(entry)
    this.link.sendByAll({ approvalCancel: { sessionId: ask.session, commandId: String(ask.command), reason } })
  }

  #send(ask: ApprovalAsk): boolean {
    return this.link.send({
      approvalRequest: {
        sessionId: ask.session,
        commandId: String(ask.command),
        digest: ask.digest,
        commandJson: JSON.stringify(ask.content),
        holdJson: JSON.stringify({ ...ask.hold, ...(ask.forgetParameters ? { forget_parameters: true } : {}), ...(ask.recorded === undefined ? {} : { recorded: ask.recorded }) }),
      },
    })
  }
}

function stopTimers(entry: Entry): void {
  clearTimeout(entry.timer)
  clearInterval(entry.again)
}

function keyOf(session: string, command: string): string {
  return `${session}/${command}`
}
