import { Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common'
import { jwsType, type KillPayload, type LeasePayload } from '@sallyport/kit'
import { EventsService } from '../audit/events.service.js'
import { KeysService } from '../keys/keys.service.js'
import { isUuid } from '../nodes/enrolment.service.js'
import { SessionsConfig } from './sessions.config.js'
import { SessionsRepository } from './sessions.repository.js'

/** How long after its lease a silent agent's session is given up. */
const graceMilliseconds = 30_000
const sweepMilliseconds = 5_000
const sweepSize = 200
const maxSessionsPerRequest = 10_000

/** Sessions live from lease to lease; those whose agent fell silent are closed in the books. */
@Injectable()
export class LeasesService implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #log = new Logger(LeasesService.name)
  readonly #startedAt = Date.now()
  #timer: NodeJS.Timeout | undefined
  #sweeping = false

  constructor(
    private readonly repository: SessionsRepository,
    private readonly keys: KeysService,
    private readonly events: EventsService,
    private readonly config: SessionsConfig,
  ) {}

  onApplicationBootstrap(): void {
    this.#timer = setInterval(() => {
      if (this.#sweeping || Date.now() - this.#startedAt < this.#patienceMilliseconds) return
      this.#sweeping = true
      this.sweep(new Date())
        .catch(() => this.#log.warn({ message: 'lost sessions could not be swept' }))
        .finally(() => (this.#sweeping = false))
    }, sweepMilliseconds)
    this.#timer.unref()
  }

  onApplicationShutdown(): void {
    clearInterval(this.#timer)
  }

  /** Answers an agent's request: one lease for what lives and is its own, a kill for each of the others. Compact JWSs. */
  async renew(agentId: string, sessionIds: readonly string[]): Promise<string[]> {
    const asked = [...new Set(sessionIds.slice(0, maxSessionsPerRequest))].filter(isUuid)
    const now = new Date()
    const until = new Date(now.getTime() + this.config.leaseSeconds * 1000)
    const renewed = await this.repository.renewLeases(agentId, asked, until, now)
    const answers: Promise<string>[] = []
    if (renewed.size > 0) {
      const lease: LeasePayload = { agent: agentId, sids: [...renewed.keys()], versions: [...renewed.values()], exp: Math.floor(until.getTime() / 1000) }
      answers.push(this.keys.sign(jwsType.lease, lease))
    }
    for (const sid of asked) {
      if (renewed.has(sid)) continue
      const kill: KillPayload = { agent: agentId, sid, reason: 'the session is not live in the control plane' }
      answers.push(this.keys.sign(jwsType.kill, kill))
    }
    return Promise.all(answers)
  }

  /** The gateway's word alone ends nothing: the agent's end, or its silence, does. */
  async gatewayClosed(sessionId: string, gatewayId: string): Promise<void> {
    if (isUuid(sessionId)) await this.repository.shortenLease(sessionId, gatewayId, new Date())
  }

  /** Closes what was lost. Safe on several replicas at once. */
  async sweep(now: Date): Promise<number> {
    return this.repository.transaction(async (tx) => {
      const lost = await this.repository.takeLost(tx, new Date(now.getTime() - graceMilliseconds), now, sweepSize)
      const events = lost.map(({ id, reason }) => ({
        kind: 'session.lost' as const,
        session: id,
        reason: reason === 'lost' ? 'the agent neither renewed its lease nor told the end' : `the agent never confirmed the end (${reason})`,
      }))
      if (events.length > 0) await this.events.appendWithin(tx, events)
      return lost.length
    })
  }

  /** After a start, agents get the time to come back before anything counts as lost. */
  get #patienceMilliseconds(): number {
    return this.config.leaseSeconds * 1000 + graceMilliseconds
  }
}
