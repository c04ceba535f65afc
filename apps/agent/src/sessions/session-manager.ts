import {
  SessionGuard,
  SpoolError,
  verifyGrant,
  GrantError,
  type ApprovalDesk,
  type ByteChannel,
  type ChannelError,
  type CredentialResolver,
  type PinnedKeys,
  type SessionEnd,
  type Spool,
  type VerifiedGrant,
} from '@sallyport/kit'
import type { Logger } from '@sallyport/telemetry'
import type { RegisteredEngine } from '../protocols.js'

/** A channel that a gateway opened, with what it said about it. */
export interface OpenedChannel {
  readonly sessionId: string
  readonly grant: string
  readonly parameters: Readonly<Record<string, string>>
  readonly channel: ByteChannel
  /** Registers the handler of the front's out-of-band signals. */
  onSignal(handler: (payload: Buffer) => void): void
}

export interface SessionManagerOptions {
  readonly agentId: string
  readonly keys: PinnedKeys
  readonly engines: ReadonlyMap<string, RegisteredEngine>
  readonly spool: Spool
  /** Resolves once the control plane has acknowledged a record since this process started. */
  readonly recordAgreed: Promise<void>
  readonly approvals: ApprovalDesk
  readonly credentials: CredentialResolver
  /** Decrypts a grant's mask key. */
  readonly decrypt: (jwe: string) => Promise<Uint8Array>
  readonly log: Logger
  readonly maxSessions: number
  /** How long a command waits for its record to be durable, or for room in the spool. */
  readonly auditWaitMilliseconds: number
  /** Seconds since the epoch. */
  readonly now?: () => number
  /** Seconds that no setting of the clock changes. */
  readonly steady?: () => number
}

/** Longer than any first lease: after it the grant has expired by itself. */
const overtakenSeconds = 2 * 3600

/** How long a session may wait for the agent's first word with the control plane. */
const agreeMilliseconds = 5000

interface LiveSession {
  readonly guard: SessionGuard
  readonly controller: AbortController
  /** End of the lease, by the steady clock. */
  lease: number
  /** Length of a lease, and when a new one was last asked for; seconds. */
  readonly leaseLength: number
  askedAt: number
  /** End of the session's life, by the steady clock. */
  exp: number
}

/** Sessions of this agent: verifies each grant, hands it to the engine, and ends it when its grant says so. */
export class SessionManager {
  readonly #o: SessionManagerOptions
  readonly #now: () => number
  readonly #steady: () => number
  readonly #startedAt: number
  readonly #live = new Map<string, LiveSession>()
  /** Grants that were used, until they expire: each is good for one session. */
  readonly #used = new Map<string, number>()
  /** Sessions killed or regranted before they began: a gateway may hold their first grant back, and show it later. */
  readonly #overtaken = new Map<string, number>()
  readonly #timer: NodeJS.Timeout
  #draining = false
  #whenEmpty: (() => void) | undefined

  constructor(options: SessionManagerOptions) {
    this.#o = options
    this.#now = options.now ?? (() => Date.now() / 1000)
    this.#steady = options.steady ?? (() => performance.now() / 1000)
    this.#startedAt = Math.floor(this.#now())
    this.#timer = setInterval(() => this.#expire(), 500).unref()
  }

  get size(): number {
    return this.#live.size
  }

