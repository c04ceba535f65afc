import { Inject, Injectable } from '@nestjs/common'
import { z } from 'zod'
import { ENVIRONMENT, readConfig, type Environment } from '../config/environment.js'

const count = (fallback: number) => z.coerce.number({ error: 'must be a number of commands' }).int().min(1).max(1000).default(fallback)

const schema = z.object({ SALLYPORT_OPEN_HOLDS: count(20), SALLYPORT_OPEN_HOLDS_PER_SESSION: count(10) })

/** How many commands may wait for people at once. More would bury them: approval fatigue is an attack. */
@Injectable()
export class ApprovalsConfig {
  /** Of one identity, in all its sessions. */
  readonly openHolds: number
  /** Of one session. */
  readonly openHoldsPerSession: number

  /** @throws {ConfigError} */
  constructor(@Inject(ENVIRONMENT) environment: Environment) {
    const settings = readConfig(schema, environment)
    this.openHolds = settings.SALLYPORT_OPEN_HOLDS
    this.openHoldsPerSession = settings.SALLYPORT_OPEN_HOLDS_PER_SESSION
  }
}
