import type { Duplex } from 'node:stream'
import type { Permit } from '@sallyport/kit'
import { servePortForward, StreamsError, type AcceptedUpgrade, type ForwardedConnection, type OpenedConnection, type PortForwardClient } from '@sallyport/kubernetes-streams'
import type { Effect } from '@sallyport/policy'
import type { ResourceRequest } from '../analyse/index.js'
import { statusObject } from '../wire/status.js'
import { UpstreamError } from './api-server.js'
import { switchProtocol } from './handshake.js'
import type { Inbound } from './inbound.js'
import type { HandlerContext } from './request-handler.js'
import { connectPorts, NotSwitchedError } from './target-streams.js'
import { upstreamStatus } from './texts.js'

/**
 * Runs a port-forward that was permitted as such. Each connection in it is a command of its own: only then its port is
 * known.
 */
export async function runPortForward(inbound: Inbound, request: ResourceRequest, client: AcceptedUpgrade, permit: Permit, context: HandlerContext): Promise<void> {
  const { guard } = context
  let target: PortForwardClient
  try {
    target = await connectPorts(await context.server(), request.target, inbound.gone)
  } catch (error) {
    const status = error instanceof NotSwitchedError ? statusObject(error.status >= 400 ? error.status : 502, 'the API server did not open the port-forward') : error instanceof UpstreamError ? upstreamStatus(error) : undefined
    if (status === undefined) throw error
    await guard.finish(permit, { status: 'error', rows: 0, bytes: 0, masked: 0, error_code: String(status.code) })
    inbound.fail(status)
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
    cut: ({ message, rule }) => {
      end('cancelled')
      target.abort()
      session.abort(new StreamsError('ABORTED', `Sallyport: ${message}. Rule: ${rule}.`))
    },
  })
  switchProtocol(inbound, client)
  const session = servePortForward({ upgrade: client, duplex: inbound.stream }, (connection) => {
    forward(connection, request, target, context, (count) => {
      bytes += count
    }).catch((error: unknown) => context.fatal(error))
  })
  void session.closed.then(() => end('ok'))
  void target.closed.then(() => session.close())
}

async function forward(client: ForwardedConnection, request: ResourceRequest, target: PortForwardClient, context: HandlerContext, count: (bytes: number) => void): Promise<void> {
  const { guard, active } = context
  const { namespace, name = '' } = request
  const effect: Effect = { action: 'k8s.portforward', resource: `pods/${namespace}/${name}`, details: { namespace, name, port: client.port } }
  const decided = await guard.submit({ text: `portforward pods/${namespace}/${name}:${client.port}`, effects: [effect] })
  if (decided.kind === 'denial') {
    client.fail(`Sallyport: ${decided.message}. Rule: ${decided.rule}. ${decided.hint}`)
    return
  }
  decided.consume()
  let upstream: OpenedConnection
  try {
    upstream = await target.open(client.port)
  } catch (error) {
    if (!(error instanceof StreamsError)) throw error
    await guard.finish(decided, { status: 'error', rows: 0, bytes: 0, masked: 0, error_code: error.code })
    client.fail('Sallyport: the API server did not open the connection.')
    return
  }
  let bytes = 0
  const pass = (from: { readonly data: Duplex }, to: { readonly data: Duplex }): void => {
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
  const told = upstream.error.then((text) => {
    if (text !== undefined) client.fail(guard.masks.detectors(text).text)
    return text
  })
  await Promise.all([client.data, upstream.data].map(closed))
  const failed = (await told) !== undefined
  await guard.finish(decided, { status: failed ? 'error' : 'ok', rows: 0, bytes, masked: 0 })
}

function closed(stream: Duplex): Promise<void> {
  return stream.closed ? Promise.resolve() : new Promise((resolve) => stream.once('close', () => resolve()))
}
