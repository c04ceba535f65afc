import http from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { FrontContext, ProtocolFront, SessionBroker } from '@sallyport/kit'
import { statusBody, statusObject } from '../wire/status.js'
import { ClientConnection } from './connection.js'
import { Http1Exchange, UpgradeExchange } from './exchange.js'
import { Sessions } from './sessions.js'

const maxHeaderBytes = 32 * 1024

/** Kubernetes' API over HTTPS, at `/k8s/<target>`. */
class KubernetesFront implements ProtocolFront {
  readonly protocol = 'kubernetes'
  readonly #connections = new WeakMap<object, ClientConnection>()
  /** A gateway has one broker; tests have several gateways in one process. */
  readonly #sessions = new WeakMap<SessionBroker, Sessions>()
  readonly #http1 = this.#server()

  handle(socket: Socket, context: FrontContext): void {
    let sessions = this.#sessions.get(context.broker)
    if (sessions === undefined) {
      sessions = new Sessions(context.broker)
      this.#sessions.set(context.broker, sessions)
    }
    new ClientConnection(socket, context, sessions, this.#http1).start((of, connection) => this.#connections.set(of, connection))
  }

  /** Never listens: it is given connections. */
  #server(): http.Server {
    const server = http.createServer({ maxHeaderSize: maxHeaderBytes, insecureHTTPParser: false, requireHostHeader: true, keepAliveTimeout: 120_000, requestTimeout: 0 })
    server.on('request', (request, response) => {
      void this.#connections.get(request.socket)?.serve(new Http1Exchange(request, response))
    })
    server.on('upgrade', (request, socket, first) => {
      if (request.headers['transfer-encoding'] !== undefined || (request.headers['content-length'] ?? '0') !== '0') return this.#end(socket, 400, 'an upgrade with a body')
      void this.#connections.get(request.socket)?.serve(new UpgradeExchange(request, socket, first))
    })
    server.on('connect', (_request, socket) => this.#end(socket, 405, 'a CONNECT'))
    server.on('clientError', (error: Error & { code?: string }, socket) => {
      const { code = '' } = error
      // Only what its parser refused: a connection that breaks says nothing about its client.
      if (code.startsWith('HPE_')) this.#end(socket, code === 'HPE_HEADER_OVERFLOW' ? 431 : 400, `HTTP that can not be read in one way only (${code})`)
      else if (code === 'ERR_HTTP_REQUEST_TIMEOUT') this.#end(socket, 408, 'a request that did not arrive in time')
      else socket.destroy()
    })
    return server
  }

  #end(socket: Duplex, code: number, reason: string): void {
    this.#connections.get(socket)?.refused(reason)
    end(socket, code)
  }
}

/** What can't even be read is answered once, and the connection is closed: what follows could be part of something smuggled. */
function end(socket: Duplex, code: number): void {
  if (!socket.writable) return void socket.destroy()
  const body = statusBody(statusObject(code, 'Sallyport: this is no request that can be understood in one way only.'))
  socket.end(`HTTP/1.1 ${code} Refused\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body.toString('utf8')}`)
  setTimeout(() => socket.destroy(), 1000).unref()
}

export const kubernetesFront: ProtocolFront = new KubernetesFront()
