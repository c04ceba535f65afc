import { createMetrics, type Counter, type Registry } from '@sallyport/telemetry'

export interface GatewayMetrics {
  readonly registry: Registry
  readonly connections: Counter<'protocol'>
  readonly refused: Counter<'reason'>
  readonly sessions: Counter
  /** Session bytes relayed: plain numbers, because they change with every message. */
  readonly bytes: { to_agent: number; to_client: number }
  readonly linkDropped: Counter
}

/** What the gauges read when Prometheus asks. */
export interface GaugeSources {
  readonly sessions: () => number
  readonly unauthenticated: () => number
  readonly agents: () => number
  readonly controlPlane: () => boolean
}

export function gatewayMetrics(sources: GaugeSources): GatewayMetrics {
  const metrics = createMetrics('sallyport_gateway_')
  metrics.gauge('sessions_open', 'Open sessions.', [], sources.sessions)
  metrics.gauge('connections_unauthenticated', 'Client connections that have not authenticated yet.', [], sources.unauthenticated)
  metrics.gauge('agents_connected', 'Agents in service on this gateway.', [], sources.agents)
  metrics.gauge('control_plane_connected', '1 while the link to the control plane is up.', [], () => (sources.controlPlane() ? 1 : 0))
  const bytes = { to_agent: 0, to_client: 0 }
  metrics.totals('session_bytes_total', 'Session bytes relayed.', 'direction', () => bytes)
  return {
    registry: metrics.registry,
    connections: metrics.counter('connections_total', 'Client connections accepted.', ['protocol']),
    refused: metrics.counter('refused_total', 'Connections and sessions refused, by reason.', ['reason']),
    sessions: metrics.counter('sessions_total', 'Sessions opened.'),
    bytes,
    linkDropped: metrics.counter('link_messages_dropped_total', 'Agents’ messages dropped because the control plane was away; agents send them again.'),
  }
}
