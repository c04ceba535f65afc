import { Inject, Injectable } from '@nestjs/common'
import { z } from 'zod'
import { ENVIRONMENT, readConfig, type Environment } from '../config/environment.js'

const schema = z.object({ SALLYPORT_PRIVACY_PSEUDONYMS: z.enum(['true', 'false'], { error: 'must be true or false' }).default('true') })

@Injectable()
export class PrivacyConfig {
  /** Whether new events hold pseudonyms in people's stead. Those that hold them already are read in either case. */
  readonly pseudonyms: boolean

  constructor(@Inject(ENVIRONMENT) environment: Environment) {
    this.pseudonyms = readConfig(schema, environment).SALLYPORT_PRIVACY_PSEUDONYMS === 'true'
  }
}
