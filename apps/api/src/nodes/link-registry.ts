import { Injectable } from '@nestjs/common'

/** One gateway's link, as the rest sees it. */
export interface GatewayLink {
  readonly gatewayId: string
  /** Agents accepted on it, with their instance. */
  readonly agents: ReadonlyMap<string, string>
  /** Relays a compact JWS to an agent. False when the link is going down or isn't being read. */
  sendToAgent(agentId: string, jws: string): boolean
  killSession(sessionId: string, reason: string): boolean
  /** Tells the gateway to let go of an agent. */
  dropAgent(agentId: string, reason: string): void
  close(reason: string): void
}

/** The gateways' links that this replica holds. */
@Injectable()
export class LinkRegistry {
  readonly #links = new Map<string, GatewayLink>()

  /** The latest link of a gateway counts; an older one, if still there, is returned to be closed. */
  add(link: GatewayLink): GatewayLink | undefined {
    const before = this.#links.get(link.gatewayId)
    this.#links.set(link.gatewayId, link)
    return before
  }

  /** False when a newer link has taken its place. */
  remove(link: GatewayLink): boolean {
    if (this.#links.get(link.gatewayId) !== link) return false
    return this.#links.delete(link.gatewayId)
  }

  gateway(gatewayId: string): GatewayLink | undefined {
    return this.#links.get(gatewayId)
  }

  get gateways(): readonly GatewayLink[] {
    return [...this.#links.values()]
  }

  agentIds(): string[] {
    return [...new Set(this.gateways.flatMap((link) => [...link.agents.keys()]))]
  }

  /** Through every link: for what must arrive even when one gateway withholds it. */
  broadcastToAgent(agentId: string, jws: string): boolean {
    return this.gateways.filter((link) => link.agents.has(agentId) && link.sendToAgent(agentId, jws)).length > 0
  }
}
