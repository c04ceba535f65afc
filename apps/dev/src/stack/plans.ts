import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ProcessPlan } from '../process/managed-process.js'
import { portFor, type StackOptions } from './options.js'

/** How each process of a stack is started: the one place that knows their environment variables. */

const readyTimeoutMilliseconds = 60_000

export interface StackFiles {
  readonly data: string
  readonly logs: string
  readonly tokens: string
  readonly adminToken: string
  readonly caFile: string
}

export function stackFiles(dataDirectory: string): StackFiles {
  return {
    data: dataDirectory,
    logs: join(dataDirectory, 'logs'),
    tokens: join(dataDirectory, 'tokens'),
    adminToken: join(dataDirectory, 'tokens', 'ada'),
    caFile: join(dataDirectory, 'ca.pem'),
  }
}

export function apiPlan(options: StackOptions, files: StackFiles): ProcessPlan {
  return plan(options, files, 'api', 'api', {
    SALLYPORT_HTTP_HOST: '127.0.0.1',
    SALLYPORT_HTTP_PORT: String(options.ports.api),
    SALLYPORT_GRPC_HOST: '127.0.0.1',
    SALLYPORT_GRPC_PORT: String(options.ports.grpc),
    SALLYPORT_DATA_DIR: join(files.data, 'api'),
    SALLYPORT_INSECURE_HTTP: 'true',
    SALLYPORT_BOOTSTRAP_ADMIN: 'ada',
    SALLYPORT_BOOTSTRAP_TOKEN_FILE: files.adminToken,
    SALLYPORT_GATEWAY_PUBLIC_HOST: 'localhost',
    SALLYPORT_OIDC_DEMO_SECRET: clientSecret(files),
    ...(options.ports.postgres === 0 ? {} : { SALLYPORT_GATEWAY_PUBLIC_POSTGRES_PORT: String(options.ports.postgres) }),
    ...(options.ports.ssh === 0 ? {} : { SALLYPORT_GATEWAY_PUBLIC_SSH_PORT: String(options.ports.ssh) }),
    ...(options.ports.kubernetes === 0 ? {} : { SALLYPORT_GATEWAY_PUBLIC_KUBERNETES_PORT: String(options.ports.kubernetes) }),
  })
}

export const peopleProviderName = 'demo-people'

/** The identity provider for people. */
export function peoplePlan(options: StackOptions, files: StackFiles, apiUrl: string): ProcessPlan {
  return {
    name: peopleProviderName,
    argv: [join(options.root, 'apps', 'dev', 'dist', 'people', 'main.js'), '--port', String(options.ports.people), '--client', apiUrl, '--provider', peopleProviderName],
    env: { NODE_ENV: 'production', NODE_COMPILE_CACHE: join(options.root, 'node_modules', '.cache', 'compiled'), PEOPLE_CLIENT_SECRET: clientSecret(files) },
    cwd: files.data,
    logFile: join(files.logs, `${peopleProviderName}.log`),
    readyTimeoutMilliseconds,
  }
}

/** What Sallyport proves itself to it with; the same over restarts. */
function clientSecret(files: StackFiles): string {
  const file = join(files.tokens, 'people-client')
  if (!existsSync(file)) writeFileSync(file, randomBytes(24).toString('base64url'), { mode: 0o600 })
  return readFileSync(file, 'utf8')
}

export function gatewayPlan(options: StackOptions, files: StackFiles, index: number, grpcPort: number, tokenFile: string): ProcessPlan {
  return plan(options, files, 'gateway', `gateway-${index}`, {
    SALLYPORT_GATEWAY_DATA_DIR: join(files.data, `gateway-${index}`),
    SALLYPORT_CONTROL_PLANE: `127.0.0.1:${grpcPort}`,
    SALLYPORT_ENROLMENT_TOKEN_FILE: tokenFile,
    SALLYPORT_GATEWAY_LISTEN_POSTGRES: `127.0.0.1:${portFor(options.ports.postgres, index)}`,
    SALLYPORT_GATEWAY_LISTEN_SSH: `127.0.0.1:${portFor(options.ports.ssh, index)}`,
    SALLYPORT_GATEWAY_LISTEN_KUBERNETES: `127.0.0.1:${portFor(options.ports.kubernetes, index)}`,
    SALLYPORT_GATEWAY_TUNNEL_LISTEN: `127.0.0.1:${portFor(options.ports.tunnel, index)}`,
    SALLYPORT_GATEWAY_OPS_LISTEN: `127.0.0.1:${portFor(options.ports.gatewayOps, index)}`,
    SALLYPORT_GATEWAY_HOSTNAMES: 'localhost,127.0.0.1',
    // Within the patience of the runner, which stops everything at once.
    SALLYPORT_GATEWAY_DRAIN_MS: '2000',
  })
}

export function agentPlan(
  options: StackOptions, files: StackFiles, index: number, tunnels: readonly string[], tokenFile: string, credentials: AgentCredentials,
): ProcessPlan {
  return plan(options, files, 'agent', `agent-${index}`, {
    SALLYPORT_AGENT_DATA_DIR: join(files.data, `agent-${index}`),
    SALLYPORT_AGENT_GATEWAYS: tunnels.join(','),
    SALLYPORT_ENROLMENT_TOKEN_FILE: tokenFile,
    SALLYPORT_AGENT_OPS_LISTEN: `127.0.0.1:${portFor(options.ports.agentOps, index)}`,
    SALLYPORT_AGENT_CREDENTIALS: ['env:ORDERS_*', ...credentials.files.map((file) => `file:${file}`)].join(','),
    SALLYPORT_AGENT_DRAIN_SECONDS: '2',
    ORDERS_DB_PASSWORD: credentials.password,
  })
}

/** What an agent logs in to the targets with. */
export interface AgentCredentials {
  readonly password: string
  /** Files that targets' documents name: the CA key for the demo host, where there is one, and the cluster's token. */
  readonly files: readonly string[]
}

function plan(options: StackOptions, files: StackFiles, app: string, name: string, env: Readonly<Record<string, string>>): ProcessPlan {
  return {
    name,
    argv: [join(options.root, 'apps', app, 'dist', 'main.js')],
    // Compiled code is kept between starts: loading modules is most of what a start takes.
    env: { NODE_ENV: 'production', NODE_COMPILE_CACHE: join(options.root, 'node_modules', '.cache', 'compiled'), ...env, ...options.environment },
    cwd: files.data,
    logFile: join(files.logs, `${name}.log`),
    readyTimeoutMilliseconds,
  }
}
