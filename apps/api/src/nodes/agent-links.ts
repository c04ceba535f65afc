import { randomUUID } from 'node:crypto'
import { Injectable, Logger } from '@nestjs/common'
import { KeysService } from '../keys/keys.service.js'
import { NotifyService } from '../notify/notify.service.js'
import { AgentLinkService, AgentUnreachableError } from './agent-link.service.js'
import { LinkRegistry } from './link-registry.js'
import { livenessMilliseconds } from './presence.service.js'
import { PresenceRepository } from './presence.repository.js'
import { Replica } from './replica.js'

const channel = 'sallyport_link'

/** Sends to agents through every gateway that they are on, of every replica: one that withholds it must not be the only way. */
@Injectable()
export class AgentLinks extends AgentLinkService {
  readonly #log = new Logger(AgentLinks.name)

  constructor(
    private readonly registry: LinkRegistry,
    private readonly presence: PresenceRepository,
    private readonly keys: KeysService,
    private readonly notify: NotifyService,
    private readonly replica: Replica,
  ) {
    super()
    notify.subscribe(channel, (payload) => void this.#onNotified(payload))
  }

  override async send(agentId: string, typ: string, payload: object): Promise<void> {
    const jws = await this.keys.sign(typ, payload)
    const isSentHere = this.registry.broadcastToAgent(agentId, jws)
    try {
      await this.#sendElsewhere(agentId, jws, isSentHere)
    } catch (error) {
      if (!isSentHere) throw error
      this.#log.warn({ message: 'a message to an agent could not be sent by other replicas, too', agent_id: agentId, error: error instanceof Error ? error.name : '' })
    }
  }

  async #sendElsewhere(agentId: string, jws: string, isSentHere: boolean): Promise<void> {
    const links = await this.presence.links(agentId, new Date(Date.now() - livenessMilliseconds))
    const replicas = new Set(links.map((link) => link.replica).filter((replica) => replica !== this.replica.id))
    if (replicas.size === 0) {
      if (isSentHere) return
      throw new AgentUnreachableError('the agent is not connected')
    }
    // A notification holds 8000 bytes, a grant more: the message goes through a table, the notification names it.
    const id = randomUUID()
    await this.presence.storeMessage(id, agentId, jws, new Date())
    for (const replica of replicas) await this.notify.publish(channel, JSON.stringify({ replica, id }))
  }

  async #onNotified(payload: string): Promise<void> {
    try {
      const { replica, id }: { replica?: unknown; id?: unknown } = JSON.parse(payload)
      if (replica !== this.replica.id || typeof id !== 'string') return
      const message = await this.presence.message(id)
      if (message && !this.registry.broadcastToAgent(message.agentId, message.jws)) {
        this.#log.warn({ message: 'a message came for an agent that has just left', agent_id: message.agentId })
      }
    } catch (error) {
      this.#log.warn({ message: 'a message to an agent could not be taken over', error: error instanceof Error ? error.name : '' })
    }
  }
}
