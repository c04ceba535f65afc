import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeCertificates, type ClusterCertificates } from './certificates.js'

export interface ClusterFiles {
  readonly certificates: ClusterCertificates
  readonly token: string
  readonly caFile: string
  readonly tokenFile: string
  readonly podsDirectory: string
}

/** Keys and token of a cluster, made at its first start and kept. Secret files are for their owner alone. */
export async function clusterFiles(directory: string): Promise<ClusterFiles> {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const keysFile = join(directory, 'keys.json')
  const tokenFile = join(directory, 'agent-token')
  const caFile = join(directory, 'ca.pem')
  if (!existsSync(keysFile)) writeFileSync(keysFile, JSON.stringify(await makeCertificates()), { mode: 0o600 })
  if (!existsSync(tokenFile)) writeFileSync(tokenFile, randomBytes(24).toString('base64url'), { mode: 0o600 })
  const certificates: ClusterCertificates = JSON.parse(readFileSync(keysFile, 'utf8'))
  writeFileSync(caFile, certificates.ca)
  return { certificates, token: readFileSync(tokenFile, 'utf8'), caFile, tokenFile, podsDirectory: join(directory, 'pods') }
}
