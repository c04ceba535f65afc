import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '@sallyport/embedded-postgres'
import { ControlPlane } from '../control-plane.js'
import { demoDocuments, type DemoAddresses } from '../demo/documents.js'
import { DevelopmentIssuer } from '../issuer.js'
import { ManagedProcess, type ProcessPlan } from '../process/managed-process.js'
import { requireFree } from '../process/ports.js'
import type { Resources } from '../process/resources.js'
import { endAll, serversUnder, Watchdog } from '../process/watchdog.js'
import type { StackOptions, StackPorts } from './options.js'
import { agentPlan, apiPlan, gatewayPlan, peoplePlan, stackFiles, type StackFiles } from './plans.js'
import { clusterOf, clusterPlan, type DemoCluster } from './cluster.js'
import { startHost, type DemoHost } from './host.js'
import { connected } from './connected.js'
import { startTarget, type DemoTarget } from './target.js'

export const demoTargetName = 'orders-db'
const userTokenSeconds = 30 * 24 * 3600
const agentLabels = { site: 'demo' }
/** The names that the gateway's certificate may bear. */
const gatewayLabels = { hostnames: 'localhost,127.0.0.1' }

/** The whole system, running on this machine. */
export interface Stack {
  readonly files: StackFiles
  readonly issuer: DevelopmentIssuer
  /** Where people sign in. */
  readonly peopleUrl: string
  readonly target: DemoTarget
  /** Undefined where OpenSSH's server isn't installed. */
  readonly host: DemoHost | undefined
  readonly cluster: DemoCluster
  readonly api: ManagedProcess
  readonly gateways: readonly ManagedProcess[]
  readonly agents: readonly ManagedProcess[]
  readonly controlPlane: ControlPlane
  readonly apiUrl: string
  readonly adminToken: string
  /** Tokens by user name. */
  readonly userTokens: Readonly<Record<string, string>>
  /** Ends the process if it still runs, starts it again on the same ports and data, and waits until agents are connected. */
  restart(name: string): Promise<ManagedProcess>
}

/**
 * Starts demo target, issuer, control plane, gateways and agents, and sets them up through the REST API. Everything
 * started is handed to `resources`, whose `close()` ends it all; that works at any moment, also half-way through.
 * Rejects with the log's last lines of what didn't start.
 */
export async function startStack(options: StackOptions, resources: Resources): Promise<Stack> {
  const files = stackFiles(options.dataDirectory)
  prepareDirectories(options, files)
  const watchdog = new Watchdog()
  resources.defer(() => watchdog.finish())
  watchdog.directory(files.data, options.temporary)
  // What `kill -9` of a control plane leaves behind: its embedded database.
  resources.defer(() => endAll(serversUnder(files.data), 'SIGINT', 5000))
  // And what such a run of `npm start` left for this one.
  await endAll(serversUnder(files.data), 'SIGINT', 5000)
  await requireFreePorts(options.ports)

  // The control plane tells clients where the gateway listens before there is one.
  const chosen = async (port: number): Promise<number> => (port === 0 ? freePort() : port)
  const { postgres, ssh, kubernetes } = options.ports
  const ports = { ...options.ports, postgres: await chosen(postgres), ssh: await chosen(ssh), kubernetes: await chosen(kubernetes) }
  const settled = { ...options, ports }
  const launcher = new Launcher(resources, watchdog, options)

  const [issuer, target, host, cluster, api] = await Promise.all([
    startIssuer(ports, files, resources),
    startTarget(files.data, ports.target, options.temporary, resources),
    startHost({ dataDirectory: files.data, logFile: join(files.logs, 'sshd.log'), port: ports.host, say: options.say }, watchdog, resources),
    launcher.start(clusterPlan(settled, files)).then(clusterOf),
    launcher.start(apiPlan(settled, files)),
  ])
  api.fix({ SALLYPORT_HTTP_PORT: String(urlPort(api)), SALLYPORT_GRPC_PORT: String(api.port('grpc_port')) })
  const apiUrl = String(api.field('http_url'))
  const adminToken = readFileSync(files.adminToken, 'utf8').trim()
  const controlPlane = new ControlPlane(apiUrl, adminToken)
  const people = await launcher.start(peoplePlan(settled, files, apiUrl))
  const peopleUrl = String(people.field('url'))
  await applyDemo(options, files, controlPlane, { issuerUrl: issuer.url, peopleUrl, targetPort: target.port, host: host?.facts, cluster: cluster.facts })

  const gateways = await startSeveral(options.gateways, async (index) => {
    const token = await enrolment(files, controlPlane, 'gateway', index)
    const gateway = await launcher.start(gatewayPlan(settled, files, index, api.port('grpc_port'), token))
    gateway.fix({
      SALLYPORT_GATEWAY_LISTEN_POSTGRES: `127.0.0.1:${gateway.port('listeners.postgres')}`,
      ...listenSsh(gateway),
      SALLYPORT_GATEWAY_LISTEN_KUBERNETES: `127.0.0.1:${gateway.port('listeners.kubernetes')}`,
      SALLYPORT_GATEWAY_TUNNEL_LISTEN: `127.0.0.1:${gateway.port('tunnel_port')}`,
    })
    return gateway
  })
  const tunnels = gateways.map((gateway) => `127.0.0.1:${gateway.port('tunnel_port')}`)
  const agents = await startSeveral(options.agents, async (index) => {
    const token = await enrolment(files, controlPlane, 'agent', index)
    return launcher.start(agentPlan(settled, files, index, tunnels, token, { password: target.password, files: [...(host ? [host.facts.caKeyFile] : []), cluster.facts.tokenFile] }))
  })

  writeFileSync(files.caFile, await controlPlane.clientAuthority(demoTargetName))
  const userTokens = { ada: adminToken, dana: await danaToken(files, apiUrl, controlPlane) }
  await connected(agents, gateways)
  return {
    files, issuer, peopleUrl, target, host, cluster, api, gateways, agents, controlPlane, apiUrl, adminToken, userTokens,
    restart: async (name) => {
      const process = await launcher.restart(name)
      await connected(agents, gateways)
      return process
    },
  }
}

