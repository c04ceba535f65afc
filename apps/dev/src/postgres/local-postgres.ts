import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createWriteStream, existsSync, readFileSync, writeFileSync, chownSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { makeServerDirectory, serverAccount, type ServerAccount } from './account.js'
import { findBinaries } from './binaries.js'
import { freePort } from '../process/ports.js'

export interface LocalPostgresOptions {
  /** Its own directory: data, superuser password, log. */
  readonly directory: string
  /** 0: any free one. */
  readonly port: number
  /** Data that needn't outlive the machine: no syncing to disk, so it starts faster. */
  readonly temporary: boolean
}

/** A PostgreSQL server of this machine's own, on 127.0.0.1. The demo's target. */
export class LocalPostgres {
  readonly #server: ChildProcess

  private constructor(
    server: ChildProcess,
    readonly pid: number,
    readonly port: number,
    readonly superuserPassword: string,
    readonly fresh: boolean,
  ) {
    this.#server = server
  }

  /** Initialises the data directory if it is new and starts the server. Rejects with the server's own words. */
  static async start(options: LocalPostgresOptions): Promise<LocalPostgres> {
    const account = serverAccount()
    const binaries = findBinaries(account, join(options.directory, 'binaries'))
    const data = join(options.directory, 'data')
    const passwordFile = join(options.directory, 'superuser-password')
    const fresh = !existsSync(join(data, 'PG_VERSION'))
    if (fresh) await initialise(binaries.initdb, data, passwordFile, account)
    const superuserPassword = readFileSync(passwordFile, 'utf8').trim()

    for (let attempt = 1; ; attempt += 1) {
      const port = options.port === 0 ? await freePort() : options.port
      try {
        const server = await launch(binaries.postgres, data, port, join(options.directory, 'postgres.log'), account, options.temporary)
        return new LocalPostgres(server, server.pid ?? 0, port, superuserPassword, fresh)
      } catch (error) {
        // Somebody else may take a free port between our look and the server's bind.
        if (options.port !== 0 || attempt === 5) throw error
      }
    }
  }

  url(user: string, password: string, database: string): string {
    return `postgresql://${encodeURIComponent(user)}:${encodeURIComponent(password)}@127.0.0.1:${this.port}/${database}`
  }

  get superuserUrl(): string {
    return this.url('postgres', this.superuserPassword, 'postgres')
  }

  /** Fast shutdown: open sessions are cut. */
  async stop(): Promise<void> {
    if (this.#server.exitCode !== null || this.#server.signalCode !== null) return
    const gone = new Promise<void>((resolve) => this.#server.once('exit', () => resolve()))
    this.#server.kill('SIGINT')
    await gone
  }
}

async function initialise(initdb: string, data: string, passwordFile: string, account: ServerAccount | undefined): Promise<void> {
  makeServerDirectory(data, account)
  // What an interrupted run left: initdb wants an empty directory.
  rmSync(data, { recursive: true })
  makeServerDirectory(data, account)
  writeFileSync(passwordFile, randomBytes(18).toString('base64url') + '\n', { mode: 0o600 })
  if (account !== undefined) chownSync(passwordFile, account.uid, account.gid)
  const flags = [
    `--pgdata=${data}`, `--pwfile=${passwordFile}`, '--auth=scram-sha-256', '--username=postgres',
    '--encoding=UTF8', '--locale=C', '--no-sync', '--no-instructions',
  ]
  const child = spawn(initdb, flags, { ...account, cwd: data, stdio: ['ignore', 'ignore', 'pipe'], env: serverEnvironment() })
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text))
  const code = await new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve))
  if (code !== 0) throw new Error(`initdb failed: ${complaint.trim()}`)
}

async function launch(
  postgres: string, data: string, port: number, logFile: string, account: ServerAccount | undefined, temporary: boolean,
): Promise<ChildProcess> {
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    max_connections: '500',
    ...(temporary ? { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' } : {}),
  }
  const flags = ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])]
  // Its own process group: Ctrl-C in a terminal reaches the runner alone, which stops things in order.
  const child = spawn(postgres, flags, { ...account, cwd: data, detached: true, stdio: ['ignore', 'ignore', 'pipe'], env: serverEnvironment() })
  const log = createWriteStream(logFile, { flags: 'a' })
  child.stderr.setEncoding('utf8')
  await new Promise<void>((resolve, reject) => {
    let said = ''
    child.once('error', reject)
    child.once('exit', () => reject(new Error(`PostgreSQL didn't start: ${said.trim()}`)))
    child.stderr.on('data', (text: string) => {
      log.write(text)
      said = (said + text).slice(-4000)
      if (said.includes('database system is ready to accept connections')) resolve()
    })
  })
  return child
}

function serverEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' }
}
