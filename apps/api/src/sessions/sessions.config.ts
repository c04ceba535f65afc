import { Inject, Injectable } from '@nestjs/common'
import { z } from 'zod'
import { ENVIRONMENT, readConfig, type Environment } from '../config/environment.js'

const schema = z.object({ SALLYPORT_LEASE_SECONDS: z.coerce.number({ error: 'must be a number of seconds' }).int().min(2).max(3600).default(60) })

@Injectable()
export class SessionsConfig {
  /** How long a session lives on without the control plane. */
  readonly leaseSeconds: number

  constructor(@Inject(ENVIRONMENT) environment: Environment) {
    this.leaseSeconds = readConfig(schema, environment).SALLYPORT_LEASE_SECONDS
  }
}
