import { acceptUpgrade, type AcceptedUpgrade } from '@sallyport/kubernetes-streams'
import { RequestRefusedError, type KubernetesRequest } from '../analyse/index.js'
import type { Inbound } from './inbound.js'

const negotiating = ['sec-websocket-key', 'sec-websocket-protocol', 'sec-websocket-version', 'x-stream-protocol-version'] as const

/**
 * Reads a client's request to switch protocols and chooses what client and agent speak after the switch.
 * @throws {RequestRefusedError} before anything is decided, when there is no protocol in common
 */
export function negotiate(request: KubernetesRequest, inbound: Inbound): AcceptedUpgrade {
  const ports = request.kind === 'resource' && request.subresource === 'portforward'
  const headers: Record<string, string | undefined> = { connection: 'Upgrade', upgrade: request.upgrade }
  for (const name of negotiating) headers[name] = inbound.header(name)
  const answer = acceptUpgrade(ports ? 'port-forward' : 'remote-command', { method: inbound.method, headers })
  if (answer.accepted) return answer
  throw new RequestRefusedError({ status: answer.status, rule: 'upgrade', message: answer.message, hint: 'Use a current kubectl, or a client library that speaks v5.channel.k8s.io.' })
}

/** Answers the switch. What follows on the request's stream is the protocol's. */
export function switchProtocol(inbound: Inbound, { transport, headers }: AcceptedUpgrade): void {
  inbound.switchProtocol(transport === 'websocket' ? 'websocket' : 'SPDY/3.1', headers)
}
