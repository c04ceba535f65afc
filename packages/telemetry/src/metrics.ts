import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'

export interface Metrics {
  readonly registry: Registry
  /** Name without the prefix; by Prometheus custom it ends in `_total`. */
  counter<Label extends string = never>(name: string, help: string, labels?: readonly Label[]): Counter<Label>
  /** A counter whose totals are kept elsewhere, as plain numbers, and read when Prometheus asks: for hot paths. */
  totals<Label extends string>(name: string, help: string, label: Label, read: () => Readonly<Record<string, number>>): void
  /** With `collect`, the value is read when Prometheus asks. */
  gauge<Label extends string = never>(name: string, help: string, labels?: readonly Label[], collect?: () => number): Gauge<Label>
  histogram<Label extends string = never>(name: string, help: string, buckets: readonly number[], labels?: readonly Label[]): Histogram<Label>
}

/**
 * A registry of the process's own (never prom-client's global one, which tests and libraries share), with the default
 * process metrics (memory, CPU, event-loop delay, garbage collection) in it.
 * @param prefix e.g. `sallyport_gateway_`; stands before every name made here.
 */
export function createMetrics(prefix: string): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix, eventLoopMonitoringPrecision: 10 })
  const base = (name: string, help: string) => ({ name: prefix + name, help, registers: [registry] })
  return {
    registry,
    counter: (name, help, labels = []) => new Counter({ ...base(name, help), labelNames: [...labels] }),
    totals: (name, help, label, read) => {
      const counter = new Counter({
        name: prefix + name,
        help,
        registers: [],
        labelNames: [label],
        collect() {
          this.reset()
          for (const [value, total] of Object.entries(read())) this.labels(value).inc(total)
        },
      })
      registry.registerMetric(counter)
    },
    gauge: (name, help, labels = [], collect) =>
      new Gauge({
        ...base(name, help),
        labelNames: [...labels],
        ...(collect === undefined
          ? {}
          : {
              collect() {
                this.set(collect())
              },
            }),
      }),
    histogram: (name, help, buckets, labels = []) => new Histogram({ ...base(name, help), buckets: [...buckets], labelNames: [...labels] }),
  }
}
