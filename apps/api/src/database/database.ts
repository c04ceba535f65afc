import { z } from 'zod'
import { dataDirectory } from '../config/data-directory.js'
import { readConfig, type Environment } from '../config/environment.js'
import { EmbeddedServer } from './embedded-server.js'
import { migrate } from './migrations.js'

const schema = z.object({ DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/, error: 'must be a postgresql:// URL' }).optional() })

/** The database, up and with its schema: the one named by DATABASE_URL, else an embedded server. */
export class Database {
  private constructor(
    readonly url: string,
    private readonly server: EmbeddedServer | undefined,
  ) {}

  /** Before the application is built, so that whatever fails later can be followed by {@link close}. */
  static async open(environment: Environment): Promise<Database> {
    const given = readConfig(schema, environment).DATABASE_URL
    const server = given === undefined ? await EmbeddedServer.start(dataDirectory(environment)) : undefined
    const database = new Database(given ?? server?.url ?? '', server)
    try {
      await migrate(database.url)
    } catch (error) {
      await database.close()
      throw error
    }
    return database
  }

  /** Stops the embedded server. The last thing that a stopping process does. */
  async close(): Promise<void> {
    await this.server?.stop()
  }
}
