import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { CliError } from '../errors.js'

const forwarded = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const
/** A terminal sends these to every process of the foreground group, the child included: passing them on would double them. */
const fromTerminal = ['SIGINT', 'SIGQUIT'] as const

/**
 * Runs the command with our own stdin, stdout and stderr, passes signals on, and resolves with its exit code (128 + n
 * when signal n ended it, as shells have it).
 */
export async function runChild(command: readonly string[], env: NodeJS.ProcessEnv, terminal: boolean): Promise<number> {
  const [file, ...args] = command
  if (file === undefined) throw new CliError('no command given', { exit: 2, next: 'sallyport exec TARGET -- psql -c "select 1"' })
  const child = spawn(file, args, { stdio: 'inherit', env })
  const pass = (name: NodeJS.Signals): void => void child.kill(name)
  const ignore = (): void => undefined
  for (const name of forwarded) process.on(name, pass)
  for (const name of fromTerminal) process.on(name, terminal ? ignore : pass)
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', (error) => reject(startError(file, error)))
      child.once('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])))
    })
  } finally {
    // From here on (revoking) a second signal must still not end us before the credential is revoked.
    for (const name of forwarded) process.off(name, pass).on(name, ignore)
    for (const name of fromTerminal) process.off(name, pass).on(name, ignore)
  }
}

function startError(file: string, error: Error): CliError {
  const code = 'code' in error ? error.code : undefined
  if (code === 'ENOENT') return new CliError(`${file}: command not found`, { exit: 127 })
  if (code === 'EACCES') return new CliError(`${file}: permission denied`, { exit: 126 })
  return new CliError(`can't start ${file}`, { why: error.message })
}
