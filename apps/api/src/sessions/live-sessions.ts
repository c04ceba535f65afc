import { setTimeout } from 'node:timers/promises'
import { Injectable, Logger } from '@nestjs/common'
import { jwsType, type KillPayload } from '@sallyport/kit'
import { EventsService } from '../audit/events.service.js'
import { KeysService } from '../keys/keys.service.js'
import { LinkRegistry } from '../nodes/link-registry.js'
import { NotifyService } from '../notify/notify.service.js'
import { GrantRefresher } from './grant-refresher.js'
import { SessionsRepository } from './sessions.repository.js'
import { SessionsService, type SessionRow, type SessionSelection } from './sessions.service.js'

const channel = 'sallyport_kill'
const maxReasonLength = 300
const maxByLength = 200
const recordedMilliseconds = 500
/** What is recorded when nobody can say in time what stands for a name. */
const unnamed = 'ended by the control plane'

interface Kill {
  readonly session: string
  readonly agent: string
  readonly gateway: string
  readonly reason: string
  /** As the agent is to record it. */
  readonly recorded: string
}

/** Ends live sessions, on every gateway and agent of every replica, and keeps their grants current. */
@Injectable()
export class LiveSessions extends SessionsService {
  readonly #log = new Logger(LiveSessions.name)

  constructor(
    private readonly repository: SessionsRepository,
    private readonly events: EventsService,
    private readonly registry: LinkRegistry,
    private readonly keys: KeysService,
    private readonly notify: NotifyService,
    private readonly refresher: GrantRefresher,
  ) {
    super()
    notify.subscribe(channel, (payload) => {
      const kill: Kill = JSON.parse(payload)
      void this.#signal(kill)
    })
  }

  override async get(id: string): Promise<SessionRow | undefined> {
    return (await this.repository.find(id)) ?? undefined
  }

  override async kill(id: string, reason: string, by: string): Promise<void> {
    const session = await this.repository.find(id)
    if (session) await this.#kill(session, reason, by)
  }

  override async killWhere(selection: SessionSelection, reason: string, by: string): Promise<number> {
    const sessions = await this.repository.liveSessions(new Date(), selection)
    await this.#killAll(sessions, reason, by)
    return sessions.length
  }

  override async refreshGrants(): Promise<void> {
    const sessions = await this.repository.liveSessions(new Date())
    await inTens(sessions, async (session) => {
      const gone = await this.refresher.refresh(session)
      if (gone !== undefined) await this.#kill(session, gone, 'policy')
    })
  }

  override async markEnded(id: string, reason: string, commands: number): Promise<void> {
    await this.repository.markEnded(id, reason.slice(0, maxReasonLength), commands, new Date())
  }

  async #killAll(sessions: readonly SessionRow[], reason: string, by: string): Promise<void> {
    await inTens(sessions, (session) => this.#kill(session, reason, by))
  }

  /** Signals first what can be signalled from memory: a database in trouble must not keep a session alive. */
  async #kill(session: SessionRow, reason: string, by: string): Promise<void> {
    if (session.endedAt) return
    const why = reason.slice(0, maxReasonLength)
    const kill: Kill = { session: session.id, agent: session.agentId, gateway: session.gatewayId, reason: why, recorded: await this.#recorded(session, why) }
    // Marked as killed before the agent can ask for a new lease.
    const marked = this.#record(session.id, why, by.slice(0, maxByLength))
    await Promise.allSettled([this.#signal(kill), this.notify.publish(channel, JSON.stringify(kill))])
    await marked
  }

  async #record(id: string, reason: string, by: string): Promise<void> {
    const first = await this.repository.transaction(async (tx) => {
      if (!(await this.repository.markKilled(tx, id, reason, new Date()))) return false
      await this.events.appendWithin(tx, [{ kind: 'session.killed', session: id, by, reason }])
      return true
    })
    if (first) this.#log.log({ message: 'session killed', session_id: id })
  }

  /** The reason without the person's names. A database in trouble must not keep a session alive. */
  async #recorded(session: SessionRow, reason: string): Promise<string> {
    return Promise.race([this.events.recordedReason(session, reason).catch(() => unnamed), setTimeout(recordedMilliseconds, unnamed, { ref: false })])
  }

  /** To the agent through every gateway that it is on, and to the session's gateway, which closes the client's side. */
  async #signal(kill: Kill): Promise<void> {
    try {
      this.registry.gateway(kill.gateway)?.killSession(kill.session, kill.reason)
      const payload: KillPayload = { agent: kill.agent, sid: kill.session, reason: kill.reason, recorded: kill.recorded }
      this.registry.broadcastToAgent(kill.agent, await this.keys.sign(jwsType.kill, payload))
    } catch (error) {
      this.#log.warn({ message: 'a kill could not be signalled', session_id: kill.session, error: error instanceof Error ? error.name : '' })
    }
  }
}

/** Ten at a time: bounded load on the database; every one is tried, and the first failure is thrown at the end. */
async function inTens<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  let failure: unknown
  for (let i = 0; i < items.length; i += 10) {
    const results = await Promise.allSettled(items.slice(i, i + 10).map(run))
    failure ??= results.find((result) => result.status === 'rejected')?.reason
  }
  if (failure !== undefined) throw failure instanceof Error ? failure : new Error('an operation on a live session failed')
}
