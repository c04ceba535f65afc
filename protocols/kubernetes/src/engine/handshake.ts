import {
  isWebSocketKey, portForwardProtocol, spdyCommandProtocol, tunnelledPortForwardProtocol, webSocketAccept, webSocketCommandProtocols, type WebSocketCommandProtocol,
} from '@sallyport/kubernetes-streams'
import { RequestRefusedError, type KubernetesRequest } from '../analyse/index.js'
import type { Inbound } from './inbound.js'

/** What client and agent agreed to speak after the switch. */
export type ClientProtocol =
  | { readonly kind: 'websocket-command'; readonly protocol: WebSocketCommandProtocol; readonly headers: Readonly<Record<string, string>> }
  | { readonly kind: 'spdy-command' | 'spdy-ports' | 'websocket-ports'; readonly headers: Readonly<Record<string, string>> }

/**
 * Reads a client's request to switch protocols (RFC 6455, section 4.2; Kubernetes' SPDY negotiation) and chooses.
 * @throws {RequestRefusedError} before anything is decided, when there is no protocol in common
 */
export function negotiate(request: KubernetesRequest, inbound: Inbound): ClientProtocol {
  const ports = request.kind === 'resource' && request.subresource === 'portforward'
  if (request.upgrade === 'websocket') {
    const offered = listed(inbound.header('sec-websocket-protocol'))
    const key = inbound.header('sec-websocket-key')
    if (inbound.header('sec-websocket-version') !== '13' || !isWebSocketKey(key) || inbound.method !== 'GET') throw refused('the WebSocket handshake is not one of RFC 6455')
    const accepted = { 'sec-websocket-accept': webSocketAccept(key) }
    if (ports) {
      if (!offered.includes(tunnelledPortForwardProtocol)) throw refused(`port-forward over WebSocket needs the subprotocol ${tunnelledPortForwardProtocol}`)
      return { kind: 'websocket-ports', headers: { ...accepted, 'sec-websocket-protocol': tunnelledPortForwardProtocol } }
    }
    const protocol = webSocketCommandProtocols.find((name) => offered.includes(name))
    if (protocol === undefined) throw refused(`none of the subprotocols is taken; offer ${webSocketCommandProtocols.join(' or ')}`)
    return { kind: 'websocket-command', protocol, headers: { ...accepted, 'sec-websocket-protocol': protocol } }
  }
  const wanted = ports ? portForwardProtocol : spdyCommandProtocol
  if (!listed(inbound.header('x-stream-protocol-version')).includes(wanted)) throw refused(`SPDY needs X-Stream-Protocol-Version: ${wanted}`)
  return { kind: ports ? 'spdy-ports' : 'spdy-command', headers: { 'x-stream-protocol-version': wanted } }
}

function listed(value: string | undefined): string[] {
  return (value ?? '').split(',').map((name) => name.trim())
}

function refused(message: string): RequestRefusedError {
  return new RequestRefusedError({ status: 400, rule: 'upgrade', message, hint: 'Use a current kubectl, or a client library that speaks v5.channel.k8s.io.' })
}
