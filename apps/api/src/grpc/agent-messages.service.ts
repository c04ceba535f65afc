import { createPublicKey, verify, type KeyObject } from 'node:crypto'
import { Injectable, Logger } from '@nestjs/common'
import { jwsType, type AckPayload } from '@sallyport/kit'
import { deserializeAgentMessage, type AgentMessageReceived, type SignedMessageReceived } from '@sallyport/proto'
import { ApprovalsService } from '../approvals/approvals.service.js'
import { EventsService } from '../audit/events.service.js'
import { RateLimit } from '../limits/rate-limit.js'
import { KeysService } from '../keys/keys.service.js'
import { NodesRepository } from '../nodes/nodes.repository.js'
import { LeasesService } from '../sessions/leases.service.js'

const signaturePrefix = Buffer.from('sallyport-link-v1\0')
const signatureBytes = 64
const keyRereadMilliseconds = 5_000

/** What is known of one agent on one gateway's stream. */
export interface AgentOnLink {
  readonly agentId: string
  readonly instanceId: string
  key: KeyObject | undefined
  keyReadAt: number
  /** Highest counter seen: a replayed or reordered message is dropped. */
  counter: number
  /** Events are stored one batch after the other. */
  events: Promise<void>
}

export type Reply = (jws: string) => void

/** Messages of agents, relayed by gateways that can neither change nor repeat them. */
@Injectable()
export class AgentMessagesService {
  readonly #log = new Logger(AgentMessagesService.name)
  readonly #alerts = new RateLimit(1, 1 / 60)

  constructor(
    private readonly nodes: NodesRepository,
    private readonly keys: KeysService,
    private readonly events: EventsService,
    private readonly approvals: ApprovalsService,
    private readonly leases: LeasesService,
  ) {}

  /**
   * Verifies and acts. Resolves when the next message may be read: event batches queue behind each other, so that a slow
   * database pushes back; what is about leases and approvals never waits behind them.
   */
  async handle(agent: AgentOnLink, signed: SignedMessageReceived, reply: Reply): Promise<void> {
    const message = await this.#open(agent, signed)
    if (!message) return
    if (message.events) {
      const { firstSeq, records } = message.events
      const before = agent.events
      agent.events = this.#logged('events', agent, before.then(() => this.#ingest(agent, BigInt(firstSeq), records, reply)))
      return before
    }
    if (message.leaseRequest) {
      const { sessionIds } = message.leaseRequest
      void this.#logged('lease', agent, this.leases.renew(agent.agentId, sessionIds).then((answers) => answers.forEach(reply)))
    } else if (message.approvalRequest) {
      void this.#logged('approval', agent, this.approvals.request(agent.agentId, message.approvalRequest))
    } else if (message.approvalCancel) {
      const { sessionId, commandId, reason } = message.approvalCancel
      void this.#logged('approval', agent, this.approvals.cancel(agent.agentId, sessionId, commandId, reason))
    }
  }

  async #ingest(agent: AgentOnLink, firstSeq: bigint, records: Buffer[], reply: Reply): Promise<void> {
    const seq = await this.events.ingest(agent.agentId, firstSeq, records)
    const ack: AckPayload = { agent: agent.agentId, seq: Number(seq) }
    reply(await this.keys.sign(jwsType.ack, ack))
  }

  async #open(agent: AgentOnLink, signed: SignedMessageReceived): Promise<AgentMessageReceived | undefined> {
    const signedBytes = Buffer.concat([signaturePrefix, signed.payload])
    const isGood = (key: KeyObject): boolean => signed.signature.length === signatureBytes && verify('sha256', signedBytes, { key, dsaEncoding: 'ieee-p1363' }, signed.signature)
    let key = await this.#key(agent, false)
    // The agent may have renewed with a new key since.
    if (key && !isGood(key)) key = await this.#key(agent, true)
    if (!key || !isGood(key)) return this.#drop(agent, 'AGENT_SIGNATURE', 'a message with a signature that is not the agent’s')
    let message: AgentMessageReceived
    try {
      message = deserializeAgentMessage(signed.payload)
    } catch {
      return this.#drop(agent, 'AGENT_MESSAGE', 'a signed message that can not be read')
    }
    if (message.agentId !== agent.agentId || message.instanceId !== agent.instanceId) return this.#drop(agent, 'AGENT_MESSAGE', "another agent's or instance's message")
    if (!(message.counter > agent.counter)) return this.#drop(agent, 'AGENT_REPLAY', 'a message that was sent before')
    agent.counter = message.counter
    return message
  }

  async #key(agent: AgentOnLink, again: boolean): Promise<KeyObject | undefined> {
    if (agent.key && (!again || Date.now() - agent.keyReadAt < keyRereadMilliseconds)) return agent.key
    const node = await this.nodes.find(agent.agentId)
    agent.keyReadAt = Date.now()
    agent.key = node && !node.revokedAt ? createPublicKey({ key: Buffer.from(node.publicKey), format: 'der', type: 'spki' }) : undefined
    return agent.key
  }

  /** Dropped without an answer; told once a minute, because a gateway that does this is broken or hostile. */
  #drop(agent: AgentOnLink, code: string, message: string): undefined {
    this.#log.warn({ message: 'a message of an agent was dropped', agent_id: agent.agentId, code })
    if (this.#alerts.take(`${agent.agentId} ${code}`)) {
      this.events.append({ kind: 'alert', code, message: `a gateway relayed ${message}; it was dropped`, node: agent.agentId }).catch(() => undefined)
    }
    return undefined
  }

  #logged(what: string, agent: AgentOnLink, work: Promise<unknown>): Promise<void> {
    return work.then(
      () => undefined,
      (error: unknown) => {
        // No answer: the agent asks again, or denies.
        this.#log.warn({ message: 'a message of an agent could not be served', what, agent_id: agent.agentId, error: error instanceof Error ? error : String(error) })
      },
    )
  }
}
