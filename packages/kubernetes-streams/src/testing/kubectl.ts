import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'

export const KUBECTL = '/usr/bin/kubectl'

/** True where the real client and what the tests need beside it are installed. */
export const haveKubectl = [KUBECTL, '/usr/bin/openssl', '/usr/bin/script'].every((path) => existsSync(path))

export type Transport = 'websocket' | 'spdy'

export interface Ran {
  readonly code: number | null
  readonly stdout: Buffer
  readonly stderr: string
}

/** Environment that makes kubectl use one transport. */
export function environment(kubeconfig: string, transport: Transport): NodeJS.ProcessEnv {
  const websockets = String(transport === 'websocket')
  return {
    PATH: process.env['PATH'],
    HOME: '/nonexistent',
    KUBECONFIG: kubeconfig,
    KUBECTL_REMOTE_COMMAND_WEBSOCKETS: websockets,
    KUBECTL_PORT_FORWARD_WEBSOCKETS: websockets,
  }
}

/** Runs a program to its end. */
export function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv, input?: Buffer | string): Promise<Ran> {
  const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'pipe'] })
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  return collect(child)
}

export async function collect(child: ChildProcess): Promise<Ran> {
  const stdout: Buffer[] = []
  let stderr = ''
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  return { code, stdout: Buffer.concat(stdout), stderr }
}
