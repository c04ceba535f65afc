import type { ManagedProcess } from '../process/managed-process.js'

const patienceMilliseconds = 30_000
const lookEveryMilliseconds = 25

/** Resolves when every running agent holds a tunnel to every running gateway, as their readiness tells. */
export async function connected(agents: readonly ManagedProcess[], gateways: readonly ManagedProcess[]): Promise<void> {
  const deadline = Date.now() + patienceMilliseconds
  await Promise.all(agents.filter((agent) => agent.running).map((agent) => agentConnected(agent, gateways, deadline)))
}

async function agentConnected(agent: ManagedProcess, gateways: readonly ManagedProcess[], deadline: number): Promise<void> {
  const url = `http://127.0.0.1:${agent.port('ops_port')}/readyz`
  while (agent.running) {
    const wanted = gateways.filter((gateway) => gateway.running).length
    if ((await tunnels(url)) >= wanted) return
    if (Date.now() > deadline) throw new Error(`${agent.name} isn't connected to every gateway; log: ${agent.logFile}`)
    await new Promise((resolve) => setTimeout(resolve, lookEveryMilliseconds))
  }
}

/** Gateways that the agent says it is connected to; 0 while it doesn't answer. */
async function tunnels(url: string): Promise<number> {
  try {
    const answer: unknown = await (await fetch(url, { signal: AbortSignal.timeout(2000) })).json()
    const checks = typeof answer === 'object' && answer !== null && 'checks' in answer ? answer.checks : undefined
    const count = typeof checks === 'object' && checks !== null && 'gateways_connected' in checks ? checks.gateways_connected : 0
    return typeof count === 'number' ? count : 0
  } catch {
    return 0
  }
}
