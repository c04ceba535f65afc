import { randomUUID } from 'node:crypto'
import { isIP } from 'node:net'
import type { FrontTls } from '@sallyport/kit'
import { linkChannelOptions, renewIfNeeded, type NodeIdentity } from '@sallyport/node-identity'
import { ControlPlaneClient, EnrolmentClient, type GatewayDownReceived, type HostKey } from '@sallyport/proto'
import { startOpsServer, type Logger, type OpsServer } from '@sallyport/telemetry'
import { isLoopback, type GatewayConfig, type ListenerConfig } from './config/config.js'
import { ClosedSessions } from './control/closed-sessions.js'
import { Refusals } from './control/refusals.js'
import { ControlLink } from './control/control-link.js'
import { gatewayErrors } from './errors.js'
import { ConnectionCaps } from './listeners/connection-caps.js'
import { FrontListener } from './listeners/front-listener.js'
import { loadHostKeys, writeKnownHosts, type HostKeys } from './listeners/host-keys.js'
import { frontTls, frontTlsFromFiles } from './listeners/tls.js'
import { gatewayMetrics, type GatewayMetrics } from './metrics.js'
import type { HostedFront } from './protocols.js'
import type { HostPort } from './config/settings.js'
import { GatewayBroker } from './sessions/broker.js'
import { SessionRegistry } from './sessions/session-registry.js'
import { AgentDirectory } from './tunnel/agent-directory.js'
import { TunnelServer } from './tunnel/tunnel-server.js'

export const VERSION = '0.1.0'

const RENEWAL_CHECK_MILLISECONDS = 60 * 60_000
const STARTUP_LINK_MILLISECONDS = 5_000
const MAX_STARTUP_BYTES = 10_000

export interface GatewayPorts {
  readonly tunnel: number
  readonly ops: number
  /** By protocol; undefined while a listener couldn't be bound. */
  readonly listeners: { readonly [protocol: string]: number | undefined }
}

/** The whole gateway, put together. */
export class Gateway {
  readonly #config: GatewayConfig
  readonly #log: Logger
  readonly #metrics: GatewayMetrics
  readonly #agents = new AgentDirectory()
  readonly #sessions = new SessionRegistry()
  readonly #closed: ClosedSessions
  readonly #refusals: Refusals
  readonly #caps: ConnectionCaps
  #upstream: Upstream
  /** Clients with certificates that were renewed since: the link's stream may still be on one. */
  readonly #retired: Upstream[] = []
  readonly #link: ControlLink
  readonly #tunnel: TunnelServer
  readonly #broker: GatewayBroker
  readonly #listeners: readonly FrontListener[]
  #identity: NodeIdentity
  #tls: FrontTls | undefined
  #hostKeys: HostKeys = { privateKeys: [], publicKeys: [] }
  #ops: OpsServer | undefined
  #renewal: NodeJS.Timeout | undefined
  #stopping = false

