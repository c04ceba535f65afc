import type { IncomingMessage } from 'node:http'
import net from 'node:net'
import type { Duplex } from 'node:stream'
import {
  isWebSocketKey, portForwardProtocol, servePortForward, serveSpdyCommand, serveWebSocketCommand, spdyCommandProtocol, tunnelledPortForwardProtocol, webSocketAccept, webSocketCommandProtocols, WebSocketTunnel,
  type ForwardedConnection, type RemoteCommandServer, type RemoteCommandServerHandlers, type RemoteStreams,
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
  if (first.length > 0) socket.unshift(first)
  const webSocket = (request.headers.upgrade ?? '').toLowerCase() === 'websocket'
  const offered = String(request.headers[webSocket ? 'sec-websocket-protocol' : 'x-stream-protocol-version'] ?? '')
    .split(',')
    .map((name) => name.trim())
  const wanted = subresource === 'portforward' ? [webSocket ? tunnelledPortForwardProtocol : portForwardProtocol] : webSocket ? [...webSocketCommandProtocols] : [spdyCommandProtocol]
  const protocol = wanted.find((name) => offered.includes(name))
  const key = request.headers['sec-websocket-key']
  if (protocol === undefined || (webSocket && !isWebSocketKey(key))) throw badRequest('unable to upgrade: no protocol in common')
  const headers = webSocket
    ? ['Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${webSocketAccept(key ?? '')}`, `Sec-WebSocket-Protocol: ${protocol}`]
    : ['Upgrade: SPDY/3.1', 'Connection: Upgrade', `X-Stream-Protocol-Version: ${protocol}`]
  socket.write(`HTTP/1.1 101 Switching Protocols\r\n${headers.join('\r\n')}\r\n\r\n`)
  socket.on('error', () => socket.destroy())
  if (subresource === 'portforward') {
    servePortForward(webSocket ? new WebSocketTunnel(socket, 'server') : socket, { onConnection: (connection) => forward(connection, context), onClose: () => socket.destroy() })
    return
  }
  const yes = (name: string): boolean => query.get(name) === 'true'
  const streams: RemoteStreams = { stdin: yes('stdin'), stdout: yes('stdout'), stderr: yes('stderr') && !yes('tty'), tty: yes('tty') }
  const argv = subresource === 'attach' ? ['cat'] : query.getAll('command')
  run(argv, streams, context, (handlers) =>
    webSocket ? serveWebSocketCommand(socket, protocol === 'v5.channel.k8s.io' ? protocol : 'v4.channel.k8s.io', streams, handlers) : serveSpdyCommand(socket, streams, handlers),
  )
}

function run(argv: readonly string[], streams: RemoteStreams, { runtime, namespace, pod }: UpgradeContext, serve: (handlers: RemoteCommandServerHandlers) => RemoteCommandServer): void {
  const child = runtime.exec(namespace, pod, argv, streams.tty)
  const { stdin, stdout, stderr } = child
  let over = false
  const remote = serve({
    onInput: (bytes) => {
      if (stdin?.write(bytes) === false) {
        remote.pauseInput()
        stdin.once('drain', () => remote.resumeInput())
      }
    },
    onInputEnd: () => stdin?.end(),
    onResize: () => undefined,
    onClose: () => {
      over = true
      child.kill('SIGKILL')
    },
  })
  stdin?.on('error', () => undefined)
  if (!streams.stdin) stdin?.end()
  for (const [name, source] of [['stdout', stdout], ['stderr', stderr]] as const) {
    source?.on('data', (bytes: Buffer) => {
      if (over || remote.write(name, bytes)) return
      source.pause()
      void remote.drained().then(() => source.resume())
    })
  }
  child.once('error', (error) => remote.finish({ status: 'Failure', message: `exec failed: ${error.message}`, exitCode: 127 }))
  child.once('close', (code, signal) => {
    if (over) return
    const exitCode = code ?? (signal === null ? 1 : 137)
    remote.finish(exitCode === 0 ? { status: 'Success' } : { status: 'Failure', exitCode, message: `command terminated with non-zero exit code: exit status ${exitCode}` })
  })
}

function forward({ port, data, error }: ForwardedConnection, { ports, namespace, pod }: UpgradeContext): void {
  const local = ports(namespace, pod, port)
  if (local === undefined) {
    error.end(`error forwarding port ${port} to pod ${pod}: connection refused`)
    data.destroy()
    return
  }
  const socket = net.connect({ host: '127.0.0.1', port: local, allowHalfOpen: true })
  socket.pipe(data)
  data.pipe(socket)
  socket.on('error', (failure) => {
    error.end(`error forwarding port ${port}: ${failure.message}`)
    data.destroy()
  })
  data.on('error', () => socket.destroy())
  data.once('close', () => socket.destroy())
  socket.once('close', () => error.end())
}
