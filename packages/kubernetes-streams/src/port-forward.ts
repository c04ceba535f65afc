import type { Duplex } from 'node:stream'
import { StreamProtocolError } from './errors.js'
import { SpdySession, type SpdyStream } from './spdy/session.js'

/** Over SPDY: the value of X-Stream-Protocol-Version. Inside a WebSocket: the subprotocol with `SPDY/3.1+` before it. */
export const portForwardProtocol = 'portforward.k8s.io'
export const tunnelledPortForwardProtocol = 'SPDY/3.1+portforward.k8s.io'

/** One connection to a port of the pod. */
export interface ForwardedConnection {
  readonly port: number
  readonly data: Duplex
  /** Toward the client: an error, as text; else just its end. */
  readonly error: Duplex
}

export interface PortForwardServerHandlers {
  onConnection(connection: ForwardedConnection): void
  onClose(error: Error | undefined): void
}

export interface PortForwardSession {
  close(): void
  destroy(): void
}

export interface PortForwardClient extends PortForwardSession {
  /** @throws {StreamProtocolError} when the session is over */
  open(port: number): ForwardedConnection
}

const maxConnections = 256
const pairMilliseconds = 30_000

/** Serves a port-forward: the client opens a pair of streams for each connection, `error` and `data`, with one request id. */
export function servePortForward(duplex: Duplex, handlers: PortForwardServerHandlers): PortForwardSession {
  const waiting = new Map<string, { stream: SpdyStream; timer: NodeJS.Timeout }>()
  const session = new SpdySession(duplex, {
    role: 'server',
    maxStreams: 2 * maxConnections,
    onStream: (stream) => {
      const { streamtype: type, port: portText = '', requestid: id = '' } = stream.headers
      const port = Number(portText)
      if ((type !== 'data' && type !== 'error') || !/^\d{1,5}$/.test(portText) || port < 1 || port > 65_535 || id === '' || id.length > 64) {
        throw new StreamProtocolError('a stream of a port-forward lacks its type, port or request id')
      }
      const key = `${id} ${port}`
      const other = waiting.get(key)
      if (other === undefined) {
        waiting.set(key, { stream, timer: setTimeout(() => stream.destroy(), pairMilliseconds).unref() })
        return
      }
      waiting.delete(key)
      clearTimeout(other.timer)
      if (other.stream.headers['streamtype'] === type) throw new StreamProtocolError('a connection of a port-forward has the same stream twice')
      handlers.onConnection(type === 'data' ? { port, data: stream, error: other.stream } : { port, data: other.stream, error: stream })
    },
    onClose: (error) => {
      for (const { timer } of waiting.values()) clearTimeout(timer)
      handlers.onClose(error)
    },
  })
  return { close: () => session.close(), destroy: () => session.destroy() }
}

/** Drives a port-forward. */
export function drivePortForward(duplex: Duplex, onClose: (error: Error | undefined) => void): PortForwardClient {
  const session = new SpdySession(duplex, { role: 'client', maxStreams: 0, onStream: () => undefined, onClose })
  let requests = 0
  return {
    open: (port) => {
      const headers = { port: String(port), requestid: String(requests++) }
      const error = session.open({ ...headers, streamtype: 'error' })
      error.end()
      return { port, error, data: session.open({ ...headers, streamtype: 'data' }) }
    },
    close: () => session.close(),
    destroy: () => session.destroy(),
  }
}