  constructor(config: GatewayConfig, identity: NodeIdentity, hosted: readonly HostedFront[], log: Logger) {
    this.#config = config
    this.#identity = identity
    this.#log = log
    this.#metrics = gatewayMetrics({
      sessions: () => this.#sessions.size,
      unauthenticated: () => this.#caps.total,
      agents: () => this.#agents.inServiceCount,
      controlPlane: () => this.#link.connected,
    })
    this.#caps = new ConnectionCaps(config.maxUnauthenticated, config.maxUnauthenticatedPerAddress, () =>
      this.#metrics.refused.inc({ reason: 'connection_evicted' }),
    )
    this.#upstream = upstream(config.controlPlane, identity)
    this.#link = new ControlLink({
      client: () => this.#upstream.controlPlane,
      version: VERSION,
      instanceId: randomUUID(),
      hostKeys: () => this.#publishedKeys(),
      log,
      onUp: () => {
        for (const agent of this.#agents.all()) agent.announce()
        this.#closed.flush()
      },
      onDown: () => {},
      onMessage: (message) => this.#receive(message),
    })
    this.#closed = new ClosedSessions((message) => this.#link.send(message))
    this.#refusals = new Refusals((message) => this.#link.send(message))
    this.#tunnel = new TunnelServer({
      listen: config.tunnelListen,
      tls: identity,
      gatewayId: identity.nodeId,
      agents: this.#agents,
      enrolment: () => this.#upstream.enrolment,
      sendUp: (message, sent) => this.#link.send(message, sent),
      metrics: this.#metrics,
      log,
    })
    this.#broker = new GatewayBroker({
      client: () => this.#upstream.controlPlane,
      controlPlaneConnected: () => this.#link.connected,
      agents: this.#agents,
      sessions: this.#sessions,
      maxSessions: config.maxSessions,
      handshakeMilliseconds: config.handshakeMilliseconds,
      metrics: this.#metrics,
      log,
      onClosed: (sessionId, reason) => this.#closed.add(sessionId, reason),
    })
    this.#listeners = hosted.flatMap(({ front }) => {
      const listen = config.listeners.find(({ protocol }) => protocol === front.protocol)
      if (listen === undefined) return []
      const limits = { handshakeMilliseconds: config.handshakeMilliseconds, maxStartupBytes: MAX_STARTUP_BYTES }
      const tls = (): FrontTls | undefined => this.#tls
      return [new FrontListener({ front, ...listen, broker: this.#broker, limits, caps: this.#caps, tls, hostKeys: () => this.#hostKeys.privateKeys, refused: (refusal) => this.#refusals.tell(refusal), metrics: this.#metrics, log })]
    })
  }

  get controlPlaneConnected(): boolean {
    return this.#link.connected
  }

  /** Rejects when the tunnel or the ops address can't be bound, or the certificate can't be read. */
  async start(): Promise<GatewayPorts> {
    this.#tls = await this.#loadTls()
    if (this.#withHostKeys().length > 0) this.#hostKeys = await loadHostKeys(this.#config.dataDir)
    const tunnel = await this.#tunnel.start()
    this.#link.start()
    // Normally a few milliseconds, and then the first client finds everything in place. Without it the gateway starts too.
    await within(STARTUP_LINK_MILLISECONDS, this.#link.up())
    for (const listener of this.#listeners) await listener.start()
    await this.#writeKnownHosts()
    this.#ops = await startOpsServer({ ...this.#config.opsListen, registry: this.#metrics.registry, ready: () => this.#readiness() })
    this.#renewal = setInterval(() => void this.#renew(), RENEWAL_CHECK_MILLISECONDS)
    this.#renewal.unref()
    void this.#renew()
    return { tunnel, ops: this.#ops.port, listeners: Object.fromEntries(this.#listeners.map((listener) => [listener.protocol, listener.port])) }
  }

  /** Reads the client listeners' certificate again. The old one stays when the new one is no good. */
  async reload(): Promise<void> {
    try {
      this.#tls = await this.#loadTls()
      this.#log.info({}, 'certificate reloaded')
    } catch (error) {
      this.#log.error({ error }, 'certificate not reloaded')
    }
  }

  /** Takes no new client, lets sessions end within the configured time, and closes everything. Idempotent. */
  async stop(): Promise<void> {
    if (this.#stopping) return
    this.#stopping = true
    this.#log.info({ sessions: this.#sessions.size }, 'stopping')
    clearInterval(this.#renewal)
    this.#broker.stop()
    for (const listener of this.#listeners) listener.stop()
    await within(this.#config.drainMilliseconds, this.#sessions.drained())
    this.#sessions.closeAll(gatewayErrors.stopping)
    // The last words to clients and the closing frames to agents leave on the next turns of the event loop.
    await within(500, Promise.all([this.#sessions.drained(), pause(50)]))
    for (const listener of this.#listeners) listener.destroyAll()
    this.#tunnel.stop()
    this.#link.stop()
    await this.#ops?.close()
    await pause(50)
    for (const { controlPlane, enrolment } of [...this.#retired, this.#upstream]) {
      controlPlane.close()
      enrolment.close()
    }
  }

  #receive(message: GatewayDownReceived): void {
    const { agentVerdict, kill, link } = message
    if (agentVerdict) {
      for (const agent of this.#agents.of(agentVerdict.agentId, agentVerdict.instanceId)) {
        agent.verdict(agentVerdict.accepted, agentVerdict.reason)
        if (!agentVerdict.accepted) this.#metrics.refused.inc({ reason: 'agent_refused' })
      }
    } else if (kill) this.#sessions.kill(kill.sessionId)
    else if (link) for (const agent of this.#agents.of(link.agentId)) agent.deliver(link.jws)
  }

  #readiness(): { ok: boolean; checks: Record<string, boolean | number> } {
    const listening = Object.fromEntries(this.#listeners.map((listener) => [`listener_${listener.protocol}`, listener.port !== undefined]))
    const checks = { control_plane: this.#link.connected, stopping: this.#stopping, agents: this.#agents.inServiceCount, ...listening }
    return { ok: this.#link.connected && !this.#stopping && this.#listeners.every((listener) => listener.port !== undefined), checks }
  }

  #withHostKeys(): readonly ListenerConfig[] {
    const protocols = this.#listeners.flatMap((listener) => (listener.usesHostKeys ? [listener.protocol] : []))
    return this.#config.listeners.filter(({ protocol }) => protocols.includes(protocol))
  }

  /** Where clients reach a listener. Port 0 stands for a free one, which is known once it listens. */
  #addressesOf({ protocol, port, publicAddress }: ListenerConfig): readonly HostPort[] {
    if (publicAddress !== undefined) return [publicAddress]
    const actual = port === 0 ? this.#listeners.find((listener) => listener.protocol === protocol)?.port : port
    return actual === undefined ? [] : this.#config.hostnames.flatMap((host) => (host.includes('*') ? [] : [{ host, port: actual }]))
  }

  #publishedKeys(): readonly HostKey[] {
    return this.#withHostKeys().flatMap((listener) => {
      const addresses = this.#addressesOf(listener).map(({ host, port }) => `${isIP(host) === 6 ? `[${host}]` : host}:${port}`)
      return this.#hostKeys.publicKeys.flatMap((publicKey) => (addresses.length > 0 ? addresses : ['']).map((address) => ({ protocol: listener.protocol, publicKey, address })))
    })
  }

  async #writeKnownHosts(): Promise<void> {
    const addresses = this.#withHostKeys().flatMap((listener) => this.#addressesOf(listener))
    if (addresses.length === 0) return
    const file = await writeKnownHosts(this.#config.dataDir, addresses, this.#hostKeys)
    this.#log.info({ file }, 'host keys published')
  }

  async #loadTls(): Promise<FrontTls | undefined> {
    const { insecurePlaintext, tlsFiles, listeners } = this.#config
    if (insecurePlaintext) {
      if (listeners.some(({ host }) => !isLoopback(host))) throw new Error('plaintext listeners are allowed on loopback only')
      return undefined
    }
    return tlsFiles === undefined ? frontTls(this.#identity.certificatePem, this.#identity.keyPem) : frontTlsFromFiles(tlsFiles)
  }

  async #renew(): Promise<void> {
    try {
      const { controlPlane, hostnames } = this.#config
      const renewed = await renewIfNeeded(this.#identity, { endpoint: controlPlane, peer: 'control-plane', hostnames })
      if (renewed === this.#identity || this.#stopping) return
      this.#identity = renewed
      this.#retired.push(this.#upstream)
      this.#upstream = upstream(controlPlane, renewed)
      this.#tunnel.update(renewed)
      await this.reload()
    } catch (error) {
      this.#log.warn({ error, expires_at: this.#identity.expiresAt.toISOString() }, 'certificate not renewed')
    }
  }
}

/** Reconnecting is ours to pace: the channel itself must not wait for longer than we do. */
const controlChannelOptions = { ...linkChannelOptions, 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 2_000 }

interface Upstream {
  readonly controlPlane: InstanceType<typeof ControlPlaneClient>
  readonly enrolment: InstanceType<typeof EnrolmentClient>
}

function upstream(address: string, identity: NodeIdentity): Upstream {
  const credentials = identity.channelCredentials('control-plane')
  return {
    controlPlane: new ControlPlaneClient(address, credentials, controlChannelOptions),
    enrolment: new EnrolmentClient(address, credentials, controlChannelOptions),
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

async function within(milliseconds: number, what: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds)
  })
  await Promise.race([what, late])
  clearTimeout(timer)
}
