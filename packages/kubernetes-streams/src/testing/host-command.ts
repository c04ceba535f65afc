import { spawn } from 'node:child_process'
import type { RemoteCommandServer } from '../faces.js'
import { exitStatus } from '../status.js'

/** Runs a command on this machine with the session's streams, as a kubelet would in a container; resolves with the exit code. */
export async function runHostCommand(session: RemoteCommandServer, command: readonly string[]): Promise<number> {
  const [program = 'false', ...args] = command
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  child.stdin.on('error', () => undefined)
  if (session.stdin) session.stdin.pipe(child.stdin)
  else child.stdin.end()
  if (session.stdout) child.stdout.pipe(session.stdout, { end: false })
  else child.stdout.resume()
  const errors = session.stderr ?? session.stdout
  if (errors) child.stderr.pipe(errors, { end: false })
  else child.stderr.resume()
  void session.closed.then(() => child.kill())
  const code = await new Promise<number>((resolve) => child.on('close', (exit) => resolve(exit ?? 137)))
  await session.finish(exitStatus(code))
  return code
}
