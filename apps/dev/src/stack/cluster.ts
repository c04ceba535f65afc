import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ClusterFacts } from '../demo/documents.js'
import type { ManagedProcess, ProcessPlan } from '../process/managed-process.js'
import type { StackOptions } from './options.js'
import type { StackFiles } from './plans.js'

export const demoClusterName = 'demo-cluster'

/** The demo's cluster: a stand-in for an API server, as the agent will reach it and as tests look behind Sallyport's back. */
export interface DemoCluster {
  readonly facts: ClusterFacts
  readonly process: ManagedProcess
  /** For an administrator of the cluster, past Sallyport. */
  readonly kubeconfigFile: string
}

export function clusterPlan(options: StackOptions, files: StackFiles): ProcessPlan {
  return {
    name: demoClusterName,
    argv: [join(options.root, 'test', 'demo-cluster', 'dist', 'main.js'), '--port', String(options.ports.cluster), '--data', join(files.data, 'cluster')],
    env: { NODE_COMPILE_CACHE: join(options.root, 'node_modules', '.cache', 'compiled') },
    cwd: files.data,
    logFile: join(files.logs, `${demoClusterName}.log`),
    readyTimeoutMilliseconds: 60_000,
  }
}

/** What its ready line says. */
export function clusterOf(process: ManagedProcess): DemoCluster {
  const text = (name: string): string => {
    const value = process.field(name)
    if (typeof value !== 'string') throw new Error(`${demoClusterName} is ready but its ready line has no ${name}; see ${process.logFile}`)
    return value
  }
  return {
    facts: { server: text('url'), caPem: readFileSync(text('caFile'), 'utf8'), tokenFile: text('tokenFile') },
    process,
    kubeconfigFile: text('kubeconfigFile'),
  }
}
