import type { Permit } from '@sallyport/kit'
import { servePortForward, WebSocketTunnel, type ForwardedConnection, type PortForwardClient, type PortForwardSession } from '@sallyport/kubernetes-streams'
import type { Effect } from '@sallyport/policy'
import type { ResourceRequest } from '../analyse/index.js'
import { statusObject } from '../wire/status.js'
import { UpstreamError } from './api-server.js'
import type { ClientProtocol } from './handshake.js'
import type { Inbound } from './inbound.js'
import type { HandlerContext } from './request-handler.js'
import { connectPorts, NotSwitchedError } from './target-streams.js'
import { upstreamStatus } from './texts.js'

/**
 * Runs a port-forward that was permitted as such. Each connection in it is a command of its own: only then its port is
 * known.
 */
export async function runPortForward(inbound: Inbound, request: ResourceRequest, client: ClientProtocol, permit: Permit, context: HandlerContext): Promise<void> {
  const { guard } = context
  const open: { session?: PortForwardSession } = {}
  let target: PortForwardClient
  try {
    target = await connectPorts(await context.server(), request.target, inbound.gone, () => open.session?.close())
  } catch (error) {
    const status = error instanceof NotSwitchedError ? statusObject(error.status >= 400 ? error.status : 502, 'the API server did not open the port-forward') : error instanceof UpstreamError ? upstreamStatus(error) : undefined
    if (status === undefined) throw error
    inbound.fail(status)
    await guard.finish(permit, { status: 'error', rows: 0, bytes: 0, masked: 0, error_code: String(status.code) })
    return
  }
  let bytes = 0
  let over = false
  const end = (how: 'ok' | 'cancelled'): void => {
    if (over) return
    over = true
    remove()
    target.close()
    void guard.finish(permit, { status: how, rows: 0, bytes, masked: 0 })
  }
  const remove = context.running.add({
    permit,
    cut: () => {
      end('cancelled')
      target.destroy()
      open.session?.destroy()
      inbound.cut()
    },
  })
  inbound.switchProtocol(client.kind === 'websocket-ports' ? 'websocket' : 'SPDY/3.1', client.headers)
  open.session = servePortForward(client.kind === 'websocket-ports' ? new WebSocketTunnel(inbound.stream, 'server') : inbound.stream, {
    onConnection: (connection) => {
      forward(connection, request, target, context, (count) => {
        bytes += count
      }).catch((error: unknown) => context.fatal(error))
    },
    onClose: () => end('ok'),
  })
}

async function forward(client: ForwardedConnection, request: ResourceRequest, target: PortForwardClient, context: HandlerContext, count: (bytes: number) => void): Promise<void> {
  const { guard, active } = context
  const { namespace, name = '' } = request
  const effect: Effect = { action: 'k8s.portforward', resource: `pods/${namespace}/${name}`, details: { namespace, name, port: client.port } }
  const decided = await guard.submit({ text: `portforward pods/${namespace}/${name}:${client.port}`, effects: [effect] })
  if (decided.kind === 'denial') {
    client.error.end(`Sallyport: ${decided.message}. Rule: ${decided.rule}. ${decided.hint}`)
    client.data.destroy()
    return
  }
  decided.consume()
  const upstream = target.open(client.port)
  let bytes = 0
  let failed = false
  const pass = (from: ForwardedConnection, to: ForwardedConnection): void => {
    from.data.on('data', (chunk: Buffer) => {
      active()
      bytes += chunk.length
      count(chunk.length)
      if (to.data.write(chunk)) return
      from.data.pause()
      to.data.once('drain', () => from.data.resume())
    })
    from.data.once('end', () => to.data.end())
    from.data.once('close', () => {
      if (!from.data.readableEnded) to.data.destroy()
    })
  }
  pass(client, upstream)
  pass(upstream, client)
  // The error stream is the kubelet's own words about the port.
  upstream.error.on('data', (chunk: Buffer) => {
    failed = true
    client.error.write(guard.masks.detectors(chunk.toString('utf8')).text)
  })
  upstream.error.once('end', () => client.error.end())
  upstream.error.once('close', () => client.error.end())
  const closed = new Promise<void>((resolve) => {
    let left = 2
    for (const stream of [client.data, upstream.data]) stream.once('close', () => (--left === 0 ? resolve() : undefined))
  })
  await closed
  await guard.finish(decided, { status: failed ? 'error' : 'ok', rows: 0, bytes, masked: 0 })
}
