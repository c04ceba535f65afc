import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FilterSinks } from '../file-authority.js'

/** What both filters have. */
export interface Filter {
  fromClient(bytes: Buffer): void
  fromServer(bytes: Buffer): void
  clientEnded(): void | Promise<void>
  serverEnded(): void | Promise<void>
}

export interface Bridge {
  /** An executable that a client runs in place of ssh or sftp-server. */
  readonly program: string
  /** Empty directory; canonical. */
  readonly directory: string
  readonly failures: string[]
  close(): Promise<void>
}

/** Program and arguments behind the filter, from the arguments that the client gave its helper program. */
export type Behind = (argv: readonly string[]) => { readonly program: string; readonly args: readonly string[] }

/**
 * Lets a real client talk through a filter in this process to a real program: the client starts a helper that carries its
 * arguments and its bytes here over a socket.
 */
export async function openBridge(behind: Behind, filterFor: (sinks: FilterSinks, argv: readonly string[]) => Filter): Promise<Bridge> {
  const directory = await realpath(await mkdtemp(join(tmpdir(), 'sallyport-transfer-')))
  const failures: string[] = []
  const children: ChildProcess[] = []
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined)
    let head = Buffer.alloc(0)
    const onHead = (chunk: Buffer) => {
      head = Buffer.concat([head, chunk])
      const end = head.indexOf(10)
      if (end < 0) return
      socket.off('data', onHead)
      const argv: unknown = JSON.parse(head.subarray(0, end).toString())
      if (!Array.isArray(argv)) throw new Error('no arguments')
      children.push(connect(socket, argv.map(String), head.subarray(end + 1)))
    }
    socket.on('data', onHead)
  })
  const connect = (socket: net.Socket, argv: readonly string[], first: Buffer): ChildProcess => {
    const { program, args } = behind(argv)
    const child = spawn(program, args, { cwd: directory, stdio: ['pipe', 'pipe', 'ignore'] })
    child.stdin.on('error', () => undefined)
    const filter = filterFor(
      {
        toServer: (bytes) => void child.stdin.write(bytes),
        toClient: (bytes) => void socket.write(bytes),
        fail: (reason) => {
          failures.push(reason)
          socket.destroy()
          child.kill()
        },
      },
      argv,
    )
    if (first.length > 0) filter.fromClient(first)
    socket.on('data', (chunk) => filter.fromClient(chunk))
    socket.on('end', () => void Promise.resolve(filter.clientEnded()).then(() => child.stdin.end()))
    child.stdout.on('data', (chunk) => filter.fromServer(chunk))
    child.stdout.on('end', () => void Promise.resolve(filter.serverEnded()).then(() => socket.end()))
    return child
  }
  const path = join(directory, '.socket')
  await new Promise<void>((resolve) => server.listen(path, resolve))
  const program = join(directory, '.helper')
  await writeFile(program, helper(path), { mode: 0o755 })
  return {
    program,
    directory,
    failures,
    close: async () => {
      for (const child of children) child.kill()
      server.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

function helper(socket: string): string {
  return `#!${process.execPath}
const socket = require('node:net').connect({ path: ${JSON.stringify(socket)}, allowHalfOpen: true })
socket.write(JSON.stringify(process.argv.slice(2)) + '\\n')
process.stdin.pipe(socket)
socket.pipe(process.stdout)
process.stdout.on('error', () => undefined)
socket.on('error', () => process.exit(255))
socket.on('end', () => process.stdout.end(() => process.exit(0)))
`
}

export interface Ran {
  readonly code: number | null
  readonly output: string
}

/** Runs a client to its end. Its standard input gets `input`. */
export async function runClient(program: string, args: readonly string[], cwd: string, input = ''): Promise<Ran> {
  const child = spawn(program, args, { cwd, stdio: ['pipe', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)))
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  return { code, output }
}
