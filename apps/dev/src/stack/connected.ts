import type { ManagedProcess } from '../process/managed-process.js'

const patienceMilliseconds = 30_000
const lookEveryMilliseconds = 25

/** Resolves when every running gateway is linked to the control plane and every running agent to every running gateway. */
export async function connected(agents: readonly ManagedProcess[], gateways: readonly ManagedProcess[]): Promise<void> {
  const deadline = Date.now() + patienceMilliseconds
  const running = gateways.filter((gateway) => gateway.running)
  await Promise.all([
    ...running.map((gateway) => until(gateway, deadline, ({ ok }) => ok)),
    ...agents.filter((agent) => agent.running).map((agent) => until(agent, deadline, ({ tunnels }) => tunnels >= running.length)),
  ])
}

async function until(process: ManagedProcess, deadline: number, reached: (readiness: Readiness) => boolean): Promise<void> {
  const url = `http://127.0.0.1:${process.port('ops_port')}/readyz`
  while (process.running) {
    const readiness = await readinessAt(url)
    if (reached(readiness)) return
    if (Date.now() > deadline) throw new Error(`${process.name} isn't connected (${readiness.text}); log: ${process.logFile}`)
    await new Promise((resolve) => setTimeout(resolve, lookEveryMilliseconds))
  }
}

interface Readiness {
  readonly ok: boolean
  /** Gateways that an agent says it is connected to. */
  readonly tunnels: number
  readonly text: string
}

async function readinessAt(url: string): Promise<Readiness> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) })
    const text = await response.text()
    return { ok: response.ok, tunnels: Number(/"gateways_connected":(\d+)/.exec(text)?.[1] ?? 0), text }
  } catch {
    return { ok: false, tunnels: 0, text: "it doesn't answer" }
  }
}
