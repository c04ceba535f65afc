import { randomUUID } from 'node:crypto'
import path from 'node:path'
import { keyIdOf } from '@sallyport/audit-log'
import { Spool } from '@sallyport/kit'
import { enrol, loadIdentity, renewIfNeeded, type NodeIdentity } from '@sallyport/node-identity'
import { createMetrics, startOpsServer, type Logger, type OpsServer } from '@sallyport/telemetry'
import { ConfigError, type AgentConfig } from './config.js'
import { RemoteApprovalDesk } from './control/approval-desk.js'
import { ControlLink } from './control/control-link.js'
import { Uploader } from './control/uploader.js'
import { ReferenceResolver } from './credentials/resolver.js'
import { GatewayConnection } from './gateways/gateway-connection.js'
import { loadEngines } from './protocols.js'
import { SessionManager } from './sessions/session-manager.js'
import { version } from './version.js'

/** How often it is looked at whether leases are to be renewed. */
const leaseEveryMilliseconds = 500
/** How often the certificate's age is looked at. */
const renewEveryMilliseconds = 3_600_000

/** Wires the rooms of the agent together; owns them until {@link stop}. */
export class Agent {
  private constructor(
    readonly config: AgentConfig,
    readonly spool: Spool,
    readonly sessions: SessionManager,
    readonly uploader: Uploader,
    readonly gateways: readonly GatewayConnection[],
    readonly ops: OpsServer,
    readonly timers: readonly NodeJS.Timeout[],
    readonly log: Logger,
  ) {}

  static async start(config: AgentConfig, log: Logger): Promise<Agent> {
    let identity = await identityOf(config, log)
    const engines = await loadEngines()
    const spool = new Spool({
      directory: path.join(config.dataDir, 'spool'),
      maxBytes: config.spoolMaxBytes,
      maxAgeMilliseconds: config.spoolMaxAgeMilliseconds,
      signer: { key: keyIdOf(identity.publicKey), sign: (text) => identity.signAudit(text) },
      onFailure: (error) => log.error({ error_code: error.code, error_message: error.message }, 'the audit spool refuses: nothing runs until the cause is mended and this agent is started again'),
    })
    closeUnfinished(spool)
    spool.appendClosing({ kind: 'agent.start', version })
    const instanceId = randomUUID()
    const link = new ControlLink(identity.nodeId, instanceId, (payload) => identity.sign(payload), identity.pinnedKeys, log)
    const desk = new RemoteApprovalDesk(link)
    const uploader = new Uploader(spool, link)
    const sessions = new SessionManager({
      agentId: identity.nodeId,
      keys: identity.pinnedKeys,
      engines,
      spool,
      recordAgreed: uploader.agreed,
      approvals: desk,
      credentials: new ReferenceResolver(config.credentials),
      decrypt: (jwe) => identity.decrypt(jwe),
      log,
      maxSessions: config.maxSessions,
      auditWaitMilliseconds: config.auditWaitMilliseconds,
    })
    const renewLeases = (): void => {
      const sessionIds = sessions.dueForRenewal()
      if (sessionIds.length > 0) link.sendByAll({ leaseRequest: { sessionIds } })
    }
    link.handle({
      held: (payload) => desk.held(payload),
      decided: (payload) => desk.decided(payload),
      lease: (payload) => sessions.renew(payload.sids, payload.exp, payload.versions),
      ack: (seq) => {
        if (seq > spool.lastSeq) log.error({ acknowledged: seq, spooled: spool.lastSeq }, 'the spool was lost or an older copy was restored: nothing runs until this agent is revoked and enrolled again')
        uploader.acknowledge(seq)
      },
      kill: (sid, reason, recorded) => sessions.kill(sid, reason, recorded),
      grant: (jws) => void sessions.update(jws),
      attached: () => {
        desk.resend()
        renewLeases()
      },
    })
    const gateways = config.gateways.map(
      (address) =>
        new GatewayConnection({
          address,
          credentials: () => identity.channelCredentials('gateway'),
          instanceId,
          version,
          protocols: [...engines.keys()],
          link,
          onChannel: (channel, open) =>
            void sessions.open({ sessionId: open.sessionId, grant: open.grant, parameters: open.parameters, channel, onSignal: (handler) => channel.onSignal(handler) }),
          log,
        }),
    )
    const ops = await startOps(config, sessions, spool, gateways)
    let full = false
    const timers = [
      setInterval(renewLeases, leaseEveryMilliseconds),
      setInterval(() => {
        uploader.urgent = sessions.strict || spool.awaited
        if (spool.full !== full && !spool.failure) log[spool.full ? 'error' : 'info']({ spool_bytes: spool.bytes }, spool.full ? 'the audit spool takes nothing new: it holds as much as it may, or its disk has no room' : 'the audit spool takes records again')
        full = spool.full
      }, 100),
      setInterval(() => {
        renewIfNeeded(identity, { endpoint: config.enrolEndpoint, peer: 'gateway' }).then(
          (renewed) => {
            identity = renewed
          },
          (error: unknown) => log.error({ error_name: error instanceof Error ? error.name : 'unknown' }, 'certificate could not be renewed'),
        )
      }, renewEveryMilliseconds),
    ]
    for (const timer of timers) timer.unref()
    for (const gateway of gateways) gateway.start()
    void uploader.run()
    log.info({ agent_id: identity.nodeId, agent_name: identity.name, ops_port: ops.port }, 'ready')
    return new Agent(config, spool, sessions, uploader, gateways, ops, timers, log)
  }

