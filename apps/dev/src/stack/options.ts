/** What a stack is made of. */
export interface StackOptions {
  /** Repository root: where the apps' builds and examples/ lie. */
  readonly root: string
  readonly dataDirectory: string
  /** Remove the data directory at the end. */
  readonly temporary: boolean
  readonly ports: StackPorts
  readonly agents: number
  readonly gateways: number
  /** Replaces the demo's policies. */
  readonly policyFile?: string
  /** Added to the environment of every process; for tests of limits. */
  readonly environment?: Readonly<Record<string, string>>
  /** Progress, for people. */
  readonly say: (text: string) => void
}

/** 0 means any free port. */
export interface StackPorts {
  readonly api: number
  readonly grpc: number
  readonly tunnel: number
  readonly gatewayOps: number
  readonly issuer: number
  readonly target: number
  readonly agentOps: number
  readonly postgres: number
  /** The demo host's sshd. */
  readonly host: number
  /** The gateway's listener for SSH. */
  readonly ssh: number
  /** The demo cluster's API server. */
  readonly cluster: number
  /** The gateway's listener for Kubernetes. */
  readonly kubernetes: number
  /** The demo's identity provider for people. */
  readonly people: number
}

export const freePorts: StackPorts = { api: 0, grpc: 0, tunnel: 0, gatewayOps: 0, issuer: 0, target: 0, agentOps: 0, postgres: 0, host: 0, ssh: 0, cluster: 0, kubernetes: 0, people: 0 }

/** The ports of `npm start`, as README and examples name them. */
export const defaultPorts: StackPorts = {
  api: 8470, grpc: 8471, tunnel: 8472, gatewayOps: 8473, issuer: 8474, target: 8475, agentOps: 8476, postgres: 15432, host: 8477, ssh: 12222, cluster: 8478, kubernetes: 16443, people: 8479,
}

export function shiftPorts(ports: StackPorts, offset: number): StackPorts {
  const shift = (port: number): number => port + offset
  return {
    api: shift(ports.api), grpc: shift(ports.grpc), tunnel: shift(ports.tunnel), gatewayOps: shift(ports.gatewayOps),
    issuer: shift(ports.issuer), target: shift(ports.target), agentOps: shift(ports.agentOps), postgres: shift(ports.postgres),
    host: shift(ports.host), ssh: shift(ports.ssh), cluster: shift(ports.cluster), kubernetes: shift(ports.kubernetes), people: shift(ports.people),
  }
}

/** The second and further gateways or agents don't take the fixed port but a free one. */
export function portFor(port: number, index: number): number {
  return index === 0 ? port : 0
}
