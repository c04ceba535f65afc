import { serializeAgentMessage, type AgentMessage } from '@sallyport/proto'
import { decodeProtectedHeader } from 'jose'
import { jwsType, verifyControlJws, type PinnedKeys } from '@sallyport/kit'
import { z } from 'zod'
import type { Logger } from '@sallyport/telemetry'

/** One gateway's relay to the control plane. */
export interface LinkTransport {
  /** False when it can't be sent now. */
  send(message: { payload: Buffer; signature: Buffer }): boolean
  /** Of this stream; the control plane drops a replayed message. */
  nextCounter(): number
}

const base = z.object({ agent: z.string() })
const held = base.extend({ sid: z.string(), command: z.string(), approval: z.string(), digest: z.string(), groups: z.array(z.string()), exp: z.number() })
const decision = base.extend({
  sid: z.string(),
  command: z.string(),
  approval: z.string(),
  digest: z.string(),
  verdict: z.enum(['approved', 'rejected', 'expired', 'refused']),
  reason: z.string(),
  reviewers: z.array(z.string()),
  recorded_reviewers: z.array(z.string()).exactOptional(),
  recorded_reason: z.string().exactOptional(),
  iat: z.number(),
  exp: z.number(),
})
const lease = base.extend({ sids: z.array(z.string()), versions: z.array(z.number().int()), exp: z.number() })
const ack = base.extend({ seq: z.number().int().min(0) })
const kill = base.extend({ sid: z.string(), reason: z.string(), recorded: z.string().exactOptional() })

export interface ControlHandlers {
  held(payload: z.infer<typeof held>): void
  decided(payload: z.infer<typeof decision>): void
  lease(payload: z.infer<typeof lease>): void
  ack(seq: number): void
  /** @param recorded the reason as it stands in the log */
  kill(sid: string, reason: string, recorded: string): void
  /** A grant update, still to be verified as a grant. */
  grant(jws: string): void
  /** A relay to the control plane came up. */
  attached(): void
}

type Kind = Omit<AgentMessage, 'agentId' | 'instanceId' | 'counter'>

/**
 * The agent's conversation with the control plane, relayed by whichever gateway is connected. What goes out is signed
 * with the agent's key, what comes in is believed only when it is signed with the pinned key of the control plane: a
 * gateway can lose messages, but neither forge nor change one.
 */
export class ControlLink {
  readonly #transports = new Set<LinkTransport>()
  #handlers: ControlHandlers | undefined

  constructor(
    readonly agentId: string,
    readonly instanceId: string,
    readonly sign: (payload: Buffer) => Buffer,
    readonly keys: PinnedKeys,
    readonly log: Logger,
  ) {}

  handle(handlers: ControlHandlers): void {
    this.#handlers = handlers
  }

  get connected(): boolean {
    return this.#transports.size > 0
  }

  attach(transport: LinkTransport): void {
    this.#transports.add(transport)
    this.#handlers?.attached()
  }

  detach(transport: LinkTransport): void {
    this.#transports.delete(transport)
  }

  /** Sends by the first gateway that takes it. False when none does. */
  send(kind: Kind): boolean {
    for (const transport of this.#transports) if (this.#sendBy(transport, kind)) return true
    return false
  }

  /** Sends by every gateway: for what one that withholds it must not stop. Only for what may arrive twice. */
  sendByAll(kind: Kind): boolean {
    let sent = false
    for (const transport of this.#transports) sent = this.#sendBy(transport, kind) || sent
    return sent
  }

  /** No answer came by the first gateway: the next one's turn. */
  rotate(): void {
    const [first] = this.#transports
    if (!first || this.#transports.size < 2) return
    this.#transports.delete(first)
    this.#transports.add(first)
  }

  #sendBy(transport: LinkTransport, kind: Kind): boolean {
    const message: AgentMessage = { ...kind, agentId: this.agentId, instanceId: this.instanceId, counter: transport.nextCounter() }
    const payload = serializeAgentMessage(message)
    return transport.send({ payload, signature: this.sign(payload) })
  }

  /** Takes one message from the control plane. Never rejects: what doesn't verify is logged and dropped. */
  async receive(bytes: Buffer): Promise<void> {
    const jws = bytes.toString('latin1')
    try {
      const { typ } = decodeProtectedHeader(jws)
      if (typ === jwsType.grant) {
        this.#handlers?.grant(jws)
        return
      }
      if (typeof typ !== 'string') throw new Error('no type')
      this.#dispatch(typ, await verifyControlJws(jws, typ, this.keys))
    } catch (error) {
      this.log.warn({ error_name: error instanceof Error ? error.name : 'unknown' }, 'message of the control plane dropped')
    }
  }

  #dispatch(typ: string, payload: unknown): void {
    const handlers = this.#handlers
    // A message for another agent, replayed to this one by a gateway.
    if (!handlers || base.parse(payload).agent !== this.agentId) return
    switch (typ) {
      case jwsType.held:
        return handlers.held(held.parse(payload))
      case jwsType.approval:
        return handlers.decided(decision.parse(payload))
      case jwsType.lease:
        return handlers.lease(lease.parse(payload))
      case jwsType.ack:
        return handlers.ack(ack.parse(payload).seq)
      case jwsType.kill: {
        const { sid, reason, recorded } = kill.parse(payload)
        return handlers.kill(sid, reason, recorded ?? reason)
      }
      default:
        this.log.warn({}, 'message of the control plane has an unknown type')
    }
  }
}
