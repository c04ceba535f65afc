import { randomBytes } from 'node:crypto'
import { duplexPair, type Duplex, type Readable } from 'node:stream'
import type { ForwardedConnection, PortForwardClient, PortForwardSession, RemoteCommandClient, RemoteCommandServer, RequestedStreams } from '../faces.js'
import { openPortForward, openRemoteCommand, servePortForward, serveRemoteCommand } from '../open.js'
import { acceptUpgrade, upgradeRequest, verifyUpgrade, type AcceptedUpgrade, type Upgrade, type UpgradeKind } from '../upgrade.js'

export type TestTransport = 'websocket' | 'spdy'

/** Both ends' view of a handshake that succeeded. */
export function handshake(kind: UpgradeKind, transport: TestTransport): { readonly served: AcceptedUpgrade; readonly opened: Upgrade } {
  const request = upgradeRequest(kind, transport, randomBytes)
  const served = acceptUpgrade(kind, request)
  if (!served.accepted) throw new Error(served.message)
  return { served, opened: verifyUpgrade(request, { status: 101, headers: served.headers }) }
}

/** A server's and a client's end of exec, joined in memory. */
export async function commandPair(
  transport: TestTransport,
  requested: RequestedStreams,
): Promise<{ readonly server: RemoteCommandServer; readonly client: RemoteCommandClient }> {
  const [left, right] = duplexPair()
  const { served, opened } = handshake('remote-command', transport)
  const [server, client] = await Promise.all([
    serveRemoteCommand({ upgrade: served, duplex: left }, requested),
    openRemoteCommand({ upgrade: opened, duplex: right }, requested),
  ])
  return { server, client }
}

/** A server's end, and the raw connection of a client that speaks as it likes. */
export async function rawClient(requested: RequestedStreams): Promise<{ readonly server: RemoteCommandServer; readonly raw: Duplex }> {
  const [left, right] = duplexPair()
  const { served } = handshake('remote-command', 'websocket')
  return { server: await serveRemoteCommand({ upgrade: served, duplex: left }, requested), raw: right }
}

/** A client's end, and the raw connection of a server that speaks as it likes. */
export async function rawServer(requested: RequestedStreams): Promise<{ readonly client: RemoteCommandClient; readonly raw: Duplex }> {
  const [left, right] = duplexPair()
  const { opened } = handshake('remote-command', 'websocket')
  return { client: await openRemoteCommand({ upgrade: opened, duplex: left }, requested), raw: right }
}

export function forwardPair(
  transport: TestTransport,
  onConnection: (connection: ForwardedConnection) => void,
): { readonly server: PortForwardSession; readonly client: PortForwardClient } {
  const [left, right] = duplexPair()
  const { served, opened } = handshake('port-forward', transport)
  return { server: servePortForward({ upgrade: served, duplex: left }, onConnection), client: openPortForward({ upgrade: opened, duplex: right }) }
}

export async function readAll(stream: Readable | undefined): Promise<Buffer> {
  if (stream === undefined) throw new Error('the stream was not requested')
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}
