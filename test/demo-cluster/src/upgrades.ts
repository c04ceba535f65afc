import type { IncomingMessage } from 'node:http'
import net from 'node:net'
import type { Duplex } from 'node:stream'
import {
  acceptUpgrade, encodeUpgradeAnswer, exitStatus, failureStatus, requestedStreams, servePortForward, serveRemoteCommand, StreamsError, type ForwardedConnection, type RemoteCommandServer,
} from '@sallyport/kubernetes-streams'
import type { PodRuntime } from './pod-runtime.js'
import { badRequest } from './status.js'

/** Where a pod's port leads to: a local one. */
export type PortMap = (namespace: string, pod: string, port: number) => number | undefined

export interface UpgradeContext {
  readonly runtime: PodRuntime
  readonly ports: PortMap
  readonly namespace: string
  readonly pod: string
}

/** exec, attach and port-forward: answers the handshake and serves the streams. */
export function upgrade(request: IncomingMessage, socket: Duplex, first: Buffer, subresource: string, query: URLSearchParams, context: UpgradeContext): void {
  const ports = subresource === 'portforward'
  const accepted = acceptUpgrade(ports ? 'port-forward' : 'remote-command', { method: request.method ?? '', headers: request.headers })
  if (!accepted.accepted) throw badRequest(`unable to upgrade: ${accepted.message}`)
  const streams = ports ? undefined : requestedStreams(query)
  if (!ports && streams === undefined) throw badRequest('you must specify at least 1 of stdin, stdout, stderr')
  socket.write(encodeUpgradeAnswer(accepted))
  socket.on('error', () => socket.destroy())
  const connection = { upgrade: accepted, duplex: socket, head: first }
  if (streams === undefined) {
    servePortForward(connection, (opened) => forward(opened, context))
    return
  }
  const argv = subresource === 'attach' ? ['cat'] : query.getAll('command')
  serveRemoteCommand(connection, streams).then(
    (remote) => run(argv, remote, context),
    (error: unknown) => {
      if (!(error instanceof StreamsError)) throw error
      socket.destroy()
    },
  )
}

function run(argv: readonly string[], remote: RemoteCommandServer, { runtime, namespace, pod }: UpgradeContext): void {
  const child = runtime.exec(namespace, pod, argv, remote.requested.tty)
  const { stdin, stdout, stderr } = child
  let over = false
  void remote.closed.then(() => {
    over = true
    child.kill('SIGKILL')
  })
  stdin?.on('error', () => undefined)
  if (remote.stdin === undefined || stdin === null) stdin?.end()
  else remote.stdin.pipe(stdin)
  for (const [source, to] of [[stdout, remote.stdout], [stderr, remote.stderr]] as const) {
    if (to === undefined) source?.resume()
    // The status ends the streams, after the last byte of both.
    else source?.pipe(to, { end: false })
  }
  child.once('error', (error) => void remote.finish(failureStatus(`exec failed: ${error.message}`)))
  child.once('close', (code, signal) => {
    if (!over) void remote.finish(exitStatus(code ?? (signal === null ? 1 : 137)))
  })
}

function forward(connection: ForwardedConnection, { ports, namespace, pod }: UpgradeContext): void {
  const { port, data } = connection
  const local = ports(namespace, pod, port)
  if (local === undefined) {
    connection.fail(`error forwarding port ${port} to pod ${pod}: connection refused`)
    return
  }
  const socket = net.connect({ host: '127.0.0.1', port: local, allowHalfOpen: true })
  socket.pipe(data)
  data.pipe(socket)
  socket.on('error', (failure) => connection.fail(`error forwarding port ${port}: ${failure.message}`))
  data.once('close', () => socket.destroy())
}
