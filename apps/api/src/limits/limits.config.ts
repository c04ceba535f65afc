import { Inject, Injectable } from '@nestjs/common'
import { z } from 'zod'
import { ENVIRONMENT, readConfig, type Environment } from '../config/environment.js'

const perSecond = (fallback: number) => z.coerce.number({ error: 'must be requests per second; 0 sets no limit' }).min(0).max(100_000).default(fallback)
const schema = z.object({
  SALLYPORT_RATE_LIMIT_PRINCIPAL: perSecond(50),
  SALLYPORT_RATE_LIMIT_ADDRESS: perSecond(200),
  SALLYPORT_RATE_LIMIT_PUBLIC: perSecond(20),
  SALLYPORT_MAX_STREAMS: z.coerce.number({ error: 'must be a number of streams' }).int().min(1).max(10_000).default(20),
})

/** How much of the API one caller may use, in requests per second. Six seconds' worth may come at once. */
@Injectable()
export class LimitsConfig {
  readonly principalPerSecond: number
  readonly addressPerSecond: number
  /** Of one address on one route that asks for no token. */
  readonly publicPerSecond: number
  /** Streams of server-sent events that one principal may have open. */
  readonly maxStreams: number

  /** @throws {ConfigError} */
  constructor(@Inject(ENVIRONMENT) environment: Environment) {
    const settings = readConfig(schema, environment)
    this.principalPerSecond = settings.SALLYPORT_RATE_LIMIT_PRINCIPAL
    this.addressPerSecond = settings.SALLYPORT_RATE_LIMIT_ADDRESS
    this.publicPerSecond = settings.SALLYPORT_RATE_LIMIT_PUBLIC
    this.maxStreams = settings.SALLYPORT_MAX_STREAMS
  }
}
