import type { IncomingMessage } from 'node:http'
import {
  drivePortForward, driveSpdyCommand, driveWebSocketCommand, newWebSocketKey, portForwardProtocol, spdyCommandProtocol, webSocketAccept, webSocketCommandProtocols,
  type PortForwardClient, type RemoteCommandClient, type RemoteCommandClientHandlers, type RemoteStreams,
} from '@sallyport/kubernetes-streams'
import { violation, type ApiServer, type Upgraded } from './api-server.js'
import { readAll } from './read-all.js'

const maxErrorBytes = 64 * 1024

/** The API server answered the request to switch with something else. */
export class NotSwitchedError extends Error {
  override readonly name = 'NotSwitchedError'
  constructor(
    readonly status: number,
    /** As it came: mask it before it is shown. */
    readonly body: string,
  ) {
    super(`status ${status}`)
  }
}

type Start = (handlers: RemoteCommandClientHandlers) => RemoteCommandClient

/**
 * Connects to a command in a container: over WebSocket, or SPDY where the server is too old to be told there that input
 * has ended.
 * @returns what begins it, once there is somewhere for its output to go
 * @throws {NotSwitchedError | UpstreamError}
 */
export async function connectCommand(server: ApiServer, target: string, streams: RemoteStreams, signal: AbortSignal): Promise<Start> {
  const key = newWebSocketKey()
  const answer = await server.upgrade({
    method: 'GET',
    target,
    headers: { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': key, 'sec-websocket-protocol': webSocketCommandProtocols.join(', ') },
    signal,
  })
  if (!isUpgraded(answer)) return overSpdy(server, target, streams, signal, await notSwitched(answer))
  const { response, socket } = answer
  const chosen = response.headers['sec-websocket-protocol']
  const protocol = webSocketCommandProtocols.find((name) => name === chosen)
  const proper = response.headers['sec-websocket-accept'] === webSocketAccept(key) && String(response.headers.upgrade).toLowerCase() === 'websocket' && response.headers['sec-websocket-extensions'] === undefined
  if (!proper || protocol === undefined) {
    socket.destroy()
    throw violation('switched to WebSocket in a way that was not asked for')
  }
  if (protocol === 'v4.channel.k8s.io' && streams.stdin && !streams.tty) {
    socket.destroy()
    return overSpdy(server, target, streams, signal, undefined)
  }
  const duplex = withFirst(answer)
  return (handlers) => driveWebSocketCommand(duplex, protocol, streams, handlers)
}

async function overSpdy(server: ApiServer, target: string, streams: RemoteStreams, signal: AbortSignal, before: NotSwitchedError | undefined): Promise<Start> {
  // What the server refuses by its own authorisation, or doesn't find, it would refuse again.
  if (before !== undefined && before.status !== 400 && before.status !== 403 && before.status !== 426 && before.status !== 500) throw before
  const answer = await server.upgrade({ method: 'POST', target, headers: { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': spdyCommandProtocol }, signal })
  if (!isUpgraded(answer)) throw before ?? (await notSwitched(answer))
  checkSpdy(answer, spdyCommandProtocol)
  const duplex = withFirst(answer)
  return (handlers) => driveSpdyCommand(duplex, streams, handlers)
}

/** @throws {NotSwitchedError | UpstreamError} */
export async function connectPorts(server: ApiServer, target: string, signal: AbortSignal, onClose: () => void): Promise<PortForwardClient> {
  const answer = await server.upgrade({ method: 'POST', target, headers: { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': portForwardProtocol }, signal })
  if (!isUpgraded(answer)) throw await notSwitched(answer)
  checkSpdy(answer, portForwardProtocol)
  return drivePortForward(withFirst(answer), onClose)
}

function checkSpdy({ response, socket }: Upgraded, protocol: string): void {
  const proper = String(response.headers.upgrade).toLowerCase() === 'spdy/3.1' && response.headers['x-stream-protocol-version'] === protocol
  if (proper) return
  socket.destroy()
  throw violation('switched to SPDY in a way that was not asked for')
}

function withFirst({ socket, first }: Upgraded): Upgraded['socket'] {
  if (first.length > 0) socket.unshift(first)
  return socket
}

function isUpgraded(answer: Upgraded | IncomingMessage): answer is Upgraded {
  return 'socket' in answer && 'response' in answer
}

async function notSwitched(answer: IncomingMessage): Promise<NotSwitchedError> {
  return new NotSwitchedError(answer.statusCode ?? 0, await readAll(answer, maxErrorBytes))
}
