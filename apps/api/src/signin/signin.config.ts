import { Inject, Injectable } from '@nestjs/common'
import { z } from 'zod'
import { ENVIRONMENT, readConfig, type Environment } from '../config/environment.js'
import { References } from '../config/references.js'

const schema = z.object({ SALLYPORT_SIGNIN_SECRETS: z.string().default('env:SALLYPORT_OIDC_*') })

/** Which references the client secrets of identity providers may be. */
@Injectable()
export class SigninConfig {
  readonly references: References

  constructor(@Inject(ENVIRONMENT) environment: Environment) {
    this.references = new References(environment, readConfig(schema, environment).SALLYPORT_SIGNIN_SECRETS, 'SALLYPORT_SIGNIN_SECRETS')
  }
}
