import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import {
  openPortForward, openRemoteCommand, StreamsError, upgradeRequest, verifyUpgrade,
  type PortForwardClient, type RemoteCommandClient, type RequestedStreams, type Upgrade, type UpgradedConnection, type UpgradeKind,
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

/**
 * Connects to a command in a container: over WebSocket, or SPDY where the server is too old to be told there that input
 * has ended. Its output waits, within bounds, until somebody reads it.
 * @throws {NotSwitchedError | UpstreamError}
 */
export async function connectCommand(server: ApiServer, target: string, streams: RequestedStreams, signal: AbortSignal): Promise<RemoteCommandClient> {
  let before: NotSwitchedError | undefined
  try {
    const connection = await switched(server, target, 'remote-command', 'websocket', signal)
    if (connection.upgrade.protocol !== 'v4.channel.k8s.io' || !streams.stdin || streams.tty) return await open(connection, () => openRemoteCommand(connection, streams))
    connection.duplex.destroy()
  } catch (error) {
    // What the server refuses by its own authorisation, or doesn't find, it would refuse again.
    if (!(error instanceof NotSwitchedError) || ![400, 403, 426, 500].includes(error.status)) throw error
    before = error
  }
  try {
    const connection = await switched(server, target, 'remote-command', 'spdy', signal)
    return await open(connection, () => openRemoteCommand(connection, streams))
  } catch (error) {
    throw error instanceof NotSwitchedError && before !== undefined ? before : error
  }
}

/** @throws {NotSwitchedError | UpstreamError} */
export async function connectPorts(server: ApiServer, target: string, signal: AbortSignal): Promise<PortForwardClient> {
  const connection = await switched(server, target, 'port-forward', 'spdy', signal)
  return open(connection, () => Promise.resolve(openPortForward(connection)))
}

async function switched(server: ApiServer, target: string, kind: UpgradeKind, transport: Upgrade['transport'], signal: AbortSignal): Promise<UpgradedConnection> {
  const asked = upgradeRequest(kind, transport, randomBytes)
  const answer = await server.upgrade({ method: asked.method, target, headers: asked.headers, signal })
  if (!isUpgraded(answer)) throw new NotSwitchedError(answer.statusCode ?? 0, await readAll(answer, maxErrorBytes))
  const { response, socket, first } = answer
  socket.on('error', () => socket.destroy())
  try {
    return { upgrade: verifyUpgrade(asked, { status: 101, headers: response.headers }), duplex: socket, head: first }
  } catch (error) {
    socket.destroy()
    throw error instanceof StreamsError ? violation('switched protocols in a way that was not asked for') : error
  }
}

async function open<T>({ duplex }: UpgradedConnection, begin: () => Promise<T>): Promise<T> {
  try {
    return await begin()
  } catch (error) {
    duplex.destroy()
    throw error instanceof StreamsError ? violation('broke the streams of the command off') : error
  }
}

function isUpgraded(answer: Upgraded | IncomingMessage): answer is Upgraded {
  return 'socket' in answer && 'response' in answer
}
