import type { AuthConversation, BrokeredSession, SessionBroker, SessionGranted, SessionStart } from '@sallyport/kit'
import type { ControlPlaneStub } from '@sallyport/proto'
import type { Logger } from '@sallyport/telemetry'
import { ControlConversation } from '../control/auth-conversation.js'
import { gatewayErrors, SessionRefusedError } from '../errors.js'
import type { GatewayMetrics } from '../metrics.js'
import type { AgentDirectory } from '../tunnel/agent-directory.js'
import { CancelRegistry } from './cancel-registry.js'
import { refusedConversation } from './refused-conversation.js'
import { SessionChannel } from './session-channel.js'
import type { SessionRegistry } from './session-registry.js'

export interface BrokerOptions {
  readonly client: () => ControlPlaneStub
  readonly controlPlaneConnected: () => boolean
  readonly agents: AgentDirectory
  readonly sessions: SessionRegistry
  readonly maxSessions: number
  readonly handshakeMilliseconds: number
  readonly metrics: GatewayMetrics
  readonly log: Logger
  /** The control plane is told. */
  readonly onClosed: (sessionId: string, reason: string) => void
}

/** What fronts ask of the gateway. It decides nothing: it relays proofs up and bytes down. */
export class GatewayBroker implements SessionBroker {
  readonly #options: BrokerOptions
  readonly #cancels = new CancelRegistry()
  #stopping = false

  constructor(options: BrokerOptions) {
    this.#options = options
  }

  /** From now on every new client is told that the gateway is going. */
  stop(): void {
    this.#stopping = true
  }

  authenticate(start: SessionStart, signal: AbortSignal): AuthConversation {
    const { client, metrics, sessions, maxSessions, handshakeMilliseconds } = this.#options
    const refuse = (error: (typeof gatewayErrors)[keyof typeof gatewayErrors]): AuthConversation => {
      metrics.refused.inc({ reason: error.code })
      return refusedConversation(error)
    }
    if (this.#stopping) return refuse(gatewayErrors.stopping)
    // Without the link no kill could reach this gateway.
    if (!this.#options.controlPlaneConnected()) return refuse(gatewayErrors.unavailable)
    if (sessions.size >= maxSessions) return refuse(gatewayErrors.tooManySessions)
    return new ControlConversation(client(), start, signal, {
      timeoutMilliseconds: handshakeMilliseconds,
      onRefused: (code) => metrics.refused.inc({ reason: code }),
    })
  }

  open(granted: SessionGranted, parameters: Readonly<Record<string, string>>, signal: AbortSignal): Promise<BrokeredSession> {
    try {
      return Promise.resolve(this.#open(granted, parameters, signal))
    } catch (error) {
      const refused = error instanceof SessionRefusedError ? error : new SessionRefusedError(gatewayErrors.tooManySessions)
      this.#options.metrics.refused.inc({ reason: refused.code })
      this.#options.onClosed(granted.sessionId, refused.code)
      return Promise.reject(refused)
    }
  }

  registerCancel(key: string, session: BrokeredSession): () => void {
    return this.#cancels.register(key, session)
  }

  cancel(key: string, payload: Uint8Array): void {
    this.#cancels.cancel(key, payload)
  }

  #open(granted: SessionGranted, parameters: Readonly<Record<string, string>>, signal: AbortSignal): BrokeredSession {
    const { agents, sessions, metrics, maxSessions, log } = this.#options
    const { sessionId, agentId, grant } = granted
    if (this.#stopping || signal.aborted) throw new SessionRefusedError(gatewayErrors.stopping)
    if (sessions.wasKilled(sessionId)) throw new SessionRefusedError(gatewayErrors.killed)
    if (sessions.size >= maxSessions) throw new SessionRefusedError(gatewayErrors.tooManySessions)
    const agent = agents.inService(agentId)
    // The same grant twice is the control plane's mistake or somebody's replay; the agent would refuse it too.
    if (agent === undefined || sessions.has(sessionId)) throw new SessionRefusedError(gatewayErrors.noAgent)

    const tunnel = agent.open({ sessionId, grant, parameters: { ...parameters } })
    const abort = (): void => tunnel.close()
    const channel = new SessionChannel(tunnel, {
      onSent: (bytes) => {
        metrics.bytes.to_agent += bytes
      },
      onReceived: (bytes) => {
        metrics.bytes.to_client += bytes
      },
      onOver: (error) => {
        signal.removeEventListener('abort', abort)
        sessions.remove(session)
        log.info({ session_id: sessionId, reason: error?.code ?? 'closed' }, 'session closed')
        this.#options.onClosed(sessionId, error?.code ?? 'closed')
      },
    })
    const session: BrokeredSession = { sessionId, channel, signal: (payload) => tunnel.signal(payload) }
    sessions.add(session)
    signal.addEventListener('abort', abort, { once: true })
    metrics.sessions.inc()
    log.info({ session_id: sessionId, agent_id: agentId }, 'session opened')
    return session
  }
}
