import type { AgentConnection } from './agent-connection.js'

/** The agents on this gateway, by id. An agent that restarts or reconnects may be here twice for a moment. */
export class AgentDirectory {
  readonly #connections = new Map<string, Set<AgentConnection>>()

  add(connection: AgentConnection): void {
    const group = this.#connections.get(connection.agentId) ?? new Set()
    group.add(connection)
    this.#connections.set(connection.agentId, group)
  }

  remove(connection: AgentConnection): void {
    const group = this.#connections.get(connection.agentId)
    group?.delete(connection)
    if (group?.size === 0) this.#connections.delete(connection.agentId)
  }

  /** Where a new session of this agent goes: the newest connection that the control plane accepted and that isn't draining. */
  inService(agentId: string): AgentConnection | undefined {
    return [...(this.#connections.get(agentId) ?? [])].findLast((connection) => connection.state === 'in-service')
  }

  of(agentId: string, instanceId?: string): AgentConnection[] {
    const group = [...(this.#connections.get(agentId) ?? [])]
    return instanceId === undefined ? group : group.filter((connection) => connection.instanceId === instanceId)
  }

  all(): AgentConnection[] {
    return [...this.#connections.values()].flatMap((group) => [...group])
  }

  get inServiceCount(): number {
    return this.all().filter((connection) => connection.state === 'in-service').length
  }
}
