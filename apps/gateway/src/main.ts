import { enrol, IdentityError, loadIdentity, type NodeIdentity } from '@sallyport/node-identity'
import { createLogger, type Logger } from '@sallyport/telemetry'
import { ConfigError, loadConfig, type GatewayConfig } from './config/config.js'
import { Gateway, VERSION } from './gateway.js'
import { protocols } from './protocols.js'

const log = createLogger('gateway')

/** The identity of an earlier start, or a new one for the one-time token. Waits for the control plane to come up. */
async function ownIdentity(config: GatewayConfig, logger: Logger): Promise<NodeIdentity> {
  const existing = await loadIdentity(config.dataDir)
  if (existing !== undefined) return existing
  if (config.enrolmentToken === undefined) {
    throw new IdentityError('ENROLMENT_REFUSED', 'this gateway is not enrolled: set SALLYPORT_ENROLMENT_TOKEN or SALLYPORT_ENROLMENT_TOKEN_FILE')
  }
  const { controlPlane: endpoint, enrolmentToken: token, hostnames, dataDir } = config
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await enrol({ endpoint, token, kind: 'gateway', hostnames, dataDir })
    } catch (error) {
      if (!(error instanceof IdentityError) || error.code !== 'UNREACHABLE' || attempt === 10) throw error
      logger.warn({ attempt, endpoint }, 'control plane not reachable for enrolment')
    }
  }
}

async function main(): Promise<void> {
  const config = await loadConfig(process.env, protocols)
  const identity = await ownIdentity(config, log)
  const gateway = new Gateway(config, identity, protocols, log)
  let stopping = false
  const stop = (): void => {
    if (stopping) process.exit(1) // a second signal doesn't wait
    stopping = true
    gateway.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.fatal({ error }, 'stop failed')
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  process.on('SIGHUP', () => void gateway.reload())
  const ports = await gateway.start()
  log.info(
    { version: VERSION, control_plane: gateway.controlPlaneConnected, gateway_id: identity.nodeId, tunnel_port: ports.tunnel, ops_port: ports.ops, listeners: ports.listeners },
    'ready',
  )
}

main().catch((error: unknown) => {
  if (error instanceof ConfigError) log.fatal({ problems: error.problems }, 'configuration is not valid')
  else log.fatal({ error }, 'start failed')
  process.exit(1)
})