  get strict(): boolean {
    for (const { guard } of this.#live.values()) if (guard.audit === 'strict') return true
    return false
  }

  /** Sessions whose lease is to be renewed now: from a third of it on, again after each sixth. */
  dueForRenewal(): string[] {
    const now = this.#steady()
    const due: string[] = []
    for (const [sid, session] of this.#live) {
      if (session.lease - now > (session.leaseLength * 2) / 3 || now - session.askedAt < session.leaseLength / 6) continue
      session.askedAt = now
      due.push(sid)
    }
    return due
  }

  /** Serves a channel to its end. Never rejects. */
  async open(opened: OpenedChannel): Promise<void> {
    const refuse = (code: string, message: string, hint: string): void => opened.channel.close({ code, message, hint })
    if (this.#draining) return refuse('AGENT_STOPPING', 'the agent of this target is stopping', 'Connect again in a moment.')
    if (this.#live.size >= this.#o.maxSessions) return refuse('TOO_MANY_SESSIONS', 'the agent serves as many sessions as it may', 'Try again later.')
    try {
      if (!(await this.#recordAgreed())) return refuse('UNAVAILABLE', "the agent has just started and the control plane has not confirmed its record yet", 'Try again in a moment.')
      const grant = await this.#verify(opened)
      const registered = this.#o.engines.get(grant.payload.target.protocol)
      if (!registered) return refuse('PROTOCOL_UNKNOWN', `the agent does not speak ${grant.payload.target.protocol}`, 'Upgrade the agent.')
      const maskKey = grant.payload.mask_key === undefined ? undefined : await this.#o.decrypt(grant.payload.mask_key)
      await this.#serve(opened, grant, registered, maskKey)
    } catch (error) {
      const known: ChannelError =
        error instanceof GrantError
          ? { code: 'GRANT_REFUSED', message: `the agent refused the grant: ${error.message}`, hint: 'Connect again; if it lasts, tell your platform team.' }
          : error instanceof SpoolError
            ? { code: 'UNAVAILABLE', message: `no session without its record: ${error.message}`, hint: 'Try again later; tell your platform team if it lasts.' }
            : { code: 'INTERNAL', message: 'internal error in the agent', hint: 'Tell your platform team.' }
      this.#o.log.warn({ code: known.code, error_name: error instanceof Error ? error.name : 'unknown' }, 'session refused')
      opened.channel.close(known)
    }
  }

  /** No session before it is known that what this spool records will not be taken for something older. */
  #recordAgreed(): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), agreeMilliseconds)
      void this.#o.recordAgreed.then(() => {
        clearTimeout(timer)
        resolve(true)
      })
    })
  }

