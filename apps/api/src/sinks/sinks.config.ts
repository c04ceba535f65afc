import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Inject, Injectable } from '@nestjs/common'
import { DeliveryError, type ResolveSecret } from '@sallyport/sinks'
import { z } from 'zod'
import { dataDirectory } from '../config/data-directory.js'
import { ENVIRONMENT, readConfig, type Environment } from '../config/environment.js'
import { References, SecretReferenceError } from '../config/references.js'

const schema = z.object({
  SALLYPORT_SINK_DIRECTORY: z.string().optional(),
  SALLYPORT_SINK_SECRETS: z.string().default('env:SALLYPORT_SINK_*'),
})

/**
 * What of this host sinks may touch. Whoever may apply documents names references and file names; without these bounds
 * a Sink could send the master key as a header, or append to any file.
 */
@Injectable()
export class SinksConfig {
  readonly #directory: string | undefined
  readonly #references: References

  constructor(@Inject(ENVIRONMENT) private readonly environment: Environment) {
    const settings = readConfig(schema, environment)
    this.#directory = settings.SALLYPORT_SINK_DIRECTORY
    this.#references = new References(environment, settings.SALLYPORT_SINK_SECRETS, 'SALLYPORT_SINK_SECRETS')
  }

  /** Where `file` sinks write; made when it is asked for. */
  directory(): string {
    const path = resolve(this.#directory ?? join(dataDirectory(this.environment), 'sinks'))
    mkdirSync(path, { recursive: true, mode: 0o700 })
    return path
  }

  /** Reads a reference. The error names it, never the value. */
  readonly resolve: ResolveSecret = async (reference) => {
    try {
      return await this.#references.read(reference)
    } catch (error) {
      throw error instanceof SecretReferenceError ? new DeliveryError('unavailable', 'SECRET_UNAVAILABLE', error.message) : error
    }
  }
}
