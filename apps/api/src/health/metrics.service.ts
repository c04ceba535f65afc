import { Injectable } from '@nestjs/common'
import { createMetrics, type Metrics } from '@sallyport/telemetry'
import { AuthFailures } from '../identity/auth-failures.js'
import { LinkRegistry } from '../nodes/link-registry.js'
import { OpenSessionService } from '../grpc/open-session.service.js'
import { SinksService } from '../sinks/sinks.service.js'
import { SessionsRepository } from '../sessions/sessions.repository.js'

/** What a gauge by sink needs to have. */
interface SinkGauge {
  reset(): void
  set(labels: { readonly sink: string }, value: number): void
}

type SinkStatus = Awaited<ReturnType<SinksService['status']>>[number]

/** What Prometheus reads. Counts only: no names, no ids. */
@Injectable()
export class MetricsService {
  readonly #metrics: Metrics = createMetrics('sallyport_api_')
  #liveSessions = 0
  readonly #collect: (() => void)[] = []
  #sinks: readonly SinkStatus[] = []

  constructor(
    registry: LinkRegistry,
    openings: OpenSessionService,
    failures: AuthFailures,
    private readonly sessions: SessionsRepository,
    private readonly sinks: SinksService,
  ) {
    this.#metrics.gauge('gateways_linked', 'Gateways linked to this replica', [], () => registry.gateways.length)
    this.#metrics.gauge('agents_linked', 'Agents reachable through this replica', [], () => registry.agentIds().length)
    this.#metrics.gauge('clients_authenticating', 'Clients in the authentication exchange', [], () => openings.active)
    this.#metrics.gauge('sessions_live', 'Live sessions over all replicas', [], () => this.#liveSessions)
    this.#sinkGauges()
    this.#metrics.gauge('authentications_failed', 'Failed authentications since the start', [], () => failures.total)
  }

  /** By the name of the sink, which an administrator gave. */
  #sinkGauges(): void {
    const bySink = (read: (sink: SinkStatus) => number) => (): Record<string, number> => Object.fromEntries(this.#sinks.map((sink) => [sink.name, read(sink)]))
    const follow = (gauge: SinkGauge, read: (sink: SinkStatus) => number): void => {
      this.#collect.push(() => {
        gauge.reset()
        for (const sink of this.#sinks) gauge.set({ sink: sink.name }, read(sink))
      })
    }
    follow(this.#metrics.gauge('sink_lag_records', 'Positions of the audit chain that the sink has not passed', ['sink']), (sink) => Number(sink.lag.records))
    follow(this.#metrics.gauge('sink_lag_seconds', 'Age of the oldest event that the sink has not passed', ['sink']), (sink) => sink.lag.seconds)
    follow(this.#metrics.gauge('sink_dead_letters', 'Events that the receiver refused and that wait for a person', ['sink']), (sink) => sink.deadLetters)
    follow(this.#metrics.gauge('sink_failing', '1 while the receiver does not acknowledge', ['sink']), (sink) => (sink.failing ? 1 : 0))
    this.#metrics.totals('sink_events_sent_total', 'Events acknowledged by the receiver, sent by this replica', 'sink', bySink((sink) => sink.counts.sent))
    this.#metrics.totals('sink_batches_failed_total', 'Batches that were not acknowledged, sent by this replica', 'sink', bySink((sink) => sink.counts.failed))
    this.#metrics.totals('sink_dead_letters_total', 'Events refused, sent by this replica', 'sink', bySink((sink) => sink.counts.dead_letters))
  }

  get contentType(): string {
    return this.#metrics.registry.contentType
  }

  async text(): Promise<string> {
    this.#liveSessions = await this.sessions.countLive(new Date())
    this.#sinks = await this.sinks.status()
    for (const collect of this.#collect) collect()
    return this.#metrics.registry.metrics()
  }
}