  async #verify(opened: OpenedChannel): Promise<VerifiedGrant> {
    const grant = await verifyGrant(opened.grant, this.#o.keys, this.#o.agentId, this.#now())
    const { sid, iat, exp, version } = grant.payload
    if (sid !== opened.sessionId) throw new GrantError('the grant is for another session')
    if (version !== 1) throw new GrantError('the grant is an update, not the start of a session')
    // What was used before a restart isn't remembered, so that nothing from before it is taken.
    if (iat < this.#startedAt - 1) throw new GrantError('the grant is older than this agent process')
    if (this.#used.has(sid)) throw new GrantError('the grant was used before')
    this.#used.set(sid, this.#until(exp, exp - iat))
    return grant
  }

  async #serve(opened: OpenedChannel, grant: VerifiedGrant, registered: RegisteredEngine, maskKey: Uint8Array | undefined): Promise<void> {
    const { sid, terms, exp, lease, iat } = grant.payload
    const leaseLength = lease - iat
    const controller = new AbortController()
    const guard = new SessionGuard({
      grant,
      actions: registered.actions,
      withoutValues: registered.withoutValues,
      spool: this.#o.spool,
      approvals: this.#o.approvals,
      signal: controller.signal,
      durableMilliseconds: this.#o.auditWaitMilliseconds,
      ...(maskKey ? { maskKey } : {}),
      onGap: (reason) => this.#o.log.error({ session: sid, error_code: reason }, 'a best_effort session goes on unrecorded'),
    })
    // Also what came while the mask key was decrypted.
    if (this.#overtaken.has(sid)) throw new GrantError('the session was ended, or its policy changed, before it began')
    this.#o.spool.append({ kind: 'session.start', session: sid, ...(terms.audit === 'best_effort' ? { audit: 'best_effort' as const } : {}), parameters: shownParameters(opened.parameters) })
    this.#live.set(sid, { guard, controller, lease: this.#until(lease, leaseLength), leaseLength, askedAt: -Infinity, exp: this.#until(exp, exp - iat) })
    let end: SessionEnd
    try {
      end = await registered.engine.serve({
        grant,
        parameters: opened.parameters,
        client: opened.channel,
        guard,
        credentials: this.#o.credentials,
        signal: controller.signal,
        onSignal: (handler) => opened.onSignal(handler),
        log: this.#o.log.child({ session: sid }),
      })
    } finally {
      this.#live.delete(sid)
      if (this.#live.size === 0) this.#whenEmpty?.()
    }
    controller.abort(end)
    guard.close()
    try {
      this.#o.spool.appendClosing({ kind: 'session.end', session: sid, reason: end.reason, ...(end.detail === undefined ? {} : { detail: end.detail }), commands: guard.commands })
    } catch {
      // The spool refuses; the control plane closes the session in its own record when the lease is over.
      this.#o.log.warn({ session: sid }, 'end of session could not be recorded')
    }
  }

  /** A grant update: rules and masks of a live session change at once. */
  async update(jws: string): Promise<void> {
    try {
      const grant = await verifyGrant(jws, this.#o.keys, this.#o.agentId, this.#now())
      const session = this.#live.get(grant.payload.sid)
      if (!session) return this.#overtake(grant.payload.sid)
      const maskKey = grant.payload.mask_key === undefined ? undefined : await this.#o.decrypt(grant.payload.mask_key)
      if (!session.guard.update(grant, maskKey)) return
      session.exp = Math.min(session.exp, this.#until(grant.payload.exp, grant.payload.exp - grant.payload.iat))
    } catch (error) {
      this.#o.log.warn({ error_name: error instanceof Error ? error.name : 'unknown' }, 'grant update refused')
    }
  }

  /**
   * Takes a new lease for those sessions whose grant is the current one.
   * @param versions of the grants that the lease is for, in the order of `sids`
   */
  renew(sids: readonly string[], exp: number, versions: readonly number[]): void {
    for (const [i, sid] of sids.entries()) {
      const session = this.#live.get(sid)
      if (!session) continue
      // A gateway that withholds a narrower grant must not keep the wider one alive: the session ends with its lease.
      if (session.guard.grantVersion < (versions[i] ?? Infinity)) this.#o.log.warn({ session: sid }, 'no new lease: a newer grant has not arrived')
      else session.lease = Math.max(session.lease, this.#until(exp, session.leaseLength))
    }
  }

  /** @param recorded the reason as it stands in the log */
  kill(sid: string, reason: string, recorded = reason): void {
    if (!this.#live.has(sid)) this.#overtake(sid)
    this.#end(sid, { reason: 'killed', detail: recorded, message: `Sallyport: the session was ended: ${reason}`, hint: 'Ask your platform team, or connect again with a valid credential.' })
  }

  /** Takes no new session, waits for the live ones, then ends what is left. */
  async drain(milliseconds: number): Promise<void> {
    this.#draining = true
    if (this.#live.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, milliseconds)
        this.#whenEmpty = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    const left = [...this.#live.keys()]
    for (const sid of left) this.#end(sid, { reason: 'agent_stopped', message: 'Sallyport: the agent is stopping', hint: 'Connect again in a moment.' })
    clearInterval(this.#timer)
    if (left.length > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 3000)
        this.#whenEmpty = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  #overtake(sid: string): void {
    this.#overtaken.set(sid, this.#steady() + overtakenSeconds)
  }

  #end(sid: string, end: SessionEnd): void {
    this.#live.get(sid)?.controller.abort(end)
  }

  /** A time that the control plane named, by the steady clock: one that is set back later must not prolong what ends then. */
  #until(at: number, longest: number): number {
    return this.#steady() + Math.min(at - this.#now(), longest)
  }

  #expire(): void {
    const now = this.#steady()
    for (const [sid, session] of this.#live) {
      if (session.exp <= now) this.#end(sid, { reason: 'ttl_expired', message: 'Sallyport: the session has reached its time limit', hint: 'Connect again.' })
      else if (session.lease <= now) {
        this.#end(sid, { reason: 'lease_expired', message: 'Sallyport: the control plane can not be reached, and the session may not go on without it', hint: 'Connect again later.' })
      }
    }
    for (const [sid, exp] of this.#used) if (exp <= now) this.#used.delete(sid)
    for (const [sid, until] of this.#overtaken) if (until <= now) this.#overtaken.delete(sid)
  }
}

/** Start-up facts that stand in the record. */
function shownParameters(parameters: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(parameters).slice(0, 50).map(([name, value]) => [name.slice(0, 64), value.slice(0, 256)]))
}
