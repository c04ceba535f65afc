import { createLogger } from '@sallyport/telemetry'
import { Agent } from './agent.js'
import { ConfigError, readConfig } from './config.js'

const log = createLogger('agent')

try {
  const agent = await Agent.start(readConfig(process.env), log)
  let stopping = false
  const stop = (): void => {
    if (stopping) return
    stopping = true
    agent.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ error_name: error instanceof Error ? error.name : 'unknown' }, 'stop failed')
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
} catch (error) {
  // Configuration and spool errors are made for people; anything else shows its name and place only.
  const told = error instanceof ConfigError || (error instanceof Error && /^(Spool|Enrol|Identity)/.test(error.name))
  log.fatal({ reason: told && error instanceof Error ? error.message : undefined, error: told ? undefined : error }, 'agent could not start')
  process.exit(1)
}
