import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chownSync, createWriteStream, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { platform } from 'node:os'
import { join } from 'node:path'
import { makeServerDirectory, reachable, serverAccount, type ServerAccount } from './account.js'
import { findBinaries } from './binaries.js'
import { EmbeddedPostgresError } from './errors.js'
import { freePort } from './ports.js'

const startTimeoutMilliseconds = 60_000
const stopTimeoutMilliseconds = 20_000
const pollMilliseconds = 20
/** How often another free port is tried: somebody may take one between our look and the server's bind. */
const portAttempts = 5
const keptOutput = 4000

export interface EmbeddedServerOptions {
  /** The data directory; initialised when it is new. */
  readonly data: string
  /** Holds the superuser's password; written when the data is initialised. */
  readonly passwordFile: string
  /** Where the binaries are copied to when the server's account can't get to the installed ones. */
  readonly spareBinaries: string
  /** The superuser's name. */
  readonly user: string
  /** 0: any free one. */
  readonly port: number
  readonly maxConnections: number
  /** Data that needn't outlive the machine: nothing is synced to disk, so it starts and writes faster. */
  readonly temporary: boolean
  /** Gets what the server says; without it that is dropped. */
  readonly logFile?: string
}

/** A real PostgreSQL server of this machine's own, on 127.0.0.1 alone, with a random password for its superuser. */
export class EmbeddedServer {
  private constructor(
    readonly pid: number,
    readonly port: number,
    readonly user: string,
    readonly password: string,
    /** Undefined for a server that was taken over. */
    private readonly child: ChildProcess | undefined,
  ) {}

  /**
   * Initialises the data directory if it is new, and starts the server. One that an earlier, killed process left running
   * on the same data (and the port asked for) is taken over: it holds the lock, and its data is sound.
   * @throws {EmbeddedPostgresError} with the server's own words where it has any
   */
  static async start(options: EmbeddedServerOptions): Promise<EmbeddedServer> {
    const { data, passwordFile, user } = options
    const account = serverAccount()
    if (account !== undefined && !reachable(data)) {
      throw new EmbeddedPostgresError(`running as root, the server runs as another user, who may not pass through the directories above ${data}`)
    }
    const binaries = findBinaries(account, options.spareBinaries)
    if (!existsSync(join(data, 'PG_VERSION'))) await initialise(binaries.initdb, options, account)
    const password = readFileSync(passwordFile, 'utf8').trim()

    const running = await runningServer(data)
    if (running && (options.port === 0 || options.port === running.port)) return new EmbeddedServer(running.pid, running.port, user, password, undefined)
    for (let attempt = 1; ; attempt += 1) {
      const port = options.port === 0 ? await freePort() : options.port
      try {
        const child = await launch(binaries.postgres, options, port, account)
        return new EmbeddedServer(child.pid ?? 0, port, user, password, child)
      } catch (error) {
        if (options.port !== 0 || attempt === portAttempts) throw error
      }
    }
  }

  /** A connection URL; of the superuser, unless told otherwise. */
  url(database = 'postgres', user = this.user, password = this.password): string {
    return `postgresql://${encodeURIComponent(user)}:${encodeURIComponent(password)}@127.0.0.1:${this.port}/${database}`
  }

