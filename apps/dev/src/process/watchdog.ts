import { spawn, type ChildProcess } from 'node:child_process'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * Cleans up when the runner dies without a chance to (SIGKILL, closed terminal, crash). A small process whose stdin is
 * the runner's pipe: the kernel closes it however the runner ends, and then everything named there is ended and removed.
 */
export class Watchdog {
  readonly #child: ChildProcess

  constructor() {
    // `detached` takes it out of the terminal's process group: Ctrl-C must not end it before the rest.
    this.#child = spawn(process.execPath, [fileURLToPath(import.meta.url), '--watch'], { detached: true, stdio: ['pipe', 'ignore', 'inherit'] })
    this.#child.stdin?.on('error', () => undefined)
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  started(pid: number): void {
    this.#tell(`started ${pid}`)
  }

  gone(pid: number): void {
    this.#tell(`gone ${pid}`)
  }

  /** PostgreSQL servers found under this directory are ended; with `remove` the directory goes too. */
  directory(path: string, remove: boolean): void {
    this.#tell(`${remove ? 'remove' : 'servers'} ${path}`)
  }

  /** Lets it do its work now and waits for its end. */
  async finish(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()))
    this.#child.stdin?.end()
    await gone
  }

  #tell(line: string): void {
    this.#child.stdin?.write(line + '\n')
  }
}

/** Pids of PostgreSQL servers whose data lies under `directory`, a few levels down at most. */
export function serversUnder(directory: string, depth = 4): number[] {
  const found: number[] = []
  let entries
  try {
    entries = readdirSync(directory, { withFileTypes: true })
  } catch {
    return found
  }
  for (const entry of entries) {
    const path = join(directory, entry.name)
    if (entry.name === 'postmaster.pid') {
      const pid = Number(readFileSync(path, 'utf8').split('\n', 1)[0])
      if (Number.isInteger(pid) && pid > 1 && isPostgres(pid)) found.push(pid)
    } else if (entry.isDirectory() && depth > 0 && entry.name !== 'base' && entry.name !== 'pg_wal') {
      found.push(...serversUnder(path, depth - 1))
    }
  }
  return found
}

/** A stale pid file may name somebody else's process by now. Where /proc is missing the file is believed. */
function isPostgres(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('postgres')
  } catch {
    return process.platform !== 'linux'
  }
}

export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name)
    return true
  } catch {
    return false
  }
}

/** A zombie has ended, though a slow init may not have collected it yet. */
export function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return process.platform !== 'linux' || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

/** Asks them to end, waits, then kills what is left. The children aren't ours here, so their end can only be polled. */
export async function endAll(pids: readonly number[], polite: NodeJS.Signals, patienceMilliseconds: number): Promise<void> {
  for (const pid of pids) signal(pid, polite)
  const deadline = Date.now() + patienceMilliseconds
  while (pids.some(alive) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20))
  for (const pid of pids) signal(pid, 'SIGKILL')
}

async function watch(): Promise<void> {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => undefined)
  const processes = new Set<number>()
  const directories: { path: string; remove: boolean }[] = []
  let rest = ''
  process.stdin.setEncoding('utf8')
  for await (const chunk of process.stdin) {
    const lines = (rest + String(chunk)).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const [verb, value = ''] = [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]
      if (verb === 'started') processes.add(Number(value))
      if (verb === 'gone') processes.delete(Number(value))
      if (verb === 'servers' || verb === 'remove') directories.push({ path: value, remove: verb === 'remove' })
    }
  }
  await endAll([...processes], 'SIGTERM', 3000)
  await endAll(directories.flatMap(({ path }) => serversUnder(path)), 'SIGINT', 5000)
  for (const { path, remove } of directories) if (remove) rmSync(path, { recursive: true, force: true })
}

if (process.argv[2] === '--watch') await watch()
