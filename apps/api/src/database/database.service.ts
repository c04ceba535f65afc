import { Inject, Injectable } from '@nestjs/common'
import { z } from 'zod'
import { dataDirectory } from '../config/data-directory.js'
import { ENVIRONMENT, readConfig, type Environment } from '../config/environment.js'
import { EmbeddedServer } from './embedded-server.js'
import { migrate } from './migrations.js'

const schema = z.object({ DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/, error: 'must be a postgresql:// URL' }).optional() })

/** Brings the database up: the one named by DATABASE_URL, else an embedded server; then its schema. */
@Injectable()
export class DatabaseService {
  readonly #environment: Environment
  #server: EmbeddedServer | undefined

  constructor(@Inject(ENVIRONMENT) environment: Environment) {
    this.#environment = environment
  }

  /** Called once, before anything else needs the database. */
  async open(): Promise<string> {
    const given = readConfig(schema, this.#environment).DATABASE_URL
    if (given === undefined) this.#server = await EmbeddedServer.start(dataDirectory(this.#environment))
    const url = given ?? this.#server?.url ?? ''
    try {
      await migrate(url)
    } catch (error) {
      await this.close()
      throw error
    }
    return url
  }

  /** Stops the embedded server. The last thing that a stopping process does. */
  async close(): Promise<void> {
    await this.#server?.stop()
    this.#server = undefined
  }
}
