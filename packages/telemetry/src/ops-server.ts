import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Registry } from 'prom-client'

export interface Readiness {
  readonly ok: boolean
  /** Each thing that the process needs, and whether it has it. No secrets: this is served without authentication. */
  readonly checks: { readonly [name: string]: boolean | string | number }
}

export interface OpsServerOptions {
  /** Default 127.0.0.1. Plain HTTP without authentication: bind elsewhere only where the network is yours alone. */
  readonly host?: string
  /** 0 takes a free port. */
  readonly port: number
  readonly registry: Registry
  readonly ready: () => Readiness | Promise<Readiness>
}

export interface OpsServer {
  readonly host: string
  readonly port: number
  close(): Promise<void>
}

/**
 * Serves `/healthz` (the process answers: 200), `/readyz` (200 or 503 with the checks as JSON) and `/metrics`
 * (Prometheus text). Rejects when the address can't be bound.
 */
export async function startOpsServer(options: OpsServerOptions): Promise<OpsServer> {
  const host = options.host ?? '127.0.0.1'
  const server = createServer({ requestTimeout: 5_000, headersTimeout: 5_000, keepAliveTimeout: 5_000, maxHeaderSize: 8_192 }, (request, response) => {
    void answer(request, response, options)
  })
  // Scrapers are few; many open connections are somebody else's.
  server.maxConnections = 64
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
  const address = server.address()
  const port = address !== null && typeof address === 'object' ? address.port : options.port
  return {
    host,
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function answer(request: IncomingMessage, response: ServerResponse, options: OpsServerOptions): Promise<void> {
  const send = (status: number, type: string, body: string): void => {
    response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
    response.end(request.method === 'HEAD' ? undefined : body)
  }
  request.resume()
  if (request.method !== 'GET' && request.method !== 'HEAD') return send(405, 'text/plain', 'GET only\n')
  try {
    switch (request.url?.split('?', 1)[0]) {
      case '/healthz':
        return send(200, 'text/plain', 'ok\n')
      case '/readyz': {
        const readiness = await options.ready()
        return send(readiness.ok ? 200 : 503, 'application/json', JSON.stringify(readiness) + '\n')
      }
      case '/metrics':
        return send(200, options.registry.contentType, await options.registry.metrics())
      default:
        return send(404, 'text/plain', 'try /healthz, /readyz or /metrics\n')
    }
  } catch {
    // A check that throws means not ready; its text could hold anything.
    if (!response.headersSent) send(503, 'application/json', '{"ok":false,"checks":{}}\n')
    else response.destroy()
  }
}