  /** Fast shutdown: waits for the last write, cuts connections. Idempotent. */
  async stop(): Promise<void> {
    if (!this.#alive()) return
    try {
      process.kill(this.pid, 'SIGINT')
    } catch {
      return // It went between the look and the signal.
    }
    for (const end = Date.now() + stopTimeoutMilliseconds; this.#alive() && Date.now() < end; ) await pause()
  }

  #alive(): boolean {
    return this.child ? this.child.exitCode === null && this.child.signalCode === null : isServer(this.pid)
  }
}

async function initialise(initdb: string, options: EmbeddedServerOptions, account: ServerAccount | undefined): Promise<void> {
  const { data, passwordFile, user, temporary } = options
  // What an interrupted run left: initdb wants an empty directory. Never a directory that was initialised (PG_VERSION).
  rmSync(data, { recursive: true, force: true })
  makeServerDirectory(data, account)
  writeFileSync(passwordFile, randomBytes(24).toString('base64url') + '\n', { mode: 0o600 })
  if (account !== undefined) chownSync(passwordFile, account.uid, account.gid)
  const flags = [
    `--pgdata=${data}`, `--pwfile=${passwordFile}`, '--auth=scram-sha-256', `--username=${user}`,
    '--encoding=UTF8', '--locale=C', '--no-instructions', ...(temporary ? ['--no-sync'] : []),
  ]
  const child = spawn(initdb, flags, { ...account, cwd: data, stdio: ['ignore', 'ignore', 'pipe'], env: serverEnvironment() })
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint = (complaint + text).slice(-keptOutput)))
  const code = await new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve))
  if (code !== 0) throw new EmbeddedPostgresError(`the data directory could not be initialised: ${complaint.trim()}`)
}

async function launch(postgres: string, options: EmbeddedServerOptions, port: number, account: ServerAccount | undefined): Promise<ChildProcess> {
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    max_connections: String(options.maxConnections),
    logging_collector: 'off',
    ...(options.temporary ? { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' } : {}),
  }
  const flags = ['-D', options.data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])]
  // Its own process group: Ctrl-C in a terminal reaches our process alone, which stops things in order.
  const child = spawn(postgres, flags, { ...account, cwd: options.data, detached: true, stdio: ['ignore', 'ignore', 'pipe'], env: serverEnvironment() })
  const log = options.logFile === undefined ? undefined : createWriteStream(options.logFile, { flags: 'a' })
  child.once('close', () => log?.end())
  // Read to the end in any case: an undrained pipe would stop the server.
  child.stderr.setEncoding('utf8').on('data', (text: string) => log?.write(text))
  try {
    await ready(child)
  } catch (error) {
    child.kill('SIGQUIT')
    throw error
  }
  child.unref()
  return child
}

function ready(child: ChildProcess): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    let said = ''
    const settle = (end: () => void): void => {
      clearTimeout(timer)
      child.stderr?.off('data', listen)
      end()
    }
    const listen = (text: string): void => {
      said = (said + text).slice(-keptOutput)
      if (said.includes('database system is ready to accept connections')) settle(resolve)
    }
    const timer = setTimeout(() => settle(() => reject(new EmbeddedPostgresError('PostgreSQL did not get ready in time'))), startTimeoutMilliseconds)
    child.once('error', (error) => settle(() => reject(error)))
    child.once('exit', () => settle(() => reject(new EmbeddedPostgresError(`PostgreSQL did not start: ${said.trim()}`))))
    child.stderr?.on('data', listen)
  })
}

/** A server that accepts connections on this data. One that is only just starting or stopping is waited for. */
async function runningServer(data: string): Promise<{ pid: number; port: number } | undefined> {
  for (const end = Date.now() + startTimeoutMilliseconds; Date.now() < end; await pause()) {
    const found = lockFileOf(data)
    if (found === undefined || !isServer(found.pid, data)) return undefined
    if (found.ready) return { pid: found.pid, port: found.port }
  }
  throw new EmbeddedPostgresError('another PostgreSQL server holds the data, and neither gets ready nor ends')
}

/** What a postmaster says of itself: pid, data directory, start time, port, socket directory, address, key, state. */
function lockFileOf(data: string): { pid: number; port: number; ready: boolean } | undefined {
  let lines: string[]
  try {
    lines = readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')
  } catch {
    return undefined
  }
  const pid = Number(lines[0])
  const port = Number(lines[3])
  if (!Number.isInteger(pid) || pid <= 0) return undefined
  return { pid, port, ready: lines[7]?.trim() === 'ready' && Number.isInteger(port) && port > 0 }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, pollMilliseconds))
}

/** Whether this process lives and is a server (on this data): a pid may have been given to another process since. */
function isServer(pid: number, data = 'postgres'): boolean {
  try {
    process.kill(pid, 0)
    return platform() !== 'linux' || readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(data)
  } catch {
    return false
  }
}

function serverEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' }
}
