import { join } from 'node:path'
import type { ManagedProcess } from '../process/managed-process.js'
import { demoClusterName } from './cluster.js'
import { demoHostName } from './host.js'
import { demoTargetName, type Stack } from './stack.js'

/** The harness' JSON line: everything that a test, a benchmark or a person needs to use this stack. */
export async function describeStack(stack: Stack, root: string): Promise<Record<string, unknown>> {
  const { host } = stack
  // The database first: it is what the tests of a stack mostly are about.
  const targets = (await stack.controlPlane.targets()).toSorted((a, b) => Number(b.name === demoTargetName) - Number(a.name === demoTargetName))
  const gateways = stack.gateways.map((gateway) => ({
    name: gateway.name,
    pid: gateway.pid,
    host: 'localhost',
    postgresPort: gateway.port('listeners.postgres'),
    ...sshOf(gateway, stack.files.data),
    httpsPort: gateway.port('listeners.kubernetes'),
    tunnelPort: gateway.port('tunnel_port'),
    ...optionalPort(gateway.field('ops_port'), 'opsPort'),
    log: gateway.logFile,
  }))
  return {
    api: { url: stack.apiUrl, adminToken: stack.adminToken, grpcPort: stack.api.port('grpc_port'), log: stack.api.logFile },
    gateway: { host: 'localhost', postgresPort: gateways[0]?.postgresPort, httpsPort: gateways[0]?.httpsPort, caFile: stack.files.caFile, ...(stack.gateways[0] && sshOf(stack.gateways[0], stack.files.data)) },
    gateways,
    agents: stack.agents.map((agent) => ({
      name: agent.name, pid: agent.pid, log: agent.logFile, dataDir: join(stack.files.data, agent.name),
      ...optionalPort(agent.field('ops_port'), 'opsPort'),
    })),
    targets: targets.map((target) => ({
      ...target,
      ...(target.name === demoTargetName ? { directUrl: stack.target.directUrl, superuserUrl: stack.target.superuserUrl } : {}),
      ...(target.name === demoHostName && host ? { directUrl: host.directUrl, identityFile: host.identityFile, knownHostsFile: host.knownHostsFile, projectDirectory: host.facts.projectDirectory } : {}),
      ...(target.name === demoClusterName ? { directUrl: stack.cluster.facts.server, kubeconfigFile: stack.cluster.kubeconfigFile } : {}),
    })),
    issuer: { url: stack.issuer.url, mintUrl: stack.issuer.mintUrl },
    people: { url: stack.peopleUrl },
    users: Object.fromEntries(Object.entries(stack.userTokens).map(([name, token]) => [name, { token }])),
    cli: { argv: cliCommand(root), env: { SALLYPORT_URL: stack.apiUrl, SALLYPORT_TOKEN: stack.adminToken } },
    pids: {
      runner: process.pid,
      api: stack.api.pid,
      gateway: stack.gateways.map((gateway) => gateway.pid),
      agent: stack.agents.map((agent) => agent.pid),
      target: stack.target.pid,
      cluster: stack.cluster.process.pid,
      ...(host ? { host: host.pid } : {}),
    },
    dataDir: stack.files.data,
    logsDir: stack.files.logs,
  }
}

export function cliCommand(root: string): string[] {
  return [process.execPath, join(root, 'apps', 'cli', 'dist', 'main.js')]
}

/** A gateway's listener for SSH, and the file of its host keys that it writes at its start. */
function sshOf(gateway: ManagedProcess, data: string): Record<string, unknown> {
  const sshPort = gateway.portOrNone('listeners.ssh')
  return sshPort === undefined ? {} : { sshPort, knownHostsFile: join(data, gateway.name, 'known_hosts') }
}

function optionalPort(value: unknown, name: string): Record<string, number> {
  return typeof value === 'number' ? { [name]: value } : {}
}
