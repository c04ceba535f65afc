#!/usr/bin/env node
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { clusterFiles } from './files.js'
import { DemoCluster } from './server.js'

/**
 * `main.js --data DIR [--port PORT]`: runs the stand-in until SIGTERM. One JSON line says where it is. A pod's ports are this
 * machine's own on loopback, as if every pod had the host's network.
 */
const { values } = parseArgs({ options: { data: { type: 'string' }, port: { type: 'string', default: '0' }} })
if (values.data === undefined) {
  process.stderr.write('usage: main.js --data DIR [--port PORT]\n')
  process.exit(2)
}
const { certificates, token, caFile, tokenFile, podsDirectory } = await clusterFiles(values.data)
const cluster = await DemoCluster.start({ certificates, token, port: Number(values.port), podsDirectory, ports: (_namespace, _pod, port) => (port < 1024 ? undefined : port) })
const kubeconfigFile = join(values.data, 'admin.kubeconfig')
writeFileSync(kubeconfigFile, cluster.adminKubeconfig, { mode: 0o600 })
process.stdout.write(JSON.stringify({ msg: 'ready', url: cluster.url, caFile, kubeconfigFile, tokenFile }) + '\n')
const stop = (): void => void cluster.close().then(() => process.exit(0))
process.once('SIGTERM', stop)
process.once('SIGINT', stop)
