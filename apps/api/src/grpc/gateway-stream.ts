import type { ServerDuplexStream } from '@grpc/grpc-js'
import { Logger } from '@nestjs/common'
import type { AgentDownReceived, AgentLinkMessageReceived, AgentUpReceived, ConnectionRefusedReceived, GatewayDown, GatewayHelloReceived, GatewayUpReceived } from '@sallyport/proto'
import type { GatewayLink } from '../nodes/link-registry.js'
import { isUuid } from '../nodes/enrolment.service.js'
import type { PresenceService } from '../nodes/presence.service.js'
import type { AuthFailures } from '../identity/auth-failures.js'
import type { LeasesService } from '../sessions/leases.service.js'
import type { AgentMessagesService, AgentOnLink } from './agent-messages.service.js'

/** A gateway that doesn't read is cut off: it reconnects and asks for what it needs. */
const maxUnsentMessages = 4096
const maxAgents = 10_000

export type LinkCall = ServerDuplexStream<GatewayUpReceived, GatewayDown>

export interface StreamServices {
  readonly presence: PresenceService
  readonly messages: AgentMessagesService
  readonly leases: LeasesService
  readonly failures: AuthFailures
}

/** The link of one gateway, for its lifetime. */
export class GatewayStream implements GatewayLink {
  readonly #log = new Logger(GatewayStream.name)
  readonly #agents = new Map<string, AgentOnLink>()
  #closed = false

  constructor(
    readonly gatewayId: string,
    private readonly call: LinkCall,
    private readonly services: StreamServices,
  ) {}

  get agents(): ReadonlyMap<string, string> {
    return new Map([...this.#agents].map(([id, agent]) => [id, agent.instanceId]))
  }

  get isClosed(): boolean {
    return this.#closed
  }

  sendToAgent(agentId: string, jws: string): boolean {
    return this.#agents.has(agentId) && this.#send({ link: { agentId, jws: Buffer.from(jws) } })
  }

  killSession(sessionId: string, reason: string): boolean {
    return this.#send({ kill: { sessionId, reason } })
  }

  dropAgent(agentId: string, reason: string): void {
    const instanceId = this.#agents.get(agentId)?.instanceId
    if (instanceId === undefined) return
    this.#agents.delete(agentId)
    this.#send({ agentVerdict: { agentId, instanceId, accepted: false, reason } })
  }

  close(reason: string): void {
    if (this.#closed) return
    this.#closed = true
    this.#log.log({ message: 'gateway link closed', gateway_id: this.gatewayId, reason })
    this.call.end()
    // Also ends the reading side: a gateway that goes on sending must not keep the stream.
    this.call.destroy()
  }

  /** The first message. */
  welcome(_hello: GatewayHelloReceived): void {
    this.#send({ welcome: { gatewayId: this.gatewayId } })
  }

  /** Serves one message. Resolves when the next may be read. */
  async serve(message: GatewayUpReceived): Promise<void> {
    if (message.agentUp) return this.#agentUp(message.agentUp)
    if (message.agentDown) return this.#agentDown(message.agentDown)
    if (message.link) return this.#relayed(message.link)
    if (message.connectionRefused) return this.#refused(message.connectionRefused)
    if (message.sessionClosed) return this.services.leases.gatewayClosed(message.sessionClosed.sessionId, this.gatewayId)
  }

  async #agentUp(up: AgentUpReceived): Promise<void> {
    const { agentId, instanceId } = up
    let verdict = { accepted: false, reason: 'the control plane can not look up agents now' }
    if (!isUuid(agentId)) verdict = { accepted: false, reason: 'this agent is not enrolled' }
    else if (this.#agents.size < maxAgents) {
      try {
        verdict = await this.services.presence.agentUp({ ...up, gatewayId: this.gatewayId, protocols: up.protocols.slice(0, 32) })
      } catch (error) {
        this.#log.warn({ message: 'an agent could not be looked up', agent_id: agentId, error: error instanceof Error ? error : String(error) })
      }
    }
    if (verdict.accepted && this.#agents.get(agentId)?.instanceId !== instanceId) {
      this.#agents.set(agentId, { agentId, instanceId, key: undefined, keyReadAt: 0, counter: 0, events: Promise.resolve() })
    }
    this.#send({ agentVerdict: { agentId, instanceId, ...verdict } })
  }

  async #agentDown(down: AgentDownReceived): Promise<void> {
    // A gateway speaks for the agents that it reported, and for the instance that it reported.
    if (this.#agents.get(down.agentId)?.instanceId !== down.instanceId) return
    if (!down.draining) this.#agents.delete(down.agentId)
    await this.services.presence.agentDown(down.agentId, this.gatewayId, down.instanceId, down.draining)
  }

  /** Of nobody known: its reason is the gateway's word. */
  #refused({ protocol, clientAddress, reason }: ConnectionRefusedReceived): Promise<void> {
    return this.services.failures.record({ method: `none (${protocol.slice(0, 40)})`, client_address: clientAddress.slice(0, 200), code: 'MALFORMED', reason: reason.slice(0, 300) })
  }

  async #relayed(link: AgentLinkMessageReceived): Promise<void> {
    const agent = this.#agents.get(link.agentId)
    if (!agent || agent.instanceId !== link.instanceId || !link.message) return
    await this.services.messages.handle(agent, link.message, (jws) => void this.sendToAgent(agent.agentId, jws))
  }

  #send(message: GatewayDown): boolean {
    if (this.#closed || this.call.cancelled) return false
    if (this.call.writableLength > maxUnsentMessages) {
      this.close('the gateway does not read')
      return false
    }
    this.call.write(message)
    return true
  }
}
