import { createLogger } from '@sallyport/telemetry'
import { ConfigError } from './config/environment.js'
import { NestLogger } from './nest-logger.js'
import { startApi, type RunningApi } from './start.js'

const log = createLogger('api')

async function main(): Promise<void> {
  let api: RunningApi
  try {
    api = await startApi(process.env, new NestLogger(log))
  } catch (error) {
    if (error instanceof ConfigError) log.fatal({ reason: error.message }, 'the configuration is not usable')
    else log.fatal({ error }, 'the control plane could not start')
    process.exit(1)
  }
  log.info({ http_url: api.httpUrl, grpc_port: api.grpcPort }, 'ready')

  let stopping = false
  const stop = (signal: string): void => {
    // A second signal doesn't wait.
    if (stopping) process.exit(1)
    stopping = true
    log.info({ signal }, 'stopping')
    api.stop().then(
      () => {
        log.info('stopped')
        process.exit(0)
      },
      (error: unknown) => {
        log.error({ error }, 'stopping failed')
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', () => stop('SIGTERM'))
  process.on('SIGINT', () => stop('SIGINT'))
}

// A bug must end the process, not leave it half alive: sessions end by their lease, a supervisor starts a fresh one.
process.on('unhandledRejection', (error) => {
  log.fatal({ error }, 'unhandled rejection')
  process.exit(1)
})

await main()
