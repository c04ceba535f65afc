import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'

/** A real command-line client. Output is gathered; text can be awaited while it runs. */
export class Client {
  stdout = ''
  stderr = ''
  readonly exited: Promise<number>
  readonly #child: ChildProcessWithoutNullStreams
  #waiters: (() => void)[] = []
  #code: number | undefined

  constructor(command: string, args: readonly string[], env: Readonly<Record<string, string>>, input?: string) {
    this.#child = spawn(command, args, { env, stdio: 'pipe' })
    this.#child.stdout.on('data', (chunk: Buffer) => {
      this.stdout += chunk.toString()
      this.#wake()
    })
    this.#child.stderr.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString()
      this.#wake()
    })
    this.exited = new Promise((resolve) => {
      this.#child.on('close', (code, signal) => {
        this.#code = code ?? (signal ? 128 : -1)
        this.#wake()
        resolve(this.#code)
      })
    })
    this.#child.stdin.on('error', () => undefined)
    if (input !== undefined) this.#child.stdin.end(input)
  }

  get pid(): number {
    return this.#child.pid ?? -1
  }

  send(text: string): void {
    this.#child.stdin.write(text)
  }

  end(): void {
    this.#child.stdin.end()
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Resolves with the match once the output holds it. */
  async seen(pattern: RegExp, milliseconds = 15_000): Promise<RegExpExecArray> {
    const deadline = Date.now() + milliseconds
    for (;;) {
      const match = pattern.exec(this.stdout + this.stderr)
      if (match) return match
      if (this.#code !== undefined || Date.now() > deadline) {
        throw new Error(`not seen: ${String(pattern)}\nexit ${String(this.#code)}\nstdout: ${this.stdout.slice(-2000)}\nstderr: ${this.stderr.slice(-2000)}`)
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.max(1, deadline - Date.now()))
        this.#waiters.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }

  #wake(): void {
    for (const wake of this.#waiters.splice(0)) wake()
  }
}

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs psql without its start-up file; rows unaligned, no header. */
export async function psql(env: Readonly<Record<string, string>>, sql: string | readonly string[], ...args: readonly string[]): Promise<Ran> {
  const commands = (typeof sql === 'string' ? [sql] : sql).flatMap((text) => ['-c', text])
  const client = new Client('psql', ['-X', '-A', '-t', '-q', '-v', 'VERBOSITY=verbose', ...args, ...commands], env, '')
  const code = await client.exited
  return { code, stdout: client.stdout, stderr: client.stderr }
}

/** An interactive psql that reads statements from its input. */
export function psqlSession(env: Readonly<Record<string, string>>): Client {
  return new Client('psql', ['-X', '-A', '-t', '-q', '-v', 'VERBOSITY=verbose'], env)
}
