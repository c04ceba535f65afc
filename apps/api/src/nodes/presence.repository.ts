import { Injectable } from '@nestjs/common'
import { PrismaService } from '../database/prisma.service.js'
import { type AgentLink, type Prisma } from '../generated/prisma/client.js'

export type AgentLinkRow = AgentLink

export interface AgentUpFacts {
  readonly agentId: string
  readonly gatewayId: string
  readonly instanceId: string
  readonly replica: string
  readonly protocols: readonly string[]
  readonly version: string
}

/** Which agent is connected to which gateway, over all replicas. A row not refreshed for a while is nobody's. */
@Injectable()
export class PresenceRepository {
  constructor(private readonly prisma: PrismaService) {}

  /**
   * Makes this the agent's live instance, unless another one is live: its lease lasts and some gateway still reports it.
   * One statement, so that of two instances at once one wins.
   */
  async claimInstance(agentId: string, instanceId: string, version: string, now: Date, leaseUntil: Date, seenAfter: Date): Promise<boolean> {
    const claimed = await this.prisma.$executeRaw`
      UPDATE node SET instance_id = ${instanceId}, instance_lease_at = ${leaseUntil}, last_seen_at = ${now}, version = ${version}
      WHERE id = ${agentId}::uuid AND revoked_at IS NULL AND (
        instance_id IS NULL OR instance_id = ${instanceId} OR instance_lease_at < ${now} OR NOT EXISTS (
          SELECT 1 FROM agent_link l WHERE l.agent_id = node.id AND l.instance_id = node.instance_id AND l.seen_at > ${seenAfter}))`
    return claimed === 1
  }

  async put(up: AgentUpFacts, now: Date): Promise<void> {
    const { agentId, gatewayId, instanceId, replica, version } = up
    const row = { instanceId, replica, version: version.slice(0, 64), protocols: [...up.protocols], draining: false, seenAt: now }
    await this.prisma.agentLink.upsert({ where: { agentId_gatewayId: { agentId, gatewayId } }, create: { agentId, gatewayId, ...row }, update: row })
  }

  async drain(agentId: string, gatewayId: string, instanceId: string): Promise<void> {
    await this.prisma.agentLink.updateMany({ where: { agentId, gatewayId, instanceId }, data: { draining: true } })
  }

  /** Removes one agent's link to a gateway. */
  async remove(agentId: string, gatewayId: string, instanceId: string): Promise<void> {
    await this.prisma.agentLink.deleteMany({ where: { agentId, gatewayId, instanceId } })
  }

  /** Removes what is known of a gateway; with `replica`, only what that replica wrote. Returns the agents concerned. */
  async removeGateway(gatewayId: string, replica?: string): Promise<{ agentId: string; instanceId: string }[]> {
    const where: Prisma.AgentLinkWhereInput = { gatewayId, ...(replica === undefined ? {} : { replica }) }
    const rows = await this.prisma.agentLink.findMany({ where, select: { agentId: true, instanceId: true } })
    if (rows.length > 0) await this.prisma.agentLink.deleteMany({ where })
    return rows
  }

  /** Heartbeat of everything that this replica holds. */
  async refresh(replica: string, agentIds: readonly string[], now: Date, leaseUntil: Date): Promise<void> {
    if (agentIds.length === 0) return
    await this.prisma.agentLink.updateMany({ where: { replica }, data: { seenAt: now } })
    await this.prisma.node.updateMany({ where: { id: { in: [...agentIds] }, revokedAt: null }, data: { lastSeenAt: now, instanceLeaseAt: leaseUntil } })
  }

  links(agentId: string, seenAfter: Date): Promise<AgentLinkRow[]> {
    return this.prisma.agentLink.findMany({ where: { agentId, seenAt: { gt: seenAfter } } })
  }

  allLinks(seenAfter: Date): Promise<AgentLinkRow[]> {
    return this.prisma.agentLink.findMany({ where: { seenAt: { gt: seenAfter } } })
  }

  /** Agents of a gateway that take sessions of a protocol, with the number of sessions that each has. */
  async candidates(gatewayId: string, protocol: string, seenAfter: Date, now: Date): Promise<{ id: string; name: string; labels: Prisma.JsonValue; sessions: number }[]> {
    const rows = await this.prisma.$queryRaw<{ id: string; name: string; labels: Prisma.JsonValue; sessions: number }[]>`
      SELECT n.id::text AS id, n.name, n.labels, (
        SELECT count(*)::int FROM session s WHERE s.agent_id = n.id AND s.ended_at IS NULL AND s.killed_at IS NULL AND s.expires_at > ${now}) AS sessions
      FROM agent_link l JOIN node n ON n.id = l.agent_id
      WHERE l.gateway_id = ${gatewayId}::uuid AND l.seen_at > ${seenAfter} AND NOT l.draining AND ${protocol} = ANY(l.protocols)
        AND n.revoked_at IS NULL AND n.instance_id = l.instance_id`
    return rows
  }

  async storeMessage(id: string, agentId: string, jws: string, now: Date): Promise<void> {
    await this.prisma.linkMessage.create({ data: { id, agentId, jws, createdAt: now } })
  }

  message(id: string): Promise<{ agentId: string; jws: string } | null> {
    return this.prisma.linkMessage.findUnique({ where: { id }, select: { agentId: true, jws: true } })
  }

  async pruneMessages(before: Date): Promise<void> {
    await this.prisma.linkMessage.deleteMany({ where: { createdAt: { lt: before } } })
  }
}
