import { Injectable, Logger } from '@nestjs/common'
import type { GatewayHelloReceived } from '@sallyport/proto'
import { EventsService } from '../audit/events.service.js'
import { AuthFailures } from '../identity/auth-failures.js'
import { LinkRegistry } from '../nodes/link-registry.js'
import { acceptedHostKeys } from '../nodes/host-keys.js'
import { NodesRepository, type NodeRow } from '../nodes/nodes.repository.js'
import { PresenceService } from '../nodes/presence.service.js'
import { LeasesService } from '../sessions/leases.service.js'
import { AgentMessagesService } from './agent-messages.service.js'
import { GatewayStream, type LinkCall } from './gateway-stream.js'

const helloMilliseconds = 10_000

/** Accepts gateways' links. */
@Injectable()
export class LinkService {
  readonly #log = new Logger(LinkService.name)
  readonly #serving = new Set<Promise<void>>()

  constructor(
    private readonly registry: LinkRegistry,
    private readonly presence: PresenceService,
    private readonly messages: AgentMessagesService,
    private readonly leases: LeasesService,
    private readonly events: EventsService,
    private readonly nodes: NodesRepository,
    private readonly failures: AuthFailures,
  ) {}

  /** Never rejects: it ends with the stream. */
  serve(call: LinkCall, gateway: NodeRow): Promise<void> {
    const served = this.#serve(call, gateway).finally(() => this.#serving.delete(served))
    this.#serving.add(served)
    return served
  }

  /** Resolves when the ends of all links are recorded. Close the links first. */
  async idle(): Promise<void> {
    await Promise.all(this.#serving)
  }

  async #serve(call: LinkCall, gateway: NodeRow): Promise<void> {
    const stream = new GatewayStream(gateway.id, call, { presence: this.presence, messages: this.messages, leases: this.leases, failures: this.failures })
    const hello = setTimeout(() => stream.close('no hello in time'), helloMilliseconds)
    call.on('error', () => undefined)
    let isUp = false
    try {
      for await (const message of call) {
        if (isUp) await stream.serve(message)
        else if (message.hello) {
          clearTimeout(hello)
          await this.#admit(stream, gateway, message.hello)
          isUp = true
          stream.welcome(message.hello)
        } else break
      }
    } catch (error) {
      // A stream that was cancelled, or that we closed, reads as an error; anything else is ours.
      if (!call.cancelled && !stream.isClosed) this.#log.warn({ message: 'a gateway link failed', gateway_id: gateway.id, error: error instanceof Error ? error : String(error) })
    } finally {
      clearTimeout(hello)
      stream.close('the stream ended')
      if (this.registry.remove(stream) && isUp) await this.#gone(gateway)
    }
  }

  async #admit(stream: GatewayStream, gateway: NodeRow, { version, instanceId, hostKeys }: GatewayHelloReceived): Promise<void> {
    const before = this.registry.add(stream)
    if (before) {
      before.close('a newer link of the same gateway took its place')
      // After a crash the old stream may not have noticed yet; but it may also be a copied key.
      await this.events.append({ kind: 'alert', code: 'GATEWAY_LINK_REPLACED', message: `the gateway ${gateway.name} opened a second link; the first was closed`, node: gateway.id })
    }
    await this.nodes.setHostKeys(gateway.id, acceptedHostKeys(hostKeys))
    await this.presence.gatewayUp(gateway.id, `instance ${instanceId.slice(0, 128)}, version ${version.slice(0, 64)}`)
  }

  async #gone(gateway: NodeRow): Promise<void> {
    try {
      await this.presence.gatewayDown(gateway.id, 'the link ended')
    } catch {
      // Its rows go stale by themselves.
      this.#log.warn({ message: 'the end of a gateway link could not be recorded', gateway_id: gateway.id })
    }
  }
}