/** Starts Sallyport's own processes and remembers them by name. */
class Launcher {
  readonly #resources: Resources
  readonly #watchdog: Watchdog
  readonly #options: StackOptions
  readonly #processes = new Map<string, ManagedProcess>()

  constructor(resources: Resources, watchdog: Watchdog, options: StackOptions) {
    this.#resources = resources
    this.#watchdog = watchdog
    this.#options = options
  }

  async start(plan: ProcessPlan): Promise<ManagedProcess> {
    this.#resources.ensureOpen()
    this.#options.say(`starting ${plan.name}`)
    const process = new ManagedProcess(plan, this.#watchdog, (ended, how) => {
      this.#options.say(`${ended.name} ended (${how}); its log: ${ended.logFile}`)
    })
    this.#resources.defer(() => process.stop())
    this.#processes.set(plan.name, process)
    await process.start()
    return process
  }

  async restart(name: string): Promise<ManagedProcess> {
    const process = this.#processes.get(name)
    if (process === undefined) throw new Error(`no process ${name}; there are: ${[...this.#processes.keys()].join(', ')}`)
    await process.stop()
    this.#resources.ensureOpen()
    await process.start()
    return process
  }
}

function prepareDirectories(options: StackOptions, files: StackFiles): void {
  for (const directory of [files.data, files.logs, files.tokens]) mkdirSync(directory, { recursive: true })
  // Others may pass through (the database server's account under root), not look inside.
  chmodSync(files.data, 0o711)
  chmodSync(files.tokens, 0o700)
  if (!options.temporary) writeFileSync(join(files.data, '.gitignore'), '*\n')
}

async function requireFreePorts(ports: StackPorts): Promise<void> {
  for (const [purpose, port] of Object.entries(ports)) if (port !== 0) await requireFree(port, purpose)
}

async function startIssuer(ports: StackPorts, files: StackFiles, resources: Resources): Promise<DevelopmentIssuer> {
  const issuer = await DevelopmentIssuer.start({ port: ports.issuer, keyFile: join(files.data, 'issuer-key.json') })
  resources.defer(() => issuer.stop())
  return issuer
}

/** Once, and again when an address moved: what a person changed through the API since then stays. */
async function applyDemo(
  options: StackOptions, files: StackFiles, controlPlane: ControlPlane, addresses: DemoAddresses,
): Promise<void> {
  const marker = join(files.data, 'demo-applied.json')
  const wanted = JSON.stringify({ ...addresses, policy: options.policyFile ?? null })
  if (existsSync(marker) && readFileSync(marker, 'utf8') === wanted) return
  options.say('applying examples/demo')
  await controlPlane.apply(demoDocuments(join(options.root, 'examples', 'demo'), addresses, options.policyFile))
  writeFileSync(marker, wanted)
}

/** A token file for a node that has never enrolled. A node with an identity of its own ignores the file. */
async function enrolment(files: StackFiles, controlPlane: ControlPlane, kind: 'agent' | 'gateway', index: number): Promise<string> {
  const name = `${kind}-${index}`
  const tokenFile = join(files.tokens, name)
  if (!existsSync(join(files.data, name))) {
    rmSync(tokenFile, { force: true })
    writeFileSync(tokenFile, await controlPlane.enrolmentToken(kind, name, kind === 'agent' ? agentLabels : gatewayLabels), { mode: 0o600 })
  }
  return tokenFile
}

async function danaToken(files: StackFiles, apiUrl: string, controlPlane: ControlPlane): Promise<string> {
  const file = join(files.tokens, 'dana')
  if (existsSync(file)) {
    const kept = readFileSync(file, 'utf8').trim()
    if (await new ControlPlane(apiUrl, kept).accepts()) return kept
  }
  const token = await controlPlane.userToken('dana', 'demo', userTokenSeconds)
  writeFileSync(file, token + '\n', { mode: 0o600 })
  return token
}

function listenSsh(gateway: ManagedProcess): Record<string, string> {
  const port = gateway.portOrNone('listeners.ssh')
  return port === undefined ? {} : { SALLYPORT_GATEWAY_LISTEN_SSH: `127.0.0.1:${port}` }
}

function urlPort(api: ManagedProcess): number {
  const port = Number(new URL(String(api.field('http_url'))).port)
  if (port === 0) throw new Error("the control plane's ready line has no port in http_url")
  return port
}

async function startSeveral(count: number, start: (index: number) => Promise<ManagedProcess>): Promise<ManagedProcess[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => start(index)))
}
