import { spawn, type ChildProcess } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Watchdog } from './watchdog.js'

export interface ProcessPlan {
  /** `api`, `gateway-0`, `agent-1`. */
  readonly name: string
  /** Script and arguments for this Node. */
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  readonly logFile: string
  readonly readyTimeoutMilliseconds: number
}

/** Fields of the one JSON line whose message is "ready". */
export type ReadyFields = Readonly<Record<string, unknown>>

/** One of Sallyport's own processes: started, watched for its ready line, ended by pid. */
export class ManagedProcess {
  readonly #plan: ProcessPlan
  readonly #watchdog: Watchdog
  readonly #onUnexpectedExit: (process: ManagedProcess, how: string) => void
  #child: ChildProcess | undefined
  #ready: ReadyFields = {}
  /** Ports that it bound when first started; a restart binds the same. */
  #fixed: Readonly<Record<string, string>> = {}
  #expected = false
  /** Settles when the last line of the running child is in its log file. */
  #logged: Promise<void> = Promise.resolve()

  constructor(plan: ProcessPlan, watchdog: Watchdog, onUnexpectedExit: (process: ManagedProcess, how: string) => void) {
    this.#plan = plan
    this.#watchdog = watchdog
    this.#onUnexpectedExit = onUnexpectedExit
  }

  get name(): string {
    return this.#plan.name
  }

  get logFile(): string {
    return this.#plan.logFile
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** A port that the ready line tells; `listeners.postgres` looks inside a field. */
  port(field: string): number {
    const value = this.portOrNone(field)
    if (value !== undefined) return value
    throw new Error(`${this.name} is ready but its ready line has no ${field}; see ${this.#plan.logFile}`)
  }

  portOrNone(field: string): number | undefined {
    const value = field.split('.').reduce<unknown>((inside, key) => (typeof inside === 'object' && inside !== null ? Reflect.get(inside, key) : undefined), this.#ready)
    return typeof value === 'number' ? value : undefined
  }

  field(name: string): unknown {
    return this.#ready[name]
  }

  /** Environment that overrides the plan's on the next start. */
  fix(env: Readonly<Record<string, string>>): void {
    this.#fixed = { ...this.#fixed, ...env }
  }

  /** Resolves with its ready line. Rejects when it ends or stays silent before; the error quotes its last lines. */
  async start(): Promise<ReadyFields> {
    if (this.running) throw new Error(`${this.name} is running already`)
    const { argv, cwd, logFile, readyTimeoutMilliseconds } = this.#plan
    const child = spawn(process.execPath, argv, {
      cwd,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...inherited(), ...this.#plan.env, ...this.#fixed },
    })
    this.#child = child
    this.#expected = false
    const { pid } = child
    if (pid !== undefined) this.#watchdog.started(pid)
    const log = createWriteStream(logFile, { flags: 'a' })
    this.#logged = new Promise((resolve) => log.once('close', () => resolve()))
    const last: string[] = []
    let ready: ((fields: ReadyFields) => void) | undefined

    const line = (text: string): void => {
      log.write(text + '\n')
      last.push(text)
      if (last.length > 15) last.shift()
      if (ready === undefined) return
      const fields = readyLine(text)
      if (fields !== undefined) ready(fields)
    }
    createInterface({ input: child.stdout }).on('line', line)
    createInterface({ input: child.stderr }).on('line', line)

    this.#ready = await new Promise<ReadyFields>((resolve, reject) => {
      const timer = setTimeout(() => {
        child.kill('SIGKILL')
        reject(new Error(`${this.name} wasn't ready within ${readyTimeoutMilliseconds} ms; log: ${logFile}\n${last.join('\n')}`))
      }, readyTimeoutMilliseconds)
      ready = (fields) => {
        clearTimeout(timer)
        resolve(fields)
      }
      child.once('error', reject)
      // `close`, not `exit`: by then its last words have been read.
      child.once('close', (code, signalName) => {
        clearTimeout(timer)
        log.end()
        if (pid !== undefined) this.#watchdog.gone(pid)
        const how = signalName === null ? `exit code ${code ?? 'unknown'}` : `signal ${signalName}`
        reject(new Error(`${this.name} ended with ${how} before it was ready; log: ${logFile}\n${last.join('\n')}`))
        if (!this.#expected && this.#child === child) this.#onUnexpectedExit(this, how)
      })
    })
    ready = undefined
    return this.#ready
  }

  /**
   * SIGTERM, then SIGKILL when it takes longer than `patienceMilliseconds`. Its log is complete then, unless a child of
   * its own lives on and holds the output open.
   */
  async stop(patienceMilliseconds = 5000): Promise<void> {
    const child = this.#child
    this.#expected = true
    if (child === undefined || !this.running) return
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), patienceMilliseconds)
    await gone
    clearTimeout(timer)
    await Promise.race([this.#logged, new Promise((resolve) => setTimeout(resolve, 1000).unref())])
  }
}

function readyLine(text: string): ReadyFields | undefined {
  if (!text.startsWith('{') || !text.includes('"ready"')) return undefined
  try {
    const fields: unknown = JSON.parse(text)
    if (typeof fields !== 'object' || fields === null) return undefined
    const record: ReadyFields = { ...fields }
    return record['message'] === 'ready' || record['msg'] === 'ready' ? record : undefined
  } catch {
    return undefined
  }
}

/** What children take over from the runner: nothing that configures Sallyport, so a developer's shell can't change a stack. */
function inherited(): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const [name, value] of Object.entries(process.env)) {
    if (value === undefined || /^(SALLYPORT_|PG|DATABASE_URL$|NODE_OPTIONS$|npm_)/.test(name)) continue
    kept[name] = value
  }
  return kept
}
