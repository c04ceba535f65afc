import { join } from 'node:path'
import { EmbeddedPostgresError, EmbeddedServer } from '@sallyport/embedded-postgres'
import { z } from 'zod'
import { dataDirectory } from '../config/data-directory.js'
import { ConfigError, readConfig, type Environment } from '../config/environment.js'
import { migrate } from './migrations.js'

const schema = z.object({ DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/, error: 'must be a postgresql:// URL' }).optional() })
const maxConnections = 100

/** The database, up and with its schema: the one named by DATABASE_URL, else an embedded server. */
export class Database {
  private constructor(
    readonly url: string,
    private readonly server: EmbeddedServer | undefined,
  ) {}

  /** Before the application is built, so that whatever fails later can be followed by {@link close}. */
  static async open(environment: Environment): Promise<Database> {
    const given = readConfig(schema, environment).DATABASE_URL
    const server = given === undefined ? await startServer(dataDirectory(environment)) : undefined
    const database = new Database(given ?? server?.url() ?? '', server)
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

async function startServer(directory: string): Promise<EmbeddedServer> {
  try {
    return await EmbeddedServer.start({
      data: join(directory, 'postgres'),
      passwordFile: join(directory, 'postgres-password'),
      spareBinaries: join(directory, 'postgres-binaries'),
      user: 'sallyport',
      port: 0,
      maxConnections,
      temporary: false,
    })
  } catch (error) {
    if (!(error instanceof EmbeddedPostgresError)) throw error
    throw new ConfigError(`SALLYPORT_DATA_DIR: the embedded database can not be used (${error.message}): correct that, or set DATABASE_URL`)
  }
}
