import { Injectable, Logger } from '@nestjs/common'
import { EventsService } from '../audit/events.service.js'
import { NotifyService } from '../notify/notify.service.js'
import { notFound } from '../problem/problem.js'
import { SessionsService } from '../sessions/sessions.service.js'
import { isUuid } from './enrolment.service.js'
import { LinkRegistry } from './link-registry.js'
import { kindOf, labelsOf, NodesRepository, type NodeRow } from './nodes.repository.js'
import { PresenceRepository } from './presence.repository.js'
import { livenessMilliseconds } from './presence.service.js'

const channel = 'sallyport_node_revoked'

/** Gateways and agents as administrators see and revoke them. */
@Injectable()
export class NodesService {
  readonly #log = new Logger(NodesService.name)

  constructor(
    private readonly repository: NodesRepository,
    private readonly presence: PresenceRepository,
    private readonly registry: LinkRegistry,
    private readonly events: EventsService,
    private readonly sessions: SessionsService,
    private readonly notify: NotifyService,
  ) {
    notify.subscribe(channel, (id) => this.#letGo(id))
  }

  async list() {
    const links = await this.presence.allLinks(new Date(Date.now() - livenessMilliseconds))
    const nodes = await this.repository.list()
    const nameOf = new Map(nodes.map((node) => [node.id, node.name]))
    return nodes.map((node) => {
      const gateways = links.filter((link) => link.agentId === node.id)
      return nodeView(node, gateways.map((link) => ({ gateway: nameOf.get(link.gatewayId) ?? link.gatewayId, draining: link.draining })))
    })
  }

  /**
   * Shuts a node out for good: its sessions are killed, its links end, its certificate counts no more.
   * @throws {Problem} 404
   */
  async revoke(id: string, by: string): Promise<void> {
    const node = isUuid(id) ? await this.repository.find(id) : await this.repository.byName(id)
    if (!node) throw notFound('such gateway or agent')
    await this.repository.transaction(async (tx) => {
      if (!(await this.repository.revoke(tx, node.id, new Date()))) return
      await this.events.appendWithin(tx, [{ kind: 'node.revoked', node: node.id, node_kind: kindOf(node), name: node.name, by }])
    })
    this.#letGo(node.id)
    await this.notify.publish(channel, node.id).catch(() => this.#log.warn({ message: 'other replicas could not be told of a revoked node', node_id: node.id }))
    // A revoked gateway's tunnels to agents are not ours to cut: its sessions are killed through the other gateways.
    const selection = node.kind === 'agent' ? { agentId: node.id } : { gatewayId: node.id }
    await this.sessions.killWhere(selection, `the ${kindOf(node)} was revoked`, by)
  }

  #letGo(id: string): void {
    this.registry.gateway(id)?.close('this gateway was revoked')
    for (const link of this.registry.gateways) if (link.agents.has(id)) link.dropAgent(id, 'this agent was revoked')
  }
}

function nodeView(node: NodeRow, links: readonly { gateway: string; draining: boolean }[]) {
  const isGateway = node.kind === 'gateway'
  return {
    id: node.id,
    kind: node.kind,
    name: node.name,
    labels: labelsOf(node),
    version: node.version,
    enrolled_at: node.enrolledAt,
    revoked_at: node.revokedAt,
    last_seen_at: node.lastSeenAt,
    connected: isGateway ? (node.lastSeenAt?.getTime() ?? 0) > Date.now() - livenessMilliseconds : links.length > 0,
    ...(isGateway ? {} : { gateways: links }),
  }
}
