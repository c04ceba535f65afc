import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** What stands in for containers: child processes of this one, each pod with a folder of its own as home. */
export class PodRuntime {
  readonly #children = new Set<ChildProcess>()

  constructor(private readonly root: string) {}

  /** The pod's folder. */
  folder(namespace: string, pod: string): string {
    const folder = join(this.root, namespace, pod)
    if (!existsSync(folder)) {
      mkdirSync(folder, { recursive: true })
      writeFileSync(join(folder, 'app.log'), 'started\nsent receipt to alice.smith@example.com\n')
    }
    return folder
  }

  /** Runs argv without a shell of ours. With a terminal by `script` (util-linux), which makes one. */
  exec(namespace: string, pod: string, argv: readonly string[], tty: boolean): ChildProcess {
    const folder = this.folder(namespace, pod)
    const env = { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: folder, POD: pod, DB_PASSWORD: 'hunter2-in-the-environment', ...(tty ? { TERM: 'xterm' } : {}) }
    const [file = '', ...args] = tty ? ['script', '-qefc', argv.map(quoted).join(' '), '/dev/null'] : argv
    const child = spawn(file, args, { cwd: folder, env, stdio: 'pipe' })
    this.#children.add(child)
    child.once('close', () => this.#children.delete(child))
    child.on('error', () => this.#children.delete(child))
    return child
  }

  close(): void {
    for (const child of this.#children) child.kill('SIGKILL')
  }
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`
}
