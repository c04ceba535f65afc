export { createLogger, type Logger, type LogOptions } from './logger.js'
export { createMetrics, type Metrics } from './metrics.js'
export { startOpsServer, type OpsServer, type OpsServerOptions, type Readiness } from './ops-server.js'
export type { Counter, Gauge, Histogram, Registry } from 'prom-client'
