import { Inject, Injectable } from '@nestjs/common'
import { z } from 'zod'
import { ENVIRONMENT, readConfig, type Environment } from '../config/environment.js'

const seconds = (fallback: number, least: number, most: number) => z.coerce.number().int().min(least).max(most).default(fallback)

const schema = z.object({
  SALLYPORT_SIGNIN_SECONDS: seconds(12 * 3600, 60, 7 * 86_400),
  SALLYPORT_SIGNIN_IDLE_SECONDS: seconds(3600, 30, 86_400),
  SALLYPORT_SIGNIN_ROTATE_SECONDS: seconds(900, 1, 86_400),
  SALLYPORT_SIGNIN_REFRESH_SECONDS: seconds(300, 1, 86_400),
  SALLYPORT_SIGNIN_STALE_SECONDS: seconds(1800, 5, 86_400),
})

/** How long a sign-in lasts. Seconds. */
@Injectable()
export class AccessConfig {
  /** From the sign-in to its end, whatever happens. */
  readonly life: number
  /** Without a request. */
  readonly idle: number
  /** A new secret this often. */
  readonly rotate: number
  /** The provider is asked this often whether it still knows the person. */
  readonly refresh: number
  /** When it can't be asked for so long, the sign-in no longer counts. */
  readonly stale: number

  /** @throws {ConfigError} */
  constructor(@Inject(ENVIRONMENT) environment: Environment) {
    const settings = readConfig(schema, environment)
    this.life = settings.SALLYPORT_SIGNIN_SECONDS
    this.idle = settings.SALLYPORT_SIGNIN_IDLE_SECONDS
    this.rotate = settings.SALLYPORT_SIGNIN_ROTATE_SECONDS
    this.refresh = settings.SALLYPORT_SIGNIN_REFRESH_SECONDS
    this.stale = settings.SALLYPORT_SIGNIN_STALE_SECONDS
  }
}
