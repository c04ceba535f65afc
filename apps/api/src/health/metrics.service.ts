import { Injectable } from '@nestjs/common'
import { createMetrics, type Metrics } from '@sallyport/telemetry'
import { AuthFailures } from '../identity/auth-failures.js'
import { LinkRegistry } from '../nodes/link-registry.js'
import { OpenSessionService } from '../grpc/open-session.service.js'
import { SessionsRepository } from '../sessions/sessions.repository.js'

/** What Prometheus reads. Counts only: no names, no ids. */
@Injectable()
export class MetricsService {
  readonly #metrics: Metrics = createMetrics('sallyport_api_')
  #liveSessions = 0

  constructor(
    registry: LinkRegistry,
    openings: OpenSessionService,
    failures: AuthFailures,
    private readonly sessions: SessionsRepository,
  ) {
    this.#metrics.gauge('gateways_linked', 'Gateways linked to this replica', [], () => registry.gateways.length)
    this.#metrics.gauge('agents_linked', 'Agents reachable through this replica', [], () => registry.agentIds().length)
    this.#metrics.gauge('clients_authenticating', 'Clients in the authentication exchange', [], () => openings.active)
    this.#metrics.gauge('sessions_live', 'Live sessions over all replicas', [], () => this.#liveSessions)
    this.#metrics.gauge('authentications_failed', 'Failed authentications since the start', [], () => failures.total)
  }

  get contentType(): string {
    return this.#metrics.registry.contentType
  }

  async text(): Promise<string> {
    this.#liveSessions = await this.sessions.countLive(new Date())
    return this.#metrics.registry.metrics()
  }
}
