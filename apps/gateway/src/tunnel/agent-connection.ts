import type { AgentHelloReceived, GatewayUp, OpenChannel, SignedMessageReceived, TunnelDown, TunnelUpReceived } from '@sallyport/proto'
import { FrameMux, StreamSink, type TunnelChannel } from '@sallyport/tunnel'
import type { Logger } from '@sallyport/telemetry'

/** One agent's stream, seen from here: a gRPC call, or a test's stand-in. */
export interface AgentStream {
  write(message: TunnelDown, done?: () => void): void
  end(): void
  /** Ends the stream without waiting for what is queued. */
  destroy(): void
  pause(): void
  resume(): void
}

export interface AgentConnectionOptions {
  readonly agentId: string
  readonly certificateSha256: string
  readonly gatewayId: string
  readonly hello: AgentHelloReceived
  readonly stream: AgentStream
  /** To the control plane. False when the link is down. */
  readonly sendUp: (message: GatewayUp, sent?: () => void) => boolean
  readonly onLinkDropped: () => void
  readonly log: Logger
}

/**
 * `announced`: waits for the control plane's verdict. `in-service`: takes sessions. `draining`: keeps those it has.
 * `over`: the stream has ended.
 */
export type AgentState = 'announced' | 'in-service' | 'draining' | 'over'

/** Bytes of one agent's messages on their way to the control plane before its stream is paused. */
const MAX_LINK_BYTES = 16 * 1024 * 1024

/** Bytes of the control plane's messages that an agent may leave unread. */
const MAX_DOWN_BYTES = 8 * 1024 * 1024

/** An agent whose hello was taken. It serves nobody until the control plane has accepted it. */
export class AgentConnection {
  readonly agentId: string
  readonly instanceId: string
  readonly #options: AgentConnectionOptions
  readonly #mux: FrameMux
  #state: AgentState = 'announced'
  #linkBytes = 0
  #downBytes = 0
  #paused = false

  constructor(options: AgentConnectionOptions) {
    this.#options = options
    this.agentId = options.agentId
    this.instanceId = options.hello.instanceId
    const sink = new StreamSink(
      (frames, done) => options.stream.write({ frames: { frames: [...frames] } }, done),
      () => this.#mux.drained(),
    )
    this.#mux = new FrameMux(sink, {
      onReaderError: (error) => options.log.error({ error, agent_id: this.agentId }, 'session relay failed'),
    })
  }

  get state(): AgentState {
    return this.#state
  }

  get channels(): number {
    return this.#mux.stats.channels
  }

  /** Tells the control plane of this agent: when it has come, and again whenever the link was renewed. */
  announce(): void {
    const { agentId, instanceId } = this
    const { certificateSha256, hello } = this.#options
    const { version, protocols } = hello
    this.#options.sendUp({ agentUp: { agentId, instanceId, certificateSha256, version, protocols } })
    if (this.#state === 'draining') this.#options.sendUp({ agentDown: { agentId, instanceId, draining: true } })
  }

  /** The control plane's verdict; a later one may take an agent out of service that it had accepted. */
  verdict(accepted: boolean, reason: string): void {
    if (this.#state === 'over') return
    if (accepted && this.#state !== 'announced') return
    const { gatewayId, stream, log } = this.#options
    const { agentId, instanceId } = this
    if (accepted) {
      this.#state = 'in-service'
      log.info({ agent_id: agentId, instance_id: instanceId }, 'agent in service')
      stream.write({ welcome: { gatewayId, agentId, accepted: true, reason: '' } })
      return
    }
    log.warn({ agent_id: agentId, instance_id: instanceId, reason }, 'agent refused')
    stream.write({ welcome: { gatewayId, agentId, accepted: false, reason } })
    this.close()
  }

  receive(message: TunnelUpReceived): void {
    // Before the verdict an agent has nothing to say.
    if (this.#state === 'announced') return this.verdict(false, 'spoke before its welcome')
    if (this.#state === 'over') return
    if (message.frames) this.#mux.receive(message.frames.frames)
    else if (message.link) this.#relay(message.link)
    else if (message.draining) this.#drain()
    // A second hello could only be an attempt to change who this is.
    else if (message.hello) this.verdict(false, 'sent a second hello')
  }

  /** @throws {RangeError} see {@link FrameMux.open} */
  open(request: OpenChannel): TunnelChannel {
    return this.#mux.open(request)
  }

  /** The control plane's signed message for this agent, unopened. */
  deliver(jws: Uint8Array): void {
    if (this.#state !== 'in-service' && this.#state !== 'draining') return
    this.#downBytes += jws.length
    this.#options.stream.write({ link: jws }, () => {
      this.#downBytes -= jws.length
    })
    if (this.#downBytes <= MAX_DOWN_BYTES) return
    // It no longer reads. Its frames wait by their windows, but these messages are not for us to drop one by one.
    this.#options.log.warn({ agent_id: this.agentId }, 'agent does not read: stream closed')
    this.#options.stream.destroy()
    this.ended()
  }

  /** Ends the stream from our side, after what was written. */
  close(): void {
    this.#options.stream.end()
    this.ended()
  }

  /** The stream has ended, for whatever reason. Its sessions end with TUNNEL_LOST. Idempotent. */
  ended(): void {
    if (this.#state === 'over') return
    this.#state = 'over'
    this.#mux.fail()
  }

  #drain(): void {
    if (this.#state !== 'in-service') return
    this.#state = 'draining'
    const { agentId, instanceId } = this
    this.#options.log.info({ agent_id: agentId, instance_id: instanceId }, 'agent draining')
    this.#options.sendUp({ agentDown: { agentId, instanceId, draining: true } })
  }

  #relay(message: SignedMessageReceived): void {
    const size = message.payload.length
    this.#linkBytes += size
    const sent = (): void => {
      this.#linkBytes -= size
      if (!this.#paused || this.#linkBytes > MAX_LINK_BYTES / 2) return
      this.#paused = false
      this.#options.stream.resume()
    }
    const { agentId, instanceId } = this
    if (!this.#options.sendUp({ link: { agentId, instanceId, message } }, sent)) {
      this.#linkBytes -= size
      // The agent keeps what matters in its spool and sends it again.
      this.#options.onLinkDropped()
    } else if (this.#linkBytes > MAX_LINK_BYTES && !this.#paused) {
      // A last resort: it holds the agent's sessions too, but an agent waits for an acknowledgement long before.
      this.#paused = true
      this.#options.stream.pause()
    }
  }
}
