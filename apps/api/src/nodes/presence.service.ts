import { Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common'
import type { TargetDocument } from '@sallyport/policy'
import { EventsService } from '../audit/events.service.js'
import { LocksRepository } from '../locks/locks.repository.js'
import { RateLimit } from '../limits/rate-limit.js'
import { LinkRegistry } from './link-registry.js'
import { kindOf, labelsOf, NodesRepository } from './nodes.repository.js'
import { PresenceRepository, type AgentUpFacts } from './presence.repository.js'
import { Replica } from './replica.js'

const heartbeatMilliseconds = 10_000
/** A message on its way to an agent of another replica is useless after a minute. */
const messageLifeMilliseconds = 60_000
/** A link not refreshed for so long belongs to a replica that is gone. */
export const livenessMilliseconds = 30_000
/** How long an agent's instance keeps out another one after its last sign of life. */
const instanceLeaseMilliseconds = 30_000

export interface Verdict {
  readonly accepted: boolean
  readonly reason: string
}

/** Which agents are there, and that each is there once. */
@Injectable()
export class PresenceService implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #log = new Logger(PresenceService.name)
  readonly #alerts = new RateLimit(1, 1 / 60)
  #timer: NodeJS.Timeout | undefined

  constructor(
    private readonly nodes: NodesRepository,
    private readonly presence: PresenceRepository,
    private readonly registry: LinkRegistry,
    private readonly events: EventsService,
    private readonly replica: Replica,
    private readonly locks: LocksRepository,
  ) {}

  onApplicationBootstrap(): void {
    this.#timer = setInterval(() => {
      this.#beat().catch(() => this.#log.warn({ message: 'the presence of agents could not be refreshed' }))
    }, heartbeatMilliseconds)
    this.#timer.unref()
  }

  onApplicationShutdown(): void {
    clearInterval(this.#timer)
  }

  /**
   * A gateway reports an agent. Refused: unknown or revoked nodes, a certificate that isn't the current one, and a second
   * process with the same identity (a stolen key, or a copied data directory) while the first one lives.
   */
  async agentUp(up: Omit<AgentUpFacts, 'replica'> & { readonly certificateSha256: string }): Promise<Verdict> {
    const node = await this.nodes.find(up.agentId)
    if (!node || node.kind !== 'agent') return refused('this agent is not enrolled')
    if (node.revokedAt) return refused('this agent was revoked')
    if (node.certificateSha256 !== up.certificateSha256.toLowerCase()) return refused("the certificate is not the agent's current one: connect with the renewed one")
    if (up.instanceId === '' || up.instanceId.length > 128) return refused('the instance id is not acceptable')
    const now = new Date()
    const before = node.instanceId
    const isLive = await this.presence.claimInstance(
      up.agentId, up.instanceId, up.version.slice(0, 64), now, new Date(now.getTime() + instanceLeaseMilliseconds), new Date(now.getTime() - livenessMilliseconds),
    )
    if (!isLive) {
      await this.#alertDuplicate(up, node.name)
      return refused('another process with the same identity is connected: a data directory must not be shared, and a stolen one is revoked')
    }
    await this.presence.put({ ...up, replica: this.replica.id }, now)
    if (before !== up.instanceId) {
      await this.events.append({ kind: 'node.connected', node: node.id, node_kind: 'agent', name: node.name, detail: `instance ${up.instanceId}, version ${up.version.slice(0, 64)}` })
    }
    return { accepted: true, reason: '' }
  }

  async agentDown(agentId: string, gatewayId: string, instanceId: string, draining: boolean): Promise<void> {
    if (draining) return this.presence.drain(agentId, gatewayId, instanceId)
    await this.presence.remove(agentId, gatewayId, instanceId)
    await this.#recordIfGone(agentId, instanceId)
  }

  /** A gateway opened its link: what was known of it before is stale, its reports follow. */
  async gatewayUp(gatewayId: string, detail: string): Promise<void> {
    await this.presence.removeGateway(gatewayId)
    const node = await this.nodes.find(gatewayId)
    await this.nodes.touch([gatewayId], new Date())
    if (node) await this.events.append({ kind: 'node.connected', node: node.id, node_kind: 'gateway', name: node.name, detail })
  }

  async gatewayDown(gatewayId: string, reason: string): Promise<void> {
    const gone = await this.presence.removeGateway(gatewayId, this.replica.id)
    const node = await this.nodes.find(gatewayId)
    if (node) await this.events.append({ kind: 'node.disconnected', node: node.id, node_kind: kindOf(node), name: node.name, reason })
    for (const { agentId, instanceId } of gone) await this.#recordIfGone(agentId, instanceId)
  }

  /** The agent of this gateway that shall serve a target: the one with the fewest sessions among those that may. `locked` when all of them are. */
  async choose(gatewayId: string, target: TargetDocument): Promise<{ readonly id: string; readonly name: string } | 'locked' | undefined> {
    const now = Date.now()
    const candidates = await this.presence.candidates(gatewayId, target.spec.protocol, new Date(now - livenessMilliseconds), new Date(now))
    const { agent, agents } = target.spec
    const fitting = candidates.filter((candidate) => {
      if (agent !== undefined) return candidate.name === agent
      const labels = labelsOf(candidate)
      return agents !== undefined && Object.entries(agents.labels).every(([name, value]) => labels[name] === value)
    })
    fitting.sort((a, b) => a.sessions - b.sessions || (a.id < b.id ? -1 : 1))
    const locked = await this.locks.names('agent')
    return fitting.find(({ name }) => !locked.has(name)) ?? (fitting.length > 0 ? 'locked' : undefined)
  }

  async #recordIfGone(agentId: string, instanceId: string): Promise<void> {
    const rest = await this.presence.links(agentId, new Date(Date.now() - livenessMilliseconds))
    if (rest.some((link) => link.instanceId === instanceId)) return
    const node = await this.nodes.find(agentId)
    if (node?.instanceId === instanceId) await this.events.append({ kind: 'node.disconnected', node: node.id, node_kind: 'agent', name: node.name, detail: `instance ${instanceId}` })
  }

  async #alertDuplicate(up: Omit<AgentUpFacts, 'replica'>, name: string): Promise<void> {
    if (!this.#alerts.take(`${up.agentId} ${up.instanceId}`)) return
    await this.events.append({
      kind: 'alert',
      code: 'DUPLICATE_AGENT',
      message: `a second process presented itself as the agent ${name} while the first was connected; it was refused`,
      node: up.agentId,
      detail: { instance: up.instanceId.slice(0, 128), gateway: up.gatewayId },
    })
  }

  async #beat(): Promise<void> {
    const now = new Date()
    await this.presence.refresh(this.replica.id, this.registry.agentIds(), now, new Date(now.getTime() + instanceLeaseMilliseconds))
    const gateways = this.registry.gateways.map((link) => link.gatewayId)
    if (gateways.length > 0) await this.nodes.touch(gateways, now)
    await this.presence.pruneMessages(new Date(now.getTime() - messageLifeMilliseconds))
  }
}

function refused(reason: string): Verdict {
  return { accepted: false, reason }
}
