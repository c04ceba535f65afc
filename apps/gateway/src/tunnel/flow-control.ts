import type { ServerHttp2Session } from 'node:http2'

const WINDOW = 2 * 1024 * 1024

/**
 * Widens HTTP/2's receive windows (64 KiB by default) on the connection that carries this call. All of an agent's
 * sessions share the one stream, so the default would cap them together at 64 KiB per round trip: 1.3 MB/s at 50 ms.
 * Memory stays bounded by the sessions' own windows.
 *
 * grpc-js has the option for clients only and hides the stream of a server's call; where a later version moves it, the
 * default stays (a unit test notices). Returns whether it worked.
 */
export function widenReceiveWindow(call: object): boolean {
  const inner: unknown = Reflect.get(call, 'call')
  const stream: unknown = typeof inner === 'object' && inner !== null ? Reflect.get(inner, 'stream') : undefined
  const session: unknown = typeof stream === 'object' && stream !== null ? Reflect.get(stream, 'session') : undefined
  if (!isServerSession(session) || session.destroyed) return false
  session.setLocalWindowSize(WINDOW)
  session.settings({ initialWindowSize: WINDOW })
  return true
}

function isServerSession(value: unknown): value is ServerHttp2Session {
  return typeof value === 'object' && value !== null && 'setLocalWindowSize' in value && 'settings' in value
}
