import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EmbeddedServer } from '@sallyport/embedded-postgres'
import { demoDatabase, demoRole, prepareDemoDatabase } from '../demo/database.js'
import type { Resources } from '../process/resources.js'

/** Benchmarks open many sessions at once. */
const maxConnections = 500

/** The demo's database, as the agent will reach it and as tests look behind Sallyport's back. */
export interface DemoTarget {
  readonly port: number
  readonly password: string
  readonly pid: number
  /** As the role that the agent uses; it owns database and tables. */
  readonly directUrl: string
  readonly superuserUrl: string
}

export async function startTarget(dataDirectory: string, port: number, temporary: boolean, resources: Resources): Promise<DemoTarget> {
  const directory = join(dataDirectory, 'target')
  mkdirSync(directory, { recursive: true, mode: 0o755 })
  resources.ensureOpen()
  const server = await EmbeddedServer.start({
    data: join(directory, 'data'),
    passwordFile: join(directory, 'superuser-password'),
    spareBinaries: join(directory, 'binaries'),
    user: 'postgres',
    port,
    maxConnections,
    temporary,
    logFile: join(directory, 'postgres.log'),
  })
  resources.defer(() => server.stop())
  const password = keptPassword(join(directory, 'agent-password'))
  await prepareDemoDatabase(server, password)
  return {
    port: server.port,
    password,
    pid: server.pid,
    directUrl: server.url(demoDatabase, demoRole, password),
    superuserUrl: server.url(demoDatabase),
  }
}

function keptPassword(file: string): string {
  if (!existsSync(file)) writeFileSync(file, randomBytes(18).toString('base64url') + '\n', { mode: 0o600 })
  return readFileSync(file, 'utf8').trim()
}