  /** Drains: no new session, the live ones may end, what is recorded is sent; then closes. */
  async stop(): Promise<void> {
    for (const gateway of this.gateways) gateway.draining()
    await this.sessions.drain(this.config.drainMilliseconds)
    // A spool that refuses must not keep the process from ending in order.
    if (!this.spool.failure) this.spool.appendClosing({ kind: 'agent.stop', version })
    await this.uploader.flush(3000)
    this.uploader.stop()
    for (const timer of this.timers) clearInterval(timer)
    for (const gateway of this.gateways) gateway.stop()
    await this.ops.close()
    await this.spool.close()
    this.log.info({}, 'stopped')
  }
}

async function identityOf(config: AgentConfig, log: Logger): Promise<NodeIdentity> {
  const existing = await loadIdentity(config.dataDir)
  if (existing) return existing
  if (config.enrolmentToken === undefined || config.enrolmentToken === '') {
    throw new ConfigError('this agent has not enrolled yet: set SALLYPORT_ENROLMENT_TOKEN_FILE (make a token with `sallyport agents token NAME`)')
  }
  log.info({ endpoint: config.enrolEndpoint }, 'enrolling')
  return enrol({ endpoint: config.enrolEndpoint, token: config.enrolmentToken, kind: 'agent', dataDir: config.dataDir })
}

/**
 * What a crash left open gets its end in the record: nobody knows any more how it ended. As closing records: an agent whose spool
 * is full must be able to start, or nobody would send what is in it.
 */
function closeUnfinished(spool: Spool): void {
  for (const { session, commands, started, ended, bestEffort } of spool.unfinished) {
    for (const command of commands) {
      spool.appendClosing({ kind: 'command.end', session, command, status: 'unknown', rows: 0, bytes: 0, duration_us: 0, masked: 0 })
    }
    if (ended) continue
    if (bestEffort) spool.appendClosing({ kind: 'gap', session, audit: 'best_effort', first_command: started + 1, missing: {}, reason: 'agent_crashed', certain: false })
    spool.appendClosing({ kind: 'session.end', session, reason: 'agent_crashed', commands: started })
  }
}

function startOps(config: AgentConfig, sessions: SessionManager, spool: Spool, gateways: readonly GatewayConnection[]): Promise<OpsServer> {
  const metrics = createMetrics('sallyport_agent_')
  metrics.gauge('sessions', 'Live sessions', [], () => sessions.size)
  metrics.gauge('spool_bytes', 'Bytes of events on disk that the control plane has not acknowledged', [], () => spool.bytes)
  metrics.gauge('spool_records_behind', 'Events that the control plane has not acknowledged', [], () => spool.lastSeq - spool.acked)
  metrics.gauge('spool_oldest_seconds', 'Seconds since which the oldest event waits for the control plane', [], () => spool.backlogMilliseconds / 1000)
  metrics.gauge('spool_full', '1 when the spool takes nothing new: it holds as much as it may, or its disk has no room', [], () => (spool.full ? 1 : 0))
  metrics.gauge('spool_failed', '1 when the spool can not be written any more: every command is denied until a restart', [], () => (spool.failure ? 1 : 0))
  metrics.gauge('gateways_connected', 'Gateways that this agent is connected to', [], () => gateways.filter((gateway) => gateway.connected).length)
  return startOpsServer({
    host: config.ops.host,
    port: config.ops.port,
    registry: metrics.registry,
    ready: () => {
      const connected = gateways.filter((gateway) => gateway.connected).length
      const { failure } = spool
      return { ok: connected > 0 && !failure && !spool.full, checks: { gateways_connected: connected, gateways_configured: gateways.length, spool_bytes: spool.bytes, spool: failure?.code ?? (spool.full ? 'full' : spool.overdue ? 'overdue' : 'ok') } }
    },
  })
}
