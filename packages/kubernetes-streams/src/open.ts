import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { StreamsError } from './errors.js'
import type { ForwardedConnection, PortForwardClient, PortForwardSession, RemoteCommandClient, RemoteCommandServer, RequestedStreams } from './faces.js'
import { openForwarding, serveForwarding } from './spdy/port-forward.js'
import { openStreams, serveStreams } from './spdy/remote-command.js'
import type { Upgrade, UpgradeKind } from './upgrade.js'
import { openChannels, serveChannels } from './websocket/remote-command.js'
import { TunnelDuplex } from './websocket/tunnel.js'

/** An upgraded connection: from here on the package reads, writes and closes it. */
export interface UpgradedConnection {
  readonly upgrade: Upgrade
  readonly duplex: Duplex
  /** What HTTP's parser had read beyond the head. */
  readonly head?: Buffer
  /** Unpredictable bytes; node:crypto's by default. */
  readonly random?: (size: number) => Buffer
}

const EMPTY = Buffer.alloc(0)

/**
 * Serves exec or attach. With SPDY it waits until the client has created exactly the announced streams; rejects with
 * {@link StreamsError} PROTOCOL, TIMEOUT or PEER_GONE otherwise, and the connection is closed then.
 */
export async function serveRemoteCommand(connection: UpgradedConnection, requested: RequestedStreams): Promise<RemoteCommandServer> {
  const { duplex, head = EMPTY, random = randomBytes, upgrade } = connection
  expect(upgrade, 'remote-command')
  if (upgrade.transport === 'spdy') return serveStreams(duplex, head, requested)
  return serveChannels(duplex, head, upgrade.protocol, requested, random)
}

/** Opens exec or attach on a connection whose server accepted the upgrade; otherwise as {@link serveRemoteCommand}. */
export async function openRemoteCommand(connection: UpgradedConnection, requested: RequestedStreams): Promise<RemoteCommandClient> {
  const { duplex, head = EMPTY, random = randomBytes, upgrade } = connection
  expect(upgrade, 'remote-command')
  if (upgrade.transport === 'spdy') return openStreams(duplex, head, requested)
  return openChannels(duplex, head, upgrade.protocol, requested, random)
}

/**
 * Serves port forwarding, SPDY or SPDY in WebSocket messages. `onConnection` gets every connection that the client opens and decides
 * by itself: a refused one is failed with {@link ForwardedConnection.fail}.
 */
export function servePortForward(connection: UpgradedConnection, onConnection: (connection: ForwardedConnection) => void): PortForwardSession {
  const { duplex, head } = spdyOver(connection, 'server')
  return serveForwarding(duplex, head, onConnection)
}

/** Opens port forwarding on a connection whose server accepted the upgrade. */
export function openPortForward(connection: UpgradedConnection): PortForwardClient {
  const { duplex, head } = spdyOver(connection, 'client')
  return openForwarding(duplex, head)
}

function spdyOver(connection: UpgradedConnection, role: 'server' | 'client'): { readonly duplex: Duplex; readonly head: Buffer } {
  const { duplex, head = EMPTY, random = randomBytes, upgrade } = connection
  expect(upgrade, 'port-forward')
  return upgrade.transport === 'spdy' ? { duplex, head } : { duplex: new TunnelDuplex(duplex, head, { role, random }), head: EMPTY }
}

function expect(upgrade: Upgrade, kind: UpgradeKind): void {
  if (upgrade.kind !== kind) throw new StreamsError('PROTOCOL', `an upgrade to ${upgrade.kind} can't carry ${kind}`)
}
